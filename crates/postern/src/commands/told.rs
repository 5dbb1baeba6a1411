//! Events of sessions and messages, in words for people.

use serde_json::{Map, Value};

/// A field as text, even if it is a number.
pub(super) fn said(fields: &Map<String, Value>, key: &str) -> Option<String> {
    match fields.get(key)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The reason of a verdict, or a host's reply.
pub(super) fn why(fields: &Map<String, Value>) -> String {
    let text = said(fields, "reason")
        .or_else(|| said(fields, "reply"))
        .unwrap_or_default();
    match (said(fields, "relay"), text.is_empty()) {
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
        "helo" => format!("HELO{}", put(" ", "helo")),
        "tls" => format!(
            "TLS{}{}{}{}",
            put(" ", "version"),
            put(" ", "cipher"),
            put(", certificate ", "verify"),
            put(" ", "certificate")
        ),
        "login" => format!(
            "AUTH{}{}{}",
            put(" ", "mechanism"),
            put(" as ", "login"),
            put(" for ", "acts_as")
        ),
        "sender" => format!("MAIL FROM:{}{}", put("", "from"), put(" SIZE=", "size")),
        "recipient" => format!("RCPT TO:{}", put("", "to")),
        "accepted" => format!(
            "message {} accepted{}{}",
            put("", "queue"),
            put(", octets: ", "size"),
            put(", recipients: ", "recipients")
        ),
        "filtered" => format!("message {} filtered{}", put("", "queue"), put(" by ", "milter")),
        "discarded" => format!(
            "message {} thrown away{}",
            put("", "queue"),
            put(" by ", "milter")
        ),
        "delivered" | "deferred" | "bounced" | "expired" => format!(
            "message {} {event}{}{}",
            put("", "queue"),
            put(" to ", "to"),
            put(", next try ", "until")
        ),
        "held" | "released" | "retried" | "flushed" | "removed" => {
            format!("message {} {event}{}", put("", "queue"), put(" by ", "by"))
        }
        "disconnect" => format!("end of the session{}", put(" after seconds: ", "seconds")),
        "refused" if fields.contains_key("mechanism") => {
            format!("AUTH{}{}", put(" ", "mechanism"), put(" as ", "login"))
        }
        "refused" if fields.contains_key("recipients") => {
            format!("message refused{}{}", put(", from ", "from"), put(" to ", "to"))
        }
        "refused" if fields.contains_key("to") => format!("RCPT TO:{}", put("", "to")),
        "refused" if fields.contains_key("from") => format!("MAIL FROM:{}", put("", "from")),
        other => other.to_owned(),
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
            ("connect",    json!({"listener": "mx"}),                                         "connect"),
            ("helo",       json!({"helo": "client.example"}),                                 "HELO client.example"),
            ("tls",        json!({"version": "TLSv1.3", "cipher": "C", "verify": "NO"}),      "TLS TLSv1.3 C, certificate NO"),
            ("login",      json!({"mechanism": "PLAIN", "login": "ann"}),                     "AUTH PLAIN as ann"),
            ("sender",     json!({"from": "<a@b.example>", "size": 9}),                       "MAIL FROM:<a@b.example> SIZE=9"),
            ("recipient",  json!({"from": "<a@b.example>", "to": "<c@d.example>"}),           "RCPT TO:<c@d.example>"),
            ("refused",    json!({"from": "<a@b.example>", "to": "<c@d.example>"}),           "RCPT TO:<c@d.example>"),
            ("refused",    json!({"from": "<a@b.example>"}),                                  "MAIL FROM:<a@b.example>"),
            ("refused",    json!({"from": "<a@b.example>", "to": "<c@d.example>", "recipients": 1}), "message refused, from <a@b.example> to <c@d.example>"),
            ("refused",    json!({"mechanism": "PLAIN", "login": "eve"}),                     "AUTH PLAIN as eve"),
            ("refused",    json!({}),                                                         "refused"),
            ("filtered",   json!({"queue": "0CN", "milter": "scan"}),                         "message 0CN filtered by scan"),
            ("discarded",  json!({"queue": "0CN", "milter": "scan"}),                         "message 0CN thrown away by scan"),
            ("accepted",   json!({"queue": "0CN", "size": 5, "recipients": 2}),               "message 0CN accepted, octets: 5, recipients: 2"),
            ("delivered",  json!({"queue": "0CN", "to": "<c@d.example>"}),                    "message 0CN delivered to <c@d.example>"),
            ("deferred",   json!({"queue": "0CN", "to": "<c@d.example>", "until": "10:00"}),  "message 0CN deferred to <c@d.example>, next try 10:00"),
        ];
        for (event, fields, shown) in cases {
            let fields = fields.as_object().unwrap();
            assert_eq!(what(event, fields), shown);
        }
    }
}
