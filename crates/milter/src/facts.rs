//! What filters are told under sendmail's macro names (see [`crate::macros`]): the connection, the login, the message, the
//! recipient.
//!
//! A session, or a test of a filter, provides here what is known; the spelling is the same for both.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use crate::command::Peer;
use crate::macros::Macros;

/// Everything that is known at one step.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The name of this server; `j`.
    pub hostname: &'a str,
    /// The name of this program, with its version; `v`.
    pub version: &'a str,
    /// The name of the listener; `{daemon_name}`.
    pub listener: &'a str,
    /// The address that the client connected to; `{daemon_addr}`, `{daemon_port}`, `{if_addr}`, and `{if_name}`, which is the
    /// server's name or, for the loopback, `localhost`.
    pub local: Option<SocketAddr>,
    /// The client.
    pub client: Client<'a>,
    /// TLS, once it has started.
    pub tls: Option<Tls<'a>>,
    /// The login, once there is one.
    pub login: Option<Login<'a>>,
    /// The current message.
    pub message: &'a Message,
    /// The mailer of the current recipient.
    pub recipient: Option<&'a Way>,
}

/// A client, and what DNS says about its address.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address and port.
    pub address: SocketAddr,
    /// The host name of its address.
    pub resolved: Resolved<'a>,
}

/// What DNS says about a client's host name; `{client_resolve}`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolved<'a> {
    /// `OK`: it has this name, which is confirmed by an address record.
    Confirmed(&'a str),
    /// `FORGED`: it has this name, which is not confirmed.
    Forged(&'a str),
    /// `FAIL`: it has no name.
    Nameless,
    /// `TEMP`: DNS gave no answer for now. If the name is known, it is not known whether it is confirmed.
    Unsure(Option<&'a str>),
}

/// The result of a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// `TLSv1.3`.
    pub version: &'a str,
    /// The name of the cipher suite.
    pub cipher: &'a str,
    /// The bits of its key.
    pub bits: u32,
    /// `OK`, `NO`, `FAIL`: the result of verifying the client's certificate; `{verify}`, which is `NONE` without TLS.
    pub verify: &'a str,
    /// The subject of the client's certificate, in the form of RFC 4514.
    pub subject: Option<&'a str>,
    /// Its issuer, likewise.
    pub issuer: Option<&'a str>,
}

/// The authenticated user.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The name of the mechanism.
    pub mechanism: &'a str,
    /// The user who authenticated.
    pub authcid: &'a str,
    /// Who the session acts as, if somebody else.
    pub acts_as: Option<&'a str>,
    /// Strength of the security layer of SASL, in bits.
    pub layer_bits: u32,
}

/// What is known about a message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The queue id; `i`.
    pub id: Option<String>,
    /// The mailer of its sender.
    pub sender: Option<Way>,
    /// The client's `AUTH=`, if it is accepted.
    pub submitter: Option<String>,
    /// Recipients accepted so far; `{nrcpts}`.
    pub taken: u32,
    /// Recipients refused so far; `{nbadrcpts}`.
    pub refused: u32,
    /// Its `Message-ID`, once the header has arrived.
    pub message_id: Option<String>,
}

/// The mailer triple of an address: mailer, host, and address there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Way {
    mailer: &'static str,
    host: String,
    address: String,
}

impl Way {
    /// For the null sender: local, without an address.
    #[must_use]
    pub fn null() -> Self {
        Self::here("")
    }

    /// For a local address, by its local part without quotes.
    #[must_use]
    pub fn here(local: impl Into<String>) -> Self {
        Self {
            mailer: "local",
            host: String::new(),
            address: local.into(),
        }
    }

    /// For a remote address.
    #[must_use]
    pub fn elsewhere(host: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            mailer: "esmtp",
            host: host.into(),
            address: address.into(),
        }
    }

    /// For a refused recipient: the enhanced status, if there is one, and the text.
    #[must_use]
    pub fn refused(status: impl Into<String>, text: &str) -> Self {
        Self {
            mailer: "error",
            host: status.into(),
            address: text.replace('\n', " "),
        }
    }

    fn part(&self, name: &str) -> Option<&str> {
        match name {
            "mailer}" => Some(self.mailer),
            "host}" => Some(&self.host),
            "addr}" => Some(&self.address),
            _ => None,
        }
    }
}

impl<'a> Client<'a> {
    fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// Its name, or its address in brackets if it has no confirmed name; `{client_name}`.
    #[must_use]
    pub fn name(&self) -> Cow<'a, str> {
        match self.resolved {
            Resolved::Confirmed(name) => Cow::Borrowed(name),
            _ => Cow::Owned(self.literal()),
        }
    }

    /// Its peer address, for the connect command.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::Network(self.ip(), self.address.port())
    }

    /// Its host name, confirmed or not; `{client_ptr}`.
    fn pointer(&self) -> Cow<'a, str> {
        match self.resolved {
            Resolved::Confirmed(name) | Resolved::Forged(name) | Resolved::Unsure(Some(name)) => {
                Cow::Borrowed(name)
            }
            Resolved::Nameless | Resolved::Unsure(None) => Cow::Owned(self.literal()),
        }
    }

    /// Name and address; `_`.
    fn seen_as(&self) -> String {
        let literal = self.literal();
        match self.resolved {
            Resolved::Confirmed(name) => format!("{name} {literal}"),
            Resolved::Forged(name) | Resolved::Unsure(Some(name)) => {
                format!("{name} {literal} (may be forged)")
            }
            Resolved::Nameless | Resolved::Unsure(None) => literal,
        }
    }

    const fn resolve(&self) -> &'static str {
        match self.resolved {
            Resolved::Confirmed(_) => "OK",
            Resolved::Forged(_) => "FORGED",
            Resolved::Nameless => "FAIL",
            Resolved::Unsure(_) => "TEMP",
        }
    }

    fn literal(&self) -> String {
        match self.ip() {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        }
    }
}

impl Macros for Facts<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let (client, message) = (&self.client, self.message);
        match name {
            "j" => Some(Cow::Borrowed(self.hostname)),
            "_" => Some(Cow::Owned(client.seen_as())),
            "v" => Some(Cow::Borrowed(self.version)),
            "i" => message.id.as_deref().map(Cow::Borrowed),
            "{daemon_name}" => Some(Cow::Borrowed(self.listener)),
            "{client_name}" => Some(client.name()),
            "{client_addr}" => Some(Cow::Owned(client.ip().to_string())),
            "{client_port}" => Some(Cow::Owned(client.address.port().to_string())),
            "{client_ptr}" => Some(client.pointer()),
            "{client_resolve}" => Some(Cow::Borrowed(client.resolve())),
            "{msg_id}" => message.message_id.as_deref().map(Cow::Borrowed),
            "{nrcpts}" => Some(Cow::Owned(message.taken.to_string())),
            "{nbadrcpts}" => Some(Cow::Owned(message.refused.to_string())),
            _ => self
                .place(name)
                .or_else(|| self.tls(name))
                .or_else(|| self.login(name))
                .or_else(|| self.way(name)),
        }
    }
}

impl Facts<'_> {
    /// Where the client has connected to.
    fn place(&self, name: &str) -> Option<Cow<'_, str>> {
        let local = self.local?;
        let address = local.ip().to_canonical();
        Some(match name {
            "{daemon_addr}" => Cow::Owned(address.to_string()),
            "{daemon_port}" => Cow::Owned(local.port().to_string()),
            "{if_name}" if address.is_loopback() => Cow::Borrowed("localhost"),
            "{if_name}" => Cow::Borrowed(self.hostname),
            "{if_addr}" if !address.is_loopback() => Cow::Owned(address.to_string()),
            _ => return None,
        })
    }

    fn tls(&self, name: &str) -> Option<Cow<'_, str>> {
        let Some(tls) = &self.tls else {
            return (name == "{verify}").then_some(Cow::Borrowed("NONE"));
        };
        match name {
            "{tls_version}" => Some(Cow::Borrowed(tls.version)),
            "{cipher}" => Some(Cow::Borrowed(tls.cipher)),
            "{cipher_bits}" => Some(Cow::Owned(tls.bits.to_string())),
            "{verify}" => Some(Cow::Borrowed(tls.verify)),
            "{cert_subject}" => Some(Cow::Owned(in_slashes(tls.subject?))),
            "{cert_issuer}" => Some(Cow::Owned(in_slashes(tls.issuer?))),
            "{cn_subject}" => Some(Cow::Owned(common_name(tls.subject?)?)),
            "{cn_issuer}" => Some(Cow::Owned(common_name(tls.issuer?)?)),
            _ => None,
        }
    }

    fn login(&self, name: &str) -> Option<Cow<'_, str>> {
        let login = self.login.as_ref()?;
        match name {
            "{auth_type}" => Some(Cow::Borrowed(login.mechanism)),
            "{auth_authen}" => Some(Cow::Borrowed(login.authcid)),
            "{auth_ssf}" => Some(Cow::Owned(login.layer_bits.to_string())),
            "{auth_author}" => {
                let submitter = self.message.submitter.as_deref();
                let submitter = submitter.filter(|submitter| !submitter.is_empty());
                submitter.or(login.acts_as).map(Cow::Borrowed)
            }
            _ => None,
        }
    }

    fn way(&self, name: &str) -> Option<Cow<'_, str>> {
        let part = match name.strip_prefix("{mail_") {
            Some(part) => self.message.sender.as_ref()?.part(part),
            None => self.recipient?.part(name.strip_prefix("{rcpt_")?),
        };
        part.map(Cow::Borrowed)
    }
}
/// An RFC 4514 name as sendmail writes it: the most significant part first, separated by slashes, with `+20` for a space.
fn in_slashes(name: &str) -> String {
    let mut out = String::new();
    for part in parts(name).iter().rev() {
        out.push('/');
        escape(part, &mut out);
    }
    out
}

/// Spaces, and characters that could mislead readers, become `+20` and the like.
fn escape(text: &str, out: &mut String) {
    for octet in text.bytes() {
        match octet {
            b'!'..=b'~' if !matches!(octet, b'+' | b'<' | b'>' | b'(' | b')' | b'"') => {
                out.push(char::from(octet));
            }
            _ => {
                use std::fmt::Write as _;
                let _ = write!(out, "+{octet:02X}");
            }
        }
    }
}

/// The value of its first `CN`, with the same escapes.
fn common_name(name: &str) -> Option<String> {
    let parts = parts(name);
    let name = parts.iter().find_map(|part| part.strip_prefix("CN="))?;
    let mut out = String::new();
    escape(name, &mut out);
    Some(out)
}

/// The `type=value` parts as written, without the backslashes (RFC 4514 section 2.4).
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![Vec::new()];
    let mut octets = name.bytes().peekable();
    while let Some(octet) = octets.next() {
        let Some(part) = parts.last_mut() else { break };
        match octet {
            b',' => parts.push(Vec::new()),
            b'\\' => {
                let Some(next) = octets.next() else { break };
                let digits = [next, octets.peek().copied().unwrap_or_default()];
                let hex = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|_| digits.iter().all(u8::is_ascii_hexdigit));
                match hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(octet) => {
                        octets.next();
                        part.push(octet);
                    }
                    None => part.push(next),
                }
            }
            _ => part.push(octet),
        }
    }
    parts
        .into_iter()
        .map(|part| String::from_utf8_lossy(&part).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dns_says_of_a_client() {
        let (name, odd) = ("c.example", "[192.0.2.1]");
        #[rustfmt::skip]
        let cases = [
            // what the case shows          DNS says                        resolve     name    ptr     seen as
            ("a name that leads back",      Resolved::Confirmed(name),      "OK",       name,   name,   "c.example [192.0.2.1]"),
            ("one that does not",           Resolved::Forged(name),         "FORGED",   odd,    name,   "c.example [192.0.2.1] (may be forged)"),
            ("none",                        Resolved::Nameless,             "FAIL",     odd,    odd,    odd),
            ("no answer",                   Resolved::Unsure(None),         "TEMP",     odd,    odd,    odd),
            ("a name, and no more answer",  Resolved::Unsure(Some(name)),   "TEMP",     odd,    name,   "c.example [192.0.2.1] (may be forged)"),
        ];
        for (shows, resolved, resolve, name, pointer, seen_as) in cases {
            let message = Message::default();
            let facts = facts("[::ffff:192.0.2.1]:25", resolved, &message);
            let values = ["{client_resolve}", "{client_name}", "{client_ptr}", "_"];
            let values = values.map(|name| facts.value(name).unwrap_or_default().into_owned());
            assert_eq!(values, [resolve, name, pointer, seen_as], "{shows}");
        }
        let message = Message::default();
        let facts = facts("[2001:db8::1]:25", Resolved::Nameless, &message);
        assert_eq!(facts.client.name(), "[IPv6:2001:db8::1]");
        assert_eq!(
            facts.client.peer(),
            Peer::Network("2001:db8::1".parse().unwrap(), 25)
        );
    }

    fn facts<'a>(client: &str, resolved: Resolved<'a>, message: &'a Message) -> Facts<'a> {
        Facts {
            hostname: "mx.example",
            version: "Postern 1",
            listener: "mx",
            local: Some("192.0.2.25:25".parse().unwrap()),
            client: Client {
                address: client.parse().unwrap(),
                resolved,
            },
            tls: None,
            login: None,
            message,
            recipient: None,
        }
    }

    #[test]
    fn values() {
        let message = Message {
            id: Some("0CN5C1SH20000".into()),
            sender: Some(Way::elsewhere("far.example", "a@far.example")),
            submitter: None,
            taken: 2,
            refused: 1,
            message_id: Some("<1@far.example>".into()),
        };
        let to = Way::refused("5.1.1", "User unknown\nreally");
        let login = Login {
            mechanism: "PLAIN",
            authcid: "root",
            acts_as: Some("ann"),
            layer_bits: 0,
        };
        let all = Facts {
            login: Some(login),
            recipient: Some(&to),
            ..facts("192.0.2.1:49152", Resolved::Nameless, &message)
        };
        let submitted = Message {
            submitter: Some("bob@x.example".into()),
            sender: Some(Way::null()),
            ..message.clone()
        };
        let of_bob = Facts {
            message: &submitted,
            local: Some("127.0.0.1:25".parse().unwrap()),
            ..all
        };
        #[rustfmt::skip]
        let cases = [
            (&all,      "i",                "0CN5C1SH20000"),
            (&all,      "{daemon_addr}",    "192.0.2.25"),
            (&all,      "{daemon_port}",    "25"),
            (&all,      "{if_name}",        "mx.example"),
            (&all,      "{if_addr}",        "192.0.2.25"),
            (&of_bob,   "{if_name}",        "localhost"),
            (&of_bob,   "{if_addr}",        "-"),
            (&all,      "{client_port}",    "49152"),
            (&all,      "{verify}",         "NONE"),
            (&all,      "{cipher}",         "-"),
            (&all,      "{auth_authen}",    "root"),
            (&all,      "{auth_author}",    "ann"),
            (&of_bob,   "{auth_author}",    "bob@x.example"),
            (&all,      "{auth_ssf}",       "0"),
            (&all,      "{mail_mailer}",    "esmtp"),
            (&all,      "{mail_host}",      "far.example"),
            (&all,      "{mail_addr}",      "a@far.example"),
            (&of_bob,   "{mail_mailer}",    "local"),
            (&of_bob,   "{mail_addr}",      ""),
            (&all,      "{rcpt_mailer}",    "error"),
            (&all,      "{rcpt_host}",      "5.1.1"),
            (&all,      "{rcpt_addr}",      "User unknown really"),
            (&all,      "{nrcpts}",         "2"),
            (&all,      "{nbadrcpts}",      "1"),
            (&all,      "{msg_id}",         "<1@far.example>"),
            (&all,      "{unheard_of}",     "-"),
        ];
        for (facts, name, expected) in cases {
            let value = facts.value(name);
            assert_eq!(value.as_deref().unwrap_or("-"), expected, "{name}");
        }
    }

    #[test]
    fn names_of_certificates() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows      as openssl prints it                        sendmail's                              the common name
            ("one part",                "CN=laptop.example",                        "/CN=laptop.example",                   "laptop.example"),
            ("several",                 "CN=a,OU=b,O=c",                            "/O=c/OU=b/CN=a",                       "a"),
            ("blanks and parentheses",  "CN=An Owner (old),O=Space Co",             "/O=Space+20Co/CN=An+20Owner+20+28old+29", "An+20Owner+20+28old+29"),
            ("a comma in a name",       "CN=Aird\\, C.,O=x",                        "/O=x/CN=Aird,+20C.",                   "Aird,+20C."),
            ("octets in hexadecimal",   "CN=J\\C3\\BCrgen",                         "/CN=J+C3+BCrgen",                      "J+C3+BCrgen"),
            ("a line end in a name",    "CN=a\\0AX-Spam: no",                       "/CN=a+0AX-Spam:+20no",                 "a+0AX-Spam:+20no"),
            ("no common name",          "O=x",                                      "/O=x",                                 ""),
            ("nothing",                 "",                                         "/",                                    ""),
        ];
        for (shows, name, slashes, common) in cases {
            assert_eq!(in_slashes(name), slashes, "{shows}");
            assert_eq!(common_name(name).unwrap_or_default(), common, "{shows}");
        }
    }
}
