//! Events of sessions and messages, in words for people.

use serde_json::{Map, Value};

/// A field as text, even if it is a number.
pub(super) fn said(fields: &Map<String, Value>, key: &str) -> Option<String> {
    match fields.get(key)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// An address without its brackets; `<>` stays.
pub(crate) fn bare(address: &str) -> &str {
    let inner = address.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    inner.filter(|inner| !inner.is_empty()).unwrap_or(address)
}

/// The reason of a verdict, or a host's reply.
pub(super) fn why(fields: &Map<String, Value>) -> String {
    let text = said(fields, "reason")
        .or_else(|| said(fields, "reply"))
        .unwrap_or_default();
    match (
        said(fields, "relay").filter(|relay| !relay.is_empty()),
        text.is_empty(),
    ) {
        (Some(relay), false) => format!("{relay}: {text}"),
        (Some(relay), true) => relay,
        (None, _) => text,
    }
}

/// What a client did, in SMTP terms if possible; or what happened to its mail.
pub(crate) fn what(event: &str, fields: &Map<String, Value>) -> String {
    let put = |before: &str, key: &str| {
        said(fields, key).map_or_else(String::new, |text| format!("{before}{text}"))
    };
    match event {
        "connect" => format!("connection{}{}", put(" from ", "peer"), put(" to ", "listener")),
        "helo" => format!("client calls itself{}", put(" ", "helo")),
        "tls" => tls(fields),
        "login" => format!(
            "logged in{}{}{}",
            put(" as ", "login"),
            put(" by ", "mechanism"),
            put(", acts as ", "acts_as")
        ),
        "sender" => format!("MAIL FROM:{}{}", put("", "from"), put(" SIZE=", "size")),
        "recipient" => format!("RCPT TO:{}", put("", "to")),
        "accepted" => format!("message {} accepted{}", put("", "queue"), size(fields)),
        "filtered" => format!("message {} filtered{}", put("", "queue"), put(" by ", "milter")),
        "discarded" => format!("message {} discarded{}", put("", "queue"), put(" by ", "milter")),
        word @ ("delivered" | "deferred" | "bounced" | "expired") => {
            format!("message {} {}", put("", "queue"), became(word, fields))
        }
        "held" | "released" | "retried" | "flushed" | "removed" => {
            format!("message {} {event}{}", put("", "queue"), put(" by ", "by"))
        }
        "disconnect" => format!("session ended{}", after(fields)),
        "refused" => refused(fields),
        other => other.to_owned(),
    }
}

/// `: 230 octets, 1 recipient`.
pub(super) fn size(fields: &Map<String, Value>) -> String {
    let count = |key: &str, one: &str| {
        let number = said(fields, key)?;
        let plural = if number == "1" { "" } else { "s" };
        Some(format!("{number} {one}{plural}"))
    };
    let counts = [count("size", "octet"), count("recipients", "recipient")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    match counts.is_empty() {
        true => String::new(),
        false => format!(": {}", counts.join(", ")),
    }
}

/// `delivered to <c@d.example>`, `deferred for <c@d.example>, next attempt at 10:00`.
pub(super) fn became(word: &str, fields: &Map<String, Value>) -> String {
    let put = |before: &str, key: &str| {
        said(fields, key).map_or_else(String::new, |text| format!("{before}{text}"))
    };
    let to = if word == "delivered" { " to " } else { " for " };
    format!("{word}{}{}", put(to, "to"), put(", next attempt at ", "until"))
}

/// `TLSv1.3 (TLS_AES_256_GCM_SHA384), no client certificate`.
fn tls(fields: &Map<String, Value>) -> String {
    let version = said(fields, "version").unwrap_or_else(|| "TLS".to_owned());
    let cipher = said(fields, "cipher").map_or_else(String::new, |cipher| format!(" ({cipher})"));
    let subject = said(fields, "certificate").map_or_else(String::new, |subject| format!(" {subject}"));
    let certificate = match said(fields, "verify").as_deref() {
        Some("OK") => format!(", client certificate{subject} verified"),
        Some("FAIL") => format!(", client certificate{subject} not trusted"),
        Some("NO") => ", no client certificate".to_owned(),
        _ => String::new(),
    };
    format!("{version}{cipher}{certificate}")
}

/// ` after 3 s`.
fn after(fields: &Map<String, Value>) -> String {
    said(fields, "seconds").map_or_else(String::new, |seconds| format!(" after {seconds} s"))
}

/// What the client had asked for.
fn refused(fields: &Map<String, Value>) -> String {
    let put = |before: &str, key: &str| {
        said(fields, key).map_or_else(String::new, |text| format!("{before}{text}"))
    };
    let has = |key: &str| fields.contains_key(key);
    if has("mechanism") {
        format!(
            "login{}{} refused",
            put(" as ", "login"),
            put(" by ", "mechanism")
        )
    } else if has("recipients") {
        format!("message refused{}{}", put(", from ", "from"), put(" to ", "to"))
    } else if has("to") {
        format!("RCPT TO:{} refused", put("", "to"))
    } else if has("from") {
        format!("MAIL FROM:{} refused", put("", "from"))
    } else {
        "refused".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whose_words() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows  its fields                                                     what is shown
            ("a rule's reason",     json!({"reason": "relaying denied"}),                          "relaying denied"),
            ("a host's reply",      json!({"relay": "mx.d.example", "reply": "250 ok"}),           "mx.d.example: 250 ok"),
            ("our own words",       json!({"relay": "mx.d.example", "reason": "no connection"}),   "mx.d.example: no connection"),
            ("a Maildir",           json!({"relay": "/var/mail"}),                                 "/var/mail"),
            ("nothing",             json!({}),                                                     ""),
        ];
        for (shows, fields, want) in cases {
            assert_eq!(why(fields.as_object().unwrap()), want, "{shows}");
        }
    }

    #[test]
    fn what_a_client_did() {
        #[rustfmt::skip]
        let cases = [
            // event       its fields                                                         what is shown
            ("connect",    json!({"listener": "mx", "peer": "192.0.2.1"}),                    "connection from 192.0.2.1 to mx"),
            ("helo",       json!({"helo": "client.example"}),                                 "client calls itself client.example"),
            ("tls",        json!({"version": "TLSv1.3", "cipher": "C", "verify": "NO"}),      "TLSv1.3 (C), no client certificate"),
            ("tls",        json!({"version": "TLSv1.3", "verify": "OK", "certificate": "CN=x"}), "TLSv1.3, client certificate CN=x verified"),
            ("tls",        json!({"version": "TLSv1.2", "verify": "FAIL"}),                   "TLSv1.2, client certificate not trusted"),
            ("login",      json!({"mechanism": "PLAIN", "login": "ann"}),                     "logged in as ann by PLAIN"),
            ("login",      json!({"mechanism": "PLAIN", "login": "ann", "acts_as": "bob"}),   "logged in as ann by PLAIN, acts as bob"),
            ("sender",     json!({"from": "<a@b.example>", "size": 9}),                       "MAIL FROM:<a@b.example> SIZE=9"),
            ("recipient",  json!({"from": "<a@b.example>", "to": "<c@d.example>"}),           "RCPT TO:<c@d.example>"),
            ("refused",    json!({"from": "<a@b.example>", "to": "<c@d.example>"}),           "RCPT TO:<c@d.example> refused"),
            ("refused",    json!({"from": "<a@b.example>"}),                                  "MAIL FROM:<a@b.example> refused"),
            ("refused",    json!({"from": "<a@b.example>", "to": "<c@d.example>", "recipients": 1}), "message refused, from <a@b.example> to <c@d.example>"),
            ("refused",    json!({"mechanism": "PLAIN", "login": "eve"}),                     "login as eve by PLAIN refused"),
            ("refused",    json!({}),                                                         "refused"),
            ("filtered",   json!({"queue": "0CN", "milter": "scan"}),                         "message 0CN filtered by scan"),
            ("discarded",  json!({"queue": "0CN", "milter": "scan"}),                         "message 0CN discarded by scan"),
            ("accepted",   json!({"queue": "0CN", "size": 5, "recipients": 2}),               "message 0CN accepted: 5 octets, 2 recipients"),
            ("accepted",   json!({"queue": "0CN", "size": 230, "recipients": 1}),             "message 0CN accepted: 230 octets, 1 recipient"),
            ("delivered",  json!({"queue": "0CN", "to": "<c@d.example>"}),                    "message 0CN delivered to <c@d.example>"),
            ("deferred",   json!({"queue": "0CN", "to": "<c@d.example>", "until": "10:00"}),  "message 0CN deferred for <c@d.example>, next attempt at 10:00"),
            ("bounced",    json!({"queue": "0CN", "to": "<c@d.example>"}),                    "message 0CN bounced for <c@d.example>"),
            ("disconnect", json!({"seconds": 0}),                                             "session ended after 0 s"),
        ];
        for (event, fields, shown) in cases {
            let fields = fields.as_object().unwrap();
            assert_eq!(what(event, fields), shown);
        }
    }
}
