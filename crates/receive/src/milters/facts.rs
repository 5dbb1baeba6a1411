//! What filters are told by sendmail's names (`milter::macros`): the connection, the login, the message, the recipient.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use postern_mail::{Domain, ForwardPath, Mailbox, QueueId, ReversePath};
use postern_milter::Macros;
use postern_milter::command::Peer;
use postern_net::tls::CertificateFacts;
use postern_smtp::server::Ground;

use crate::session::{Login, Session, literal};

/// What this program is called in `v`.
const VERSION: &str = concat!("Postern ", env!("CARGO_PKG_VERSION"));

/// Where an address leads: to which mailer, at which host, under which name there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Way {
    mailer: &'static str,
    host: String,
    address: String,
}

/// What is known of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    pub(super) id: Option<QueueId>,
    pub(super) sender: Option<Way>,
    /// What the client says in `AUTH=`.
    pub(super) submitter: Option<String>,
    pub(super) taken: u32,
    pub(super) refused: u32,
    pub(super) message_id: Option<String>,
}

/// All that is known at one step.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) session: &'a Session,
    pub(super) message: &'a Message,
    pub(super) recipient: Option<&'a Way>,
}

impl Way {
    /// That of a sender; the null sender's is local, and has no address.
    pub(super) fn of_sender(sender: &ReversePath, session: &Session) -> Self {
        match sender {
            ReversePath::Null => Self {
                mailer: "local",
                ..Self::default()
            },
            ReversePath::Mailbox(mailbox) if is_local(mailbox, session) => Self::here(mailbox),
            ReversePath::Mailbox(mailbox) => Self::elsewhere(mailbox),
        }
    }

    /// That of a recipient which is taken on this ground.
    pub(super) fn of_recipient(path: &ForwardPath, ground: Ground) -> Self {
        match path {
            ForwardPath::Postmaster => Self {
                mailer: "local",
                host: String::new(),
                address: "postmaster".into(),
            },
            ForwardPath::Mailbox { mailbox, .. } if ground == Ground::Here => Self::here(mailbox),
            ForwardPath::Mailbox { mailbox, .. } => Self::elsewhere(mailbox),
        }
    }

    /// That of a recipient which is refused: the enhanced status, and the words.
    pub(super) fn refused(reply: &postern_smtp::Reply) -> Self {
        Self {
            mailer: "error",
            host: reply.status.map(|status| status.to_string()).unwrap_or_default(),
            address: reply.text.replace('\n', " "),
        }
    }

    fn here(mailbox: &Mailbox) -> Self {
        Self {
            mailer: "local",
            host: String::new(),
            address: mailbox.unquoted_local().into_owned(),
        }
    }

    fn elsewhere(mailbox: &Mailbox) -> Self {
        Self {
            mailer: "esmtp",
            host: mailbox.domain().to_string(),
            address: mailbox.to_string(),
        }
    }
}

fn is_local(mailbox: &Mailbox, session: &Session) -> bool {
    let settings = &session.profile.settings;
    settings.relay.local_domains.contains_by_name(mailbox.domain())
        || matches!(mailbox.domain(), Domain::Name(_)) && mailbox.domain() == settings.main_domain()
}

/// How filters are told of a client: its name or its address in brackets, and where it connects from.
pub(super) fn peer(session: &Session) -> (String, Peer) {
    let address = session.peer.ip().to_canonical();
    let name = session.peer_name.clone();
    (
        name.unwrap_or_else(|| literal(address)),
        Peer::Network(address, session.peer.port()),
    )
}

impl Macros for Known<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let session = self.session;
        match name {
            "j" => Some(Cow::Borrowed(&session.profile.settings.hostname)),
            "_" => Some(Cow::Owned(session.peer_label())),
            "v" => Some(Cow::Borrowed(VERSION)),
            "i" => self.message.id.map(|id| Cow::Owned(id.to_string())),
            "{daemon_name}" => Some(Cow::Borrowed(session.listener())),
            "{client_name}" => Some(Cow::Owned(peer(session).0)),
            "{client_addr}" => Some(Cow::Owned(session.peer.ip().to_canonical().to_string())),
            "{client_port}" => Some(Cow::Owned(session.peer.port().to_string())),
            "{client_ptr}" => session.peer_name.as_deref().map(Cow::Borrowed),
            "{client_resolve}" => Some(Cow::Borrowed(if session.peer_name.is_some() {
                "OK"
            } else {
                "FAIL"
            })),
            "{msg_id}" => self.message.message_id.as_deref().map(Cow::Borrowed),
            "{nrcpts}" => Some(Cow::Owned(self.message.taken.to_string())),
            "{nbadrcpts}" => Some(Cow::Owned(self.message.refused.to_string())),
            _ => self
                .place(name)
                .or_else(|| self.tls(name))
                .or_else(|| self.login(name))
                .or_else(|| self.way(name)),
        }
    }
}

impl Known<'_> {
    /// Where the client has connected to.
    fn place(&self, name: &str) -> Option<Cow<'_, str>> {
        let local: SocketAddr = self.session.local?;
        let address: IpAddr = local.ip().to_canonical();
        Some(match name {
            "{daemon_addr}" => Cow::Owned(address.to_string()),
            "{daemon_port}" => Cow::Owned(local.port().to_string()),
            "{if_name}" if address.is_loopback() => Cow::Borrowed("localhost"),
            "{if_name}" => Cow::Borrowed(&self.session.profile.settings.hostname),
            "{if_addr}" if !address.is_loopback() => Cow::Owned(address.to_string()),
            _ => return None,
        })
    }

    fn tls(&self, name: &str) -> Option<Cow<'_, str>> {
        let Some(tls) = &self.session.tls else {
            return (name == "{verify}").then_some(Cow::Borrowed("NONE"));
        };
        let certificate = tls.client_certificate.as_ref();
        let of = |name: fn(&CertificateFacts) -> &str| certificate.map(name);
        let (subject, issuer) = (of(|facts| &facts.subject), of(|facts| &facts.issuer));
        match name {
            "{tls_version}" => Some(Cow::Borrowed(tls.version)),
            "{cipher}" => Some(Cow::Borrowed(tls.cipher)),
            "{cipher_bits}" => Some(Cow::Owned(tls.bits.to_string())),
            "{verify}" => Some(Cow::Borrowed(tls.verify.word())),
            "{cert_subject}" => subject.map(|name| Cow::Owned(in_slashes(name))),
            "{cert_issuer}" => issuer.map(|name| Cow::Owned(in_slashes(name))),
            "{cn_subject}" => Some(Cow::Owned(common_name(subject?)?)),
            "{cn_issuer}" => Some(Cow::Owned(common_name(issuer?)?)),
            _ => None,
        }
    }

    fn login(&self, name: &str) -> Option<Cow<'_, str>> {
        let login: &Login = self.session.login.as_ref()?;
        match name {
            "{auth_type}" => Some(Cow::Borrowed(login.mechanism.name())),
            "{auth_authen}" => Some(Cow::Borrowed(login.authcid())),
            "{auth_ssf}" => Some(Cow::Owned(login.layer_bits.to_string())),
            "{auth_author}" => {
                let submitter = self.message.submitter.as_deref();
                let submitter = submitter.filter(|submitter| !submitter.is_empty());
                submitter.or_else(|| login.acts_as()).map(Cow::Borrowed)
            }
            _ => None,
        }
    }

    fn way(&self, name: &str) -> Option<Cow<'_, str>> {
        let (way, part) = match name.strip_prefix("{mail_") {
            Some(part) => (self.message.sender.as_ref()?, part),
            None => (self.recipient?, name.strip_prefix("{rcpt_")?),
        };
        match part {
            "mailer}" => Some(Cow::Borrowed(way.mailer)),
            "host}" => Some(Cow::Borrowed(&way.host)),
            "addr}" => Some(Cow::Borrowed(&way.address)),
            _ => None,
        }
    }
}

/// A name of RFC 4514 as sendmail writes it: the largest part first, slashes between, and `+20` for a blank.
fn in_slashes(name: &str) -> String {
    let mut out = String::new();
    for part in parts(name).iter().rev() {
        out.push('/');
        for octet in part.bytes() {
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
    out
}

/// The value of its first `CN`.
fn common_name(name: &str) -> Option<String> {
    let parts = parts(name);
    let mut names = parts.iter().filter_map(|part| part.strip_prefix("CN="));
    names.next().map(str::to_owned)
}

/// `type=value` each, as they stand there, without the backslashes (RFC 4514 section 2.4).
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
    fn names_of_certificates() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows      as openssl prints it                        sendmail's                              the common name
            ("one part",                "CN=laptop.example",                        "/CN=laptop.example",                   "laptop.example"),
            ("several",                 "CN=a,OU=b,O=c",                            "/O=c/OU=b/CN=a",                       "a"),
            ("blanks and parentheses",  "CN=An Owner (old),O=Space Co",             "/O=Space+20Co/CN=An+20Owner+20+28old+29", "An Owner (old)"),
            ("a comma in a name",       "CN=Aird\\, C.,O=x",                        "/O=x/CN=Aird,+20C.",                   "Aird, C."),
            ("octets in hexadecimal",   "CN=J\\C3\\BCrgen",                         "/CN=J+C3+BCrgen",                      "Jürgen"),
            ("no common name",          "O=x",                                      "/O=x",                                 ""),
            ("nothing",                 "",                                         "/",                                    ""),
        ];
        for (shows, name, slashes, common) in cases {
            assert_eq!(in_slashes(name), slashes, "{shows}");
            assert_eq!(common_name(name).unwrap_or_default(), common, "{shows}");
        }
    }
}
