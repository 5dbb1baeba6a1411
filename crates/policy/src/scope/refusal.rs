//! Why a login is not good for something.

use std::fmt;

use postern_mail::Status;

use crate::rule::{Rule, Told, Verdict};

/// Why a login is not good for something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeRefusal {
    /// What the scope is called.
    pub scope: Box<str>,
    /// What is outside of it.
    pub outside: Outside,
    /// Which: the listener, the address; why a table does not answer.
    pub detail: String,
}

/// What is outside of a scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outside {
    /// The listener or socket.
    Listener,
    /// The mechanism.
    Mechanism,
    /// The client's network.
    Network,
    /// The time.
    Hour,
    /// A sender.
    Sender,
    /// A recipient.
    Recipient,
    /// Nobody knows: a table does not answer.
    Unsure,
}

impl ScopeRefusal {
    /// Code, status and words for who has logged in. Who has not is told no more than that a login failed.
    #[must_use]
    pub const fn told(&self) -> Told {
        match self.outside {
            Outside::Listener => (550, Status(5, 7, 1), "This login may not be used on this service"),
            Outside::Mechanism => (
                550,
                Status(5, 7, 1),
                "This login may not be used with this mechanism",
            ),
            Outside::Network => (
                550,
                Status(5, 7, 1),
                "This login may not be used from this network",
            ),
            Outside::Hour => (450, Status(4, 7, 1), "This login may not be used at this time"),
            Outside::Sender => (550, Status(5, 7, 1), "This login may not send as this address"),
            Outside::Recipient => (550, Status(5, 7, 1), "This login may not send to this address"),
            Outside::Unsure => (
                451,
                Status(4, 4, 3),
                "Cannot check what this login may do, try again later",
            ),
        }
    }
}

impl fmt::Display for ScopeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, detail, .. } = self;
        match self.outside {
            Outside::Listener => write!(f, "{scope} is not for the listener {detail}"),
            Outside::Mechanism => write!(f, "{scope} is not for the mechanism {detail}"),
            Outside::Network => write!(f, "{scope} is not for the client's address, {detail}"),
            Outside::Hour => write!(f, "{scope} is not for this time, {detail}"),
            Outside::Sender => write!(f, "{scope} is not for the sender {detail}"),
            Outside::Recipient => write!(f, "{scope} is not for the recipient {detail}"),
            Outside::Unsure => write!(f, "{scope}: {detail}"),
        }
    }
}

impl Verdict for ScopeRefusal {
    fn rule(&self) -> Rule {
        match self.outside {
            Outside::Listener => Rule::ScopeListener,
            Outside::Mechanism => Rule::ScopeMechanism,
            Outside::Network => Rule::ScopeNetwork,
            Outside::Hour => Rule::ScopeHour,
            Outside::Sender => Rule::ScopeSender,
            Outside::Recipient => Rule::ScopeRecipient,
            Outside::Unsure => Rule::ScopeUnsure,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}
