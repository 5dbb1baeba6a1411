//! The kind of failure that kept mail from its next hop, and the step: the words for it in queue, log and listings.

use std::fmt;

use serde::{Serialize, Serializer};

/// What the client's side of an SMTP or LMTP dialogue waits for; each has a time limit of its own (RFC 5321 section 4.5.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Stage {
    /// The greeting.
    Greeting,
    /// The answer to `EHLO`, `HELO` or `LHLO`.
    Hello,
    /// The answer to `STARTTLS`.
    StartTls,
    /// The answer to `AUTH`, or to a line of the exchange that follows.
    Auth,
    /// The answer to `MAIL`.
    Mail,
    /// The answer to one `RCPT`.
    Recipient,
    /// The answer to `DATA`.
    Data,
    /// The answer to the end of the content.
    EndOfData,
    /// The answer to `RSET`.
    Reset,
    /// The answer to `QUIT`.
    Quit,
}

impl Stage {
    /// All of them, in the order of a dialogue.
    pub const ALL: [Self; 10] = [
        Self::Greeting,
        Self::Hello,
        Self::StartTls,
        Self::Auth,
        Self::Mail,
        Self::Recipient,
        Self::Data,
        Self::EndOfData,
        Self::Reset,
        Self::Quit,
    ];

    /// What was being done, in the words of queue, bounces and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::EndOfData => "end of data",
            Self::Reset => "RSET",
            Self::Quit => "QUIT",
        }
    }

    /// The stage of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

macro_rules! kinds {
    ($($name:literal $variant:ident $meaning:literal)*) => {
        /// A kind of failure. It is formatted as its name, such as `dns.null-mx`; the names are a contract, as those of rules
        /// are.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum FailureKind {
            $(
                #[doc = concat!("`", $name, "`: ", $meaning, ".")]
                $variant,
            )*
        }

        impl FailureKind {
            /// All kinds, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in one line of Markdown.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

kinds! {
    "refused" Refused "the host answered with an error; `stage` says to what"
    "dns.no-domain" DnsNoDomain "the domain or host does not exist in the DNS"
    "dns.null-mx" DnsNullMx "the domain accepts no mail (RFC 7505)"
    "dns.no-host" DnsNoHost "the records of the domain name no host that can be used"
    "dns.unreachable" DnsUnreachable "the name has an address that mail must not go to, such as loopback"
    "dns.no-answer" DnsNoAnswer "the DNS did not answer"
    "dns.bogus" DnsBogus "the signatures (DNSSEC) of what the DNS answered are wrong, missing, or out of date"
    "dns.no-tlsa" DnsNoTlsa "the route demands DANE, and the host has no proven TLSA record that can be used"
    "unreachable" Unreachable "no connection could be made"
    "lost" Lost "the connection broke; `stage` says at which step, where that is known"
    "tls.not-offered" TlsNotOffered "TLS is required, and the host does not offer or start it"
    "tls.handshake" TlsHandshake "the TLS handshake failed, or the certificate could not be verified"
    "tls.dane" TlsDane "the host's certificate does not match its TLSA records"
    "tls.lost" TlsLost "the connection broke right after the TLS handshake"
    "login" Login "the login at the host was refused, or could not be tried"
    "lacks.size" LacksSize "the message is larger than the host accepts"
    "lacks.smtputf8" LacksUtf8 "the message needs SMTPUTF8, and the host does not offer it"
    "lacks.8bitmime" LacksEightBit "the message is 8-bit, the host takes 7 bits, and it is not or cannot be converted"
    "lacks.binarymime" LacksBinary "the message is binary, and the host does not offer BINARYMIME"
    "loop" Loop "a mail loop: the next hop is this server, or the message has too many `Received` fields"
    "mailbox.unknown" MailboxUnknown "there is no such mailbox here"
    "mailbox.full" MailboxFull "the user has no room left: a quota"
    "mailbox.locked" MailboxLocked "another program has locked the mailbox"
    "mailbox.unusable" MailboxUnusable "the mailbox cannot be written to, or must not be: it belongs to another, or is a link"
    "agent" Agent "the delivery agent, or a program in a `.forward`, refused the message or failed"
    "settings" Settings "this server's configuration or limits: no route, no host to try, no connection free in time"
    "local" Local "this server itself: its disk, its directories"
}

impl FailureKind {
    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl Serialize for FailureKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

/// What is kept of the cause of a failure, besides its text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct FailureFact {
    /// Its kind.
    #[serde(rename = "failure")]
    pub kind: FailureKind,
    /// The stage in which it occurred; `None` if unknown or meaningless.
    pub stage: Option<Stage>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_told_apart_and_lead_back() {
        let names: HashSet<&str> = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), FailureKind::ALL.len());
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::from_name(kind.name()), Some(*kind));
            assert!(!kind.meaning().contains('|'), "{kind}: it stands in a table");
        }
        for stage in Stage::ALL {
            assert_eq!(Stage::from_name(stage.name()), Some(stage));
        }
        assert_eq!(FailureKind::from_name("REFUSED"), None);
        assert_eq!(Stage::from_name(""), None);
    }
}
