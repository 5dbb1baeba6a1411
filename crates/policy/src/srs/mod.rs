//! The Sender Rewriting Scheme: mail that an alias forwards to the outside gets a sender of this site, through which reports can
//! return.
//!
//! The next server checks with SPF whether the domain of the envelope sender allows this host to send for it, and for a forwarded
//! message it does not. So the sender becomes `SRS0=hash=day=domain=name@own.domain`. The hash keeps others from making such
//! addresses, and with the day they expire. The forms are those of Mail::SRS and libsrs2, so that other programs with the same
//! secret can read and write them too; there is no RFC.

mod address;

use std::fmt;

use jiff::Timestamp;
use postern_mail::{Domain, Mailbox, ReversePath, Status};
use secrecy::SecretString;

use crate::DomainSet;
use crate::rule::{Rule, Told, Verdict};

pub use postern_mail::is_rewritten;

/// Default for the days after which an address expires: libsrs2's.
pub const MAX_AGE_DAYS: u32 = 21;

/// Default for the length of the hash in characters: that of Mail::SRS and libsrs2.
pub const HASH_LENGTH: usize = 4;

/// Longest local part that a rewritten address may have, in octets. If it would be longer, the sender is not rewritten.
pub const LOCAL_MAX: usize = 255;

/// How senders are rewritten, and which ones.
#[derive(Clone, Debug)]
pub struct Srs {
    /// The domain of rewritten senders: one of this server's, so that their mail comes here.
    pub domain: Domain,
    /// The first is used to make hashes, all to verify them; at least one. Whoever has one can make addresses.
    pub secrets: Vec<SecretString>,
    /// Length of the hash in characters, 4 to 27.
    pub hash_length: usize,
    /// Days after which an address expires, at most 1,000: the day count wraps after 1,024.
    pub max_age_days: u32,
    /// Local and relay domains: mail to them is not forwarded mail, and their senders are not rewritten.
    pub own: DomainSet,
}

/// What is known about an outgoing message.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// Its sender.
    pub sender: &'a ReversePath,
    /// Whether it came from a client that may not relay: if it leaves this site, it was forwarded.
    pub from_stranger: bool,
}

/// Why an address that looks rewritten is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SrsRefusal {
    /// It was not made here, or somebody has changed it.
    #[error("the hash of the SRS address does not match")]
    Forged,
    /// It has expired.
    #[error("the SRS address is too old")]
    Expired,
    /// There is no address in it.
    #[error("the SRS address holds no address")]
    Malformed,
}

impl Verdict for SrsRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Forged | Self::Malformed => Rule::SrsForged,
            Self::Expired => Rule::SrsExpired,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl SrsRefusal {
    /// Reply code, status and text for the peer.
    #[must_use]
    pub const fn told(&self) -> Told {
        match self {
            Self::Forged | Self::Malformed => (550, Status(5, 1, 1), "Not a valid SRS address"),
            Self::Expired => (550, Status(5, 1, 1), "SRS address has expired"),
        }
    }
}

impl Srs {
    /// The sender to use for this recipient; `None` for the message's own.
    ///
    /// `orcpt` is the recipient's `ORCPT`: if that is an address of this server and the recipient is not, an alias forwarded the
    /// message. Recipients of one message may differ: those with the same sender share a transaction.
    #[must_use]
    pub fn sender(
        &self,
        leaving: Leaving<'_>,
        recipient: &Mailbox,
        orcpt: Option<&str>,
        now: Timestamp,
    ) -> Option<Mailbox> {
        let sender = self.foreign(leaving.sender)?;
        let forwards = self.forwards(leaving, recipient, orcpt);
        forwards.then(|| self.rewrite(sender, now)).flatten()
    }

    /// Whether the sender is rewritten for this recipient, if possible.
    #[must_use]
    pub fn forwards(&self, leaving: Leaving<'_>, recipient: &Mailbox, orcpt: Option<&str>) -> bool {
        self.foreign(leaving.sender).is_some()
            && !self.own.contains_by_name(recipient.domain())
            && (leaving.from_stranger || orcpt.is_some_and(|orcpt| self.is_own_original(orcpt)))
    }

    /// The sender, if its domain is not this server's.
    fn foreign<'a>(&self, sender: &'a ReversePath) -> Option<&'a Mailbox> {
        let mailbox = sender.mailbox()?;
        let name = mailbox.domain().name()?;
        let is_own = self.own.contains_by_name(mailbox.domain()) || self.domain.name() == Some(name);
        (!is_own).then_some(mailbox)
    }

    fn is_own_original(&self, orcpt: &str) -> bool {
        let domain = orcpt
            .split_once(';')
            .and_then(|(_, address)| address.rsplit_once('@'));
        domain
            .and_then(|(_, domain)| Domain::parse(domain, true).ok())
            .is_some_and(|domain| self.own.contains_by_name(&domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srs() -> Srs {
        Srs {
            domain: "fwd.example".parse().unwrap(),
            secrets: vec!["secret".into()],
            hash_length: HASH_LENGTH,
            max_age_days: MAX_AGE_DAYS,
            own: DomainSet::new(["fwd.example", "own.example", "*.behind.example"]).unwrap(),
        }
    }

    #[test]
    fn whose_sender_is_rewritten() {
        let alias = Some("rfc822;list@own.example");
        #[rustfmt::skip]
        let cases = [
            // what the case shows                         sender                 stranger  recipient          original                         rewritten
            ("a stranger's mail behind an alias",          "a@away.example",      true,     "x@out.example",   alias,                           true),
            ("a stranger's mail to us",                    "a@away.example",      true,     "x@own.example",   None,                            false),
            ("to a domain behind us",                      "a@away.example",      true,     "x@in.behind.example", None,                        false),
            ("a report",                                   "",                    true,     "x@out.example",   alias,                           false),
            ("a sender of ours",                           "a@own.example",       true,     "x@out.example",   alias,                           false),
            ("one of a domain behind us",                  "a@in.behind.example", true,     "x@out.example",   alias,                           false),
            ("one of the domain of rewritten senders",     "SRS0=x@fwd.example",  true,     "x@out.example",   alias,                           false),
            ("a sender without a domain",                  "a@[192.0.2.1]",       true,     "x@out.example",   alias,                           false),
            ("a gateway's mail behind an alias",           "a@away.example",      false,    "x@out.example",   alias,                           true),
            ("a gateway's mail to the outside",            "a@away.example",      false,    "x@out.example",   None,                            false),
            ("with a name of its own for the recipient",   "a@away.example",      false,    "x@out.example",   Some("rfc822;x@else.example"),   false),
            ("with one that is not an address",                "a@away.example",      false,    "x@out.example",   Some("rfc822;postmaster"),       false),
        ];
        for (shows, sender, from_stranger, recipient, original, rewritten) in cases {
            let sender = match sender {
                "" => ReversePath::Null,
                sender => ReversePath::Mailbox(sender.parse().unwrap()),
            };
            let leaving = Leaving {
                sender: &sender,
                from_stranger,
            };
            let recipient: Mailbox = recipient.parse().unwrap();
            let found = srs().sender(leaving, &recipient, original, Timestamp::UNIX_EPOCH);
            assert_eq!(found.is_some(), rewritten, "{shows}");
            assert_eq!(
                srs().forwards(leaving, &recipient, original),
                rewritten,
                "{shows}"
            );
        }
    }
}
