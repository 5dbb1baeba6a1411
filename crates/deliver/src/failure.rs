//! Why an attempt failed, and what follows from that.

use std::borrow::Cow;
use std::sync::Arc;

use postern_mail::{FailureFact, FailureKind, Status};
use postern_policy::transport::Way;
use postern_smtp::Reply;
use postern_smtp::client::{Stage, Unmet};
use postern_smtp::reply::Class;
use postern_spool::Attempt;

use crate::meaning::status_of;
use crate::relay::Relay;

/// Most octets of a reply that are kept in spool, log and reports.
const REPLY_MAX: usize = 1_000;

/// A failure of one recipient, or of the whole attempt.
///
/// This is the one place where a failure becomes a decision: permanent or not, with which status, elsewhere or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) permanent: bool,
    pub(crate) status: Status,
    /// The host that caused it, if one was reached.
    pub(crate) relay: Relay,
    /// How far DNSSEC proves the path to it, if it is on.
    pub(crate) way: Way,
    /// Shared by all recipients of an attempt.
    pub(crate) cause: Arc<Cause>,
}

/// What made an attempt fail. Texts are for people; decisions are based on the rest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// The host refused.
    Refused {
        /// In which stage.
        stage: Stage,
        reply: Reply,
    },
    /// DNS names no host, or does not answer.
    Dns(DnsFact, Words),
    /// No connection could be made.
    Unreached(Words),
    /// The connection broke.
    Lost {
        /// What was awaited, if known.
        stage: Option<Stage>,
        /// Whether the host may have accepted the message.
        taken: bool,
        text: Words,
    },
    /// Required TLS is not available, or failed.
    Tls(TlsFact, Words),
    /// The credentials were not available, or not accepted.
    Login {
        /// The host's reply.
        reply: Option<Reply>,
        text: Words,
    },
    /// The host lacks what the message needs.
    Unmet(Unmet),
    /// The route leads back to this server.
    Loop(Words),
    /// There is no such mailbox.
    NoMailbox(Words),
    /// The settings do not allow delivery: no route, no place, no time.
    Settings(Words),
    /// A problem with a user's mailbox, or the user's delivery program.
    Mailbox(MailboxFact, Words),
    /// A problem of this host: its disk, its directories.
    Local(Words),
}

/// What is wrong with a user's mailbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MailboxFact {
    /// The user has no room left.
    Full,
    /// Another program has locked it.
    Locked,
    /// It cannot be written to, or must not be.
    Unusable,
    /// The user's delivery program refused the mail, or failed.
    Agent,
}

/// A text of this program. Long parts that came from a peer are cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words(String);

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(shorten(text))
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A DNS fact about a domain or host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DnsFact {
    /// There is no such domain.
    NoDomain,
    /// The domain accepts no mail (RFC 7505).
    NullMx,
    /// Its records name no usable host.
    NoHost,
    /// It points to a forbidden address.
    NoWay,
    /// No answer.
    NoAnswer,
    /// An answer that fails DNSSEC validation.
    Bogus,
    /// No proven TLSA record, though the route requires one.
    NoTlsa,
}

/// What is wrong with TLS at a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TlsFact {
    /// It is not offered, or refused.
    NotOffered,
    /// The handshake failed, including verification of the certificate.
    Handshake,
    /// The certificate is not one that the host's TLSA records name.
    Dane,
    /// It broke before the first answer inside.
    BrokeAfterwards,
}

impl Cause {
    /// The host's reply, or our own text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Refused { reply, .. } => shorten(reply.to_string()).into(),
            Self::Unmet(unmet) => unmet.to_string().into(),
            Self::Dns(_, text)
            | Self::Unreached(text)
            | Self::Lost { text, .. }
            | Self::Tls(_, text)
            | Self::Login { text, .. }
            | Self::Loop(text)
            | Self::NoMailbox(text)
            | Self::Settings(text)
            | Self::Mailbox(_, text)
            | Self::Local(text) => text.0.as_str().into(),
        }
    }

    /// The host's reply.
    pub(crate) fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Refused { reply, .. } => Some(reply),
            Self::Login { reply, .. } => reply.as_ref(),
            _ => None,
        }
    }

    /// What is kept of it besides the text.
    fn fact(&self) -> FailureFact {
        let (kind, stage) = match self {
            Self::Refused { stage, .. } => (FailureKind::Refused, Some(*stage)),
            Self::Dns(fact, _) => (fact.kind(), None),
            Self::Unreached(_) => (FailureKind::Unreachable, None),
            Self::Lost { stage, .. } => (FailureKind::Lost, *stage),
            Self::Tls(fact, _) => (fact.kind(), None),
            Self::Login { reply, .. } => (FailureKind::Login, reply.as_ref().map(|_| Stage::Auth)),
            Self::Unmet(unmet) => (lacking(unmet), None),
            Self::Loop(_) => (FailureKind::Loop, None),
            Self::NoMailbox(_) => (FailureKind::MailboxUnknown, None),
            Self::Settings(_) => (FailureKind::Settings, None),
            Self::Mailbox(fact, _) => (fact.kind(), None),
            Self::Local(_) => (FailureKind::Local, None),
        };
        FailureFact { kind, stage }
    }
}

impl DnsFact {
    fn kind(self) -> FailureKind {
        match self {
            Self::NoDomain => FailureKind::DnsNoDomain,
            Self::NullMx => FailureKind::DnsNullMx,
            Self::NoHost => FailureKind::DnsNoHost,
            Self::NoWay => FailureKind::DnsUnreachable,
            Self::NoAnswer => FailureKind::DnsNoAnswer,
            Self::Bogus => FailureKind::DnsBogus,
            Self::NoTlsa => FailureKind::DnsNoTlsa,
        }
    }
}

impl MailboxFact {
    fn kind(self) -> FailureKind {
        match self {
            Self::Full => FailureKind::MailboxFull,
            Self::Locked => FailureKind::MailboxLocked,
            Self::Unusable => FailureKind::MailboxUnusable,
            Self::Agent => FailureKind::Agent,
        }
    }
}

impl TlsFact {
    fn kind(self) -> FailureKind {
        match self {
            Self::NotOffered => FailureKind::TlsNotOffered,
            Self::Handshake => FailureKind::TlsHandshake,
            Self::Dane => FailureKind::TlsDane,
            Self::BrokeAfterwards => FailureKind::TlsLost,
        }
    }
}

fn lacking(unmet: &Unmet) -> FailureKind {
    match unmet {
        Unmet::TooLarge { .. } => FailureKind::LacksSize,
        Unmet::Utf8 => FailureKind::LacksUtf8,
        Unmet::EightBit | Unmet::Unconvertible(_) => FailureKind::LacksEightBit,
        Unmet::Binary => FailureKind::LacksBinary,
    }
}

impl Failure {
    fn new(permanent: bool, status: Status, relay: &Relay, cause: Cause) -> Self {
        Self {
            permanent,
            status,
            relay: relay.clone(),
            way: Way::default(),
            cause: Arc::new(cause),
        }
    }

    /// The same, with a path that is proven this far.
    pub(crate) fn on(self, way: Way) -> Self {
        Self { way, ..self }
    }

    /// A temporary failure.
    pub(crate) fn temporary(status: Status, relay: &Relay, cause: Cause) -> Self {
        Self::new(false, status, relay, cause)
    }

    /// A permanent failure.
    pub(crate) fn permanent(status: Status, relay: &Relay, cause: Cause) -> Self {
        Self::new(true, status, relay, cause)
    }

    /// The host refused. Only 5xx is permanent; a reply that makes no sense at this stage counts as a temporary fault.
    pub(crate) fn refused(stage: Stage, reply: &Reply, relay: &Relay) -> Self {
        let cause = Cause::Refused {
            stage,
            reply: reply.clone(),
        };
        Self::new(reply.is_permanent(), status_of(stage, reply), relay, cause)
    }

    /// The same, but temporary.
    pub(crate) fn passing(self) -> Self {
        Self {
            permanent: false,
            status: Status(4, self.status.1, self.status.2),
            ..self
        }
    }

    /// The connection broke before the host can have had the whole message.
    pub(crate) fn cut_short(relay: &Relay, stage: Stage, text: impl Into<Words>) -> Self {
        Self::broke(relay, Some(stage), false, text)
    }

    /// The connection broke. After the end of the data the message may have arrived; it is still tried again, since a duplicate
    /// is better than a loss (RFC 5321 section 4.5.3.2.6, RFC 1047).
    pub(crate) fn lost(relay: &Relay, stage: Option<Stage>, text: impl Into<Words>) -> Self {
        Self::broke(relay, stage, true, text)
    }

    fn broke(relay: &Relay, stage: Option<Stage>, taken: bool, text: impl Into<Words>) -> Self {
        let text = text.into();
        Self::temporary(Status(4, 4, 2), relay, Cause::Lost { stage, taken, text })
    }

    /// The host lacks what the message needs.
    pub(crate) fn unmet(unmet: Unmet, relay: &Relay) -> Self {
        Self::permanent(unmet.status(), relay, Cause::Unmet(unmet))
    }

    /// The host's reply, or our own text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        self.cause.text()
    }

    /// Whether [`Failure::text`] is a reply of the host.
    pub(crate) fn is_reply(&self) -> bool {
        matches!(*self.cause, Cause::Refused { .. })
    }

    /// Whether another host may be tried in the same attempt: this one could not continue, and does not have the message.
    pub(crate) fn may_go_elsewhere(&self) -> bool {
        match &*self.cause {
            Cause::Refused { stage, reply } => is_of_the_host(*stage, reply),
            Cause::Lost { taken, .. } => !taken,
            _ => false,
        }
    }

    /// In the form kept in the spool.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            relay: self.relay.to_string(),
            status: Some(self.status),
            reply: self.text().into_owned(),
            failure: Some(self.fact()),
        }
    }

    /// What is kept of its cause besides the text.
    pub(crate) fn fact(&self) -> FailureFact {
        self.cause.fact()
    }

    /// On one line, for logs and listings.
    pub(crate) fn line(&self) -> String {
        if self.relay.is_somewhere() {
            format!("{}: {}", self.relay, self.text())
        } else {
            self.text().into_owned()
        }
    }
}

/// Whether a refusal is about the host and not about message or recipient: it is closing (421), or cannot begin now. A
/// temporarily refused recipient is not offered to the next host at once, since the hosts of a domain greylist together.
fn is_of_the_host(stage: Stage, reply: &Reply) -> bool {
    reply.code == 421 || (reply.class() == Class::Transient && matches!(stage, Stage::Mail | Stage::Data))
}

/// Whether a refusal says that the session is not authenticated, or not strongly enough (RFC 4954 section 6): if it was, this is
/// a matter for the administrators of both sides, not for the sender.
pub(crate) fn disowns_login(stage: Stage, reply: &Reply) -> bool {
    matches!(reply.code, 530 | 535 | 538) && matches!(stage, Stage::Mail | Stage::Recipient | Stage::Data)
}

/// Whether a refusal asks for TLS first (530 by RFC 3207 section 4, and other replies in use).
pub(crate) fn insists_on_tls(stage: Stage, reply: &Reply) -> bool {
    let before_content = matches!(stage, Stage::Mail | Stage::Recipient | Stage::Data);
    let says_so = || {
        let text = reply.text.to_ascii_lowercase();
        text.contains("starttls") || text.contains("tls required") || text.contains("encrypt")
    };
    before_content && (matches!(reply.code, 530 | 538) || says_so())
}

/// A successful reply, in the form kept in the spool.
pub(crate) fn success(reply: &Reply, relay: &Relay) -> Attempt {
    Attempt {
        relay: relay.to_string(),
        status: Some(
            reply
                .status
                .filter(|status| status.0 == 2)
                .unwrap_or(Status(2, 0, 0)),
        ),
        reply: shorten(reply.to_string()),
        failure: None,
    }
}

/// Cuts a long text from a peer.
pub(crate) fn shorten(mut text: String) -> String {
    if text.len() > REPLY_MAX {
        let cut = (0..=REPLY_MAX)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mx() -> Relay {
        Relay::named("mx")
    }

    #[test]
    fn only_5xx_is_for_good() {
        #[rustfmt::skip]
        let cases = [
            ("for good",                Reply::fixed(550, Status(5, 1, 6), "moved"), true),
            ("for now",                 Reply::bare(450, "greylisted"),              false),
            ("status of another class", Reply::fixed(451, Status(5, 7, 1), "odd"),   false),
            ("a 3xx out of place",      Reply::bare(354, "odd"),                     false),
        ];
        for (shows, reply, permanent) in cases {
            let failure = Failure::refused(Stage::Recipient, &reply, &mx());
            assert_eq!(failure.permanent, permanent, "{shows}");
            assert_eq!(failure.status.0, if permanent { 5 } else { 4 }, "{shows}");
        }
    }

    #[test]
    fn a_login_is_forgotten_before_the_content_only() {
        #[rustfmt::skip]
        let cases = [
            ("at MAIL",                  Stage::Mail,      530, true),
            ("at RCPT",                  Stage::Recipient, 535, true),
            ("wants TLS for it",         Stage::Data,      538, true),
            ("no such user",             Stage::Recipient, 550, false),
            ("not this sender",          Stage::Mail,      553, false),
            ("a verdict on the content", Stage::EndOfData, 530, false),
        ];
        for (shows, stage, code, disowned) in cases {
            assert_eq!(
                disowns_login(stage, &Reply::bare(code, "no")),
                disowned,
                "{shows}"
            );
        }
    }

    #[test]
    fn what_another_host_may_do() {
        #[rustfmt::skip]
        let cases = [
            ("it goes away",              Failure::refused(Stage::Recipient, &Reply::bare(421, "bye"), &mx()),       true),
            ("it goes away, at the end",  Failure::refused(Stage::EndOfData, &Reply::bare(421, "bye"), &mx()),       true),
            ("disk full",                 Failure::refused(Stage::Mail, &Reply::bare(452, "full"), &mx()),           true),
            ("out of order",              Failure::refused(Stage::Data, &Reply::bare(451, "error"), &mx()),          true),
            ("sender refused",            Failure::refused(Stage::Mail, &Reply::bare(550, "listed"), &mx()),         false),
            ("greylisted",                Failure::refused(Stage::Recipient, &Reply::bare(450, "later"), &mx()),     false),
            ("content, for now",          Failure::refused(Stage::EndOfData, &Reply::bare(451, "scanner"), &mx()),   false),
            ("cut short",                 Failure::cut_short(&mx(), Stage::Recipient, "closed"),                                       true),
            ("cut at the end of data",    Failure::lost(&mx(), Some(Stage::EndOfData), "closed"),                                            false),
            ("our own reasons",           Failure::temporary(Status(4, 4, 1), &mx(), Cause::Unreached("down".into())),                        false),
        ];
        for (shows, failure, elsewhere) in cases {
            assert_eq!(failure.may_go_elsewhere(), elsewhere, "{shows}");
        }
    }

    #[test]
    fn what_is_kept_of_a_cause() {
        use FailureKind as Kind;
        let refused = |stage| Failure::refused(stage, &Reply::bare(550, "no"), &mx());
        let at = |cause| Failure::temporary(Status(4, 0, 0), &mx(), cause);
        let login = |reply| Cause::Login {
            reply,
            text: "no".into(),
        };
        #[rustfmt::skip]
        let cases = [
            ("a recipient",                refused(Stage::Recipient),                                  Kind::Refused,       Some(Stage::Recipient)),
            ("the content",                refused(Stage::EndOfData),                                  Kind::Refused,       Some(Stage::EndOfData)),
            ("cut short",                  Failure::cut_short(&mx(), Stage::Mail, "x"),                Kind::Lost,          Some(Stage::Mail)),
            ("nobody knows where",         Failure::lost(&mx(), None, "x"),                            Kind::Lost,          None),
            ("no domain",                  at(Cause::Dns(DnsFact::NoDomain, "x".into())),              Kind::DnsNoDomain,   None),
            ("a loopback address",         at(Cause::Dns(DnsFact::NoWay, "x".into())),                 Kind::DnsUnreachable, None),
            ("TLS broke",                  at(Cause::Tls(TlsFact::BrokeAfterwards, "x".into())),       Kind::TlsLost,       None),
            ("the host refuses the login", at(login(Some(Reply::bare(535, "no")))),                    Kind::Login,         Some(Stage::Auth)),
            ("the login was not tried",    at(login(None)),                                            Kind::Login,         None),
            ("too large",                  Failure::unmet(Unmet::TooLarge { size: 2, limit: 1 }, &mx()), Kind::LacksSize,   None),
            ("an agent",                   at(Cause::Mailbox(MailboxFact::Agent, "x".into())),        Kind::Agent,         None),
            ("no mailbox",                 at(Cause::NoMailbox("x".into())),                           Kind::MailboxUnknown, None),
        ];
        for (shows, failure, kind, stage) in cases {
            let kept = failure.attempt().failure;
            assert_eq!(kept, Some(FailureFact { kind, stage }), "{shows}");
        }
    }

    #[test]
    fn long_replies_are_cut_between_characters() {
        let text = shorten("ä".repeat(2_000));
        assert!(text.len() <= REPLY_MAX + 3 && text.ends_with("ä…"));
        assert_eq!(shorten("short".into()), "short");
    }
}
