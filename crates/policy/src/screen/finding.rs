//! Demands on strangers, and findings about those that do not meet them.

use std::fmt;

use postern_mail::Status;

use crate::rule::{Rule, Told, Verdict};

/// What can be demanded of a stranger.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Demand {
    /// `HELO` or `EHLO` gives a full host name or an address literal (RFC 5321 section 4.1.1.1).
    HeloSyntax,
    /// It does not give a name or an address of this server.
    HeloForeign,
    /// The name that it gives is known in DNS.
    HeloKnown,
    /// The client's address has a host name (a PTR record).
    ClientNamed,
    /// That name is confirmed by an address record.
    ClientConfirmed,
    /// The domain of the sender accepts mail: it has MX records or an address.
    SenderKnown,
}

impl Demand {
    /// All of them, in the order in which they are judged.
    pub const ALL: &'static [Self] = &[
        Self::HeloSyntax,
        Self::HeloForeign,
        Self::HeloKnown,
        Self::ClientNamed,
        Self::ClientConfirmed,
        Self::SenderKnown,
    ];

    /// Its index in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What happens to a client that does not meet a demand.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Act {
    /// Nothing: it is not even checked.
    #[default]
    Off,
    /// Its messages get a field that says so.
    Mark,
    /// Its recipients are refused.
    Reject,
}

/// Why a demand is not met.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Finding {
    /// See [`Demand::HeloSyntax`].
    #[error("HELO gives {0:?}, neither a full host name nor an address literal")]
    HeloSyntax(String),
    /// See [`Demand::HeloForeign`].
    #[error("HELO gives {0:?}, which is this server")]
    HeloOwn(String),
    /// See [`Demand::HeloKnown`].
    #[error("HELO gives {0:?}, which DNS does not know")]
    HeloUnknown(String),
    /// DNS did not answer whether the name exists.
    #[error("HELO gives {name:?}, and DNS does not answer: {reason}")]
    HeloUnanswered {
        /// The name.
        name: String,
        /// Why there is no answer.
        reason: String,
    },
    /// See [`Demand::ClientNamed`].
    #[error("the client's address has no name")]
    ClientNameless,
    /// See [`Demand::ClientConfirmed`].
    #[error("no name of the client's address resolves to it")]
    ClientUnconfirmed,
    /// DNS did not answer about the client's host name.
    #[error("the client's address cannot be looked up: {0}")]
    ClientUnanswered(String),
    /// See [`Demand::SenderKnown`].
    #[error("{0} has neither MX records nor an address")]
    SenderUnknown(String),
    /// The domain says that it accepts no mail (RFC 7505): no report would arrive.
    #[error("{0} takes no mail (null MX)")]
    SenderNullMx(String),
    /// DNS did not answer whether the domain accepts mail.
    #[error("{name} cannot be looked up: {reason}")]
    SenderUnanswered {
        /// The domain.
        name: String,
        /// Why there is no answer.
        reason: String,
    },
}

impl Finding {
    /// The demand that is not met.
    #[must_use]
    pub const fn demand(&self) -> Demand {
        match self {
            Self::HeloSyntax(_) => Demand::HeloSyntax,
            Self::HeloOwn(_) => Demand::HeloForeign,
            Self::HeloUnknown(_) | Self::HeloUnanswered { .. } => Demand::HeloKnown,
            Self::ClientNameless => Demand::ClientNamed,
            Self::ClientUnconfirmed | Self::ClientUnanswered(_) => Demand::ClientConfirmed,
            Self::SenderUnknown(_) | Self::SenderNullMx(_) | Self::SenderUnanswered { .. } => {
                Demand::SenderKnown
            }
        }
    }

    /// Whether it may change later: DNS did not answer.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::HeloUnanswered { .. } | Self::ClientUnanswered(_) | Self::SenderUnanswered { .. }
        )
    }

    /// Reply code, status and text for the peer (RFC 7372, RFC 7505 section 4.2).
    #[must_use]
    pub const fn told(&self) -> Told {
        match self {
            Self::HeloSyntax(_) => (550, Status(5, 7, 1), "HELO name is not a full host name"),
            Self::HeloOwn(_) => (550, Status(5, 7, 1), "HELO name is the name of this server"),
            Self::HeloUnknown(_) => (550, Status(5, 7, 1), "HELO name does not exist"),
            Self::HeloUnanswered { .. } => (
                450,
                Status(4, 7, 1),
                "HELO name cannot be looked up, try again later",
            ),
            Self::ClientNameless => (550, Status(5, 7, 25), "Client address has no reverse DNS name"),
            Self::ClientUnconfirmed => (
                550,
                Status(5, 7, 25),
                "Reverse DNS name does not resolve to the client address",
            ),
            Self::ClientUnanswered(_) => (
                450,
                Status(4, 7, 25),
                "Client address cannot be looked up, try again later",
            ),
            Self::SenderUnknown(_) => (553, Status(5, 1, 8), "Domain of sender address does not exist"),
            Self::SenderNullMx(_) => (
                550,
                Status(5, 7, 27),
                "Domain of sender address takes no mail (null MX)",
            ),
            Self::SenderUnanswered { .. } => (
                451,
                Status(4, 1, 8),
                "Domain of sender address does not resolve, try again later",
            ),
        }
    }
}

impl Verdict for Finding {
    fn rule(&self) -> Rule {
        match self {
            Self::HeloSyntax(_) => Rule::HeloSyntax,
            Self::HeloOwn(_) => Rule::HeloOwn,
            Self::HeloUnknown(_) => Rule::HeloUnknown,
            Self::HeloUnanswered { .. } => Rule::HeloDns,
            Self::ClientNameless => Rule::ClientNameless,
            Self::ClientUnconfirmed => Rule::ClientUnconfirmed,
            Self::ClientUnanswered(_) => Rule::ClientDns,
            Self::SenderUnknown(_) => Rule::SenderUnknown,
            Self::SenderNullMx(_) => Rule::SenderNullMx,
            Self::SenderUnanswered { .. } => Rule::SenderDns,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

/// What DNS says about a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Known {
    /// It has MX records or an address.
    Yes,
    /// It has neither.
    No,
    /// Its MX record says that it accepts no mail (RFC 7505).
    NullMx,
    /// There was no answer.
    Unanswered(String),
}

impl ClientName {
    /// Its name, if confirmed.
    #[must_use]
    pub fn confirmed(&self) -> Option<&str> {
        match self {
            Self::Confirmed(name) => Some(name),
            _ => None,
        }
    }
}

/// What DNS says about the client's address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientName {
    /// It has a confirmed name.
    Confirmed(String),
    /// It has names, of which this is the first, but none is confirmed.
    Unconfirmed(String),
    /// It has none.
    Nameless,
    /// It has names, but whether one is confirmed could not be found out.
    Unsure {
        /// The first of them.
        name: String,
        /// The reason.
        reason: String,
    },
    /// There was no answer.
    Unanswered(String),
}

/// Judges the `HELO` name.
#[must_use]
pub fn judge_helo_known(name: &str, known: Known) -> Option<Finding> {
    match known {
        // A host that sends need not accept mail.
        Known::Yes | Known::NullMx => None,
        Known::No => Some(Finding::HeloUnknown(name.to_owned())),
        Known::Unanswered(reason) => Some(Finding::HeloUnanswered {
            name: name.to_owned(),
            reason,
        }),
    }
}

/// Judges the domain of the sender.
#[must_use]
pub fn judge_sender(domain: &str, known: Known) -> Option<Finding> {
    let name = domain.to_owned();
    match known {
        Known::Yes => None,
        Known::No => Some(Finding::SenderUnknown(name)),
        Known::NullMx => Some(Finding::SenderNullMx(name)),
        Known::Unanswered(reason) => Some(Finding::SenderUnanswered { name, reason }),
    }
}

/// Judges the client's host name, if one (`named`) or a confirmed one (`confirmed`) is demanded.
#[must_use]
pub fn judge_client(name: &ClientName, named: Act, confirmed: Act) -> Option<Finding> {
    let stricter = confirmed != Act::Off;
    match name {
        ClientName::Confirmed(_) => None,
        ClientName::Nameless if named == Act::Off || (named == Act::Mark && confirmed == Act::Reject) => {
            stricter.then_some(Finding::ClientUnconfirmed)
        }
        ClientName::Nameless => Some(Finding::ClientNameless),
        ClientName::Unconfirmed(_) => stricter.then_some(Finding::ClientUnconfirmed),
        ClientName::Unsure { reason, .. } => stricter.then(|| Finding::ClientUnanswered(reason.clone())),
        ClientName::Unanswered(reason) => {
            (stricter || named != Act::Off).then(|| Finding::ClientUnanswered(reason.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_have_their_places() {
        for (place, demand) in Demand::ALL.iter().enumerate() {
            assert_eq!(demand.index(), place);
        }
    }

    #[test]
    fn names_of_clients() {
        let (off, mark, reject) = (Act::Off, Act::Mark, Act::Reject);
        let confirmed = ClientName::Confirmed("c.example".to_owned());
        let unsure = ClientName::Unsure {
            name: "c.example".to_owned(),
            reason: "x".to_owned(),
        };
        let elsewhere = ClientName::Unconfirmed("c.example".to_owned());
        let unanswered = ClientName::Unanswered("x".to_owned());
        #[rustfmt::skip]
        let cases = [
            // what the case shows                         name                       named   confirmed  found
            ("a good one",                                 &confirmed,                reject, reject,    None),
            ("none",                                       &ClientName::Nameless,     reject, off,       Some("client.nameless")),
            ("none, and nobody asks for one",              &ClientName::Nameless,     off,    off,       None),
            ("none where it has to lead back",             &ClientName::Nameless,     off,    reject,    Some("client.unconfirmed")),
            ("none, marked and refused: it is refused",    &ClientName::Nameless,     mark,   reject,    Some("client.unconfirmed")),
            ("none, refused and marked: it is refused",    &ClientName::Nameless,     reject, mark,      Some("client.nameless")),
            ("one that leads elsewhere",                   &elsewhere,                reject, off,       None),
            ("the same where it has to lead back",         &elsewhere,                off,    mark,      Some("client.unconfirmed")),
            ("one that leads nobody knows where",          &unsure,                   reject, off,       None),
            ("the same where it has to lead back",         &unsure,                   off,    reject,    Some("client.dns")),
            ("no answer",                                  &unanswered,               reject, off,       Some("client.dns")),
            ("no answer to a question of nobody's",        &unanswered,               off,    off,       None),
        ];
        for (shows, name, named, confirmed, found) in cases {
            let finding = judge_client(name, named, confirmed);
            assert_eq!(finding.map(|finding| finding.rule().name()), found, "{shows}");
        }
    }

    #[test]
    fn names_in_dns() {
        let unanswered = || Known::Unanswered("SERVFAIL".to_owned());
        #[rustfmt::skip]
        let cases = [
            // known          as a HELO name                as a sender's domain
            (Known::Yes,      None,                         None),
            (Known::No,       Some(("helo.unknown", 550)),  Some(("sender.unknown", 553))),
            (Known::NullMx,   None,                         Some(("sender.null-mx", 550))),
            (unanswered(),    Some(("helo.dns", 450)),      Some(("sender.dns", 451))),
        ];
        for (known, helo, sender) in cases {
            let told =
                |finding: Option<Finding>| finding.map(|finding| (finding.rule().name(), finding.told().0));
            assert_eq!(
                told(judge_helo_known("a.example", known.clone())),
                helo,
                "{known:?}"
            );
            assert_eq!(
                told(judge_sender("a.example", known.clone())),
                sender,
                "{known:?}"
            );
        }
    }

    #[test]
    fn what_is_temporary_is_told_so() {
        let text = String::new;
        let all = [
            Finding::HeloSyntax(text()),
            Finding::HeloOwn(text()),
            Finding::HeloUnknown(text()),
            Finding::HeloUnanswered {
                name: text(),
                reason: text(),
            },
            Finding::ClientNameless,
            Finding::ClientUnconfirmed,
            Finding::ClientUnanswered(text()),
            Finding::SenderUnknown(text()),
            Finding::SenderNullMx(text()),
            Finding::SenderUnanswered {
                name: text(),
                reason: text(),
            },
        ];
        for finding in all {
            let (code, status, _) = finding.told();
            assert_eq!(u16::from(status.0), code / 100, "{finding}");
            assert_eq!(finding.is_temporary(), code < 500, "{finding}");
        }
    }
}
