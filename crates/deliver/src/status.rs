//! What an administrator sees of a destination.

use jiff::Timestamp;
use postern_mail::Proof;
use serde::{Deserialize, Serialize};

use crate::tokens::TokenState;

/// The state of one next hop.
#[derive(Clone, Debug, Serialize)]
pub struct DestinationStatus {
    /// Its name: `mx:example.org`, `smtp:relay.example:25`, `lmtp:unix:/run/lmtp`, `maildir:/var/mail`.
    pub destination: String,
    /// Connections to it (for a Maildir: writers), idle ones included.
    pub connections: usize,
    /// Connections kept for the next message.
    pub idle: usize,
    /// How many it may have just now; grows with success up to the setting.
    pub window: usize,
    /// Messages waiting in memory. More may wait in the spool.
    pub waiting: usize,
    /// The same by whose mail it is.
    pub waiting_by_class: WaitingByClass,
    /// Whether it waits in line for a connection.
    pub in_line: bool,
    /// Whether it has taken mail recently, of any kind; what has not has a part of the places only.
    pub proven: bool,
    /// Whether more waits in the spool that is due.
    pub backlog: bool,
    /// Messages handed over since it was first used.
    pub delivered: u64,
    /// Until when no attempt is made, because none of its hosts could be reached.
    pub paused_until: Option<Timestamp>,
    /// What went wrong last, and when.
    pub last_error: Option<(Timestamp, String)>,
    /// How far the DNS had proven the way at the last connection; nothing where DNSSEC is off, or the DNS was not asked.
    pub proof: Option<Proof>,
    /// The part of the MX records in that.
    pub mx_proof: Option<Proof>,
    /// The part of the host's addresses.
    pub address_proof: Option<Proof>,
    /// The login there, if the route has one.
    pub login: Option<LoginStatus>,
}

/// Messages waiting in memory, by whose mail it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct WaitingByClass {
    /// From clients that may relay.
    pub users: usize,
    /// From others, for own domains.
    pub strangers: usize,
    /// Reports of this server.
    pub reports: usize,
}

/// The state of the places for connections of one kind of mail.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct PlacesStatus {
    /// Whose mail: `users`, `strangers` or `reports`.
    pub class: String,
    /// Places taken.
    pub connections: usize,
    /// Places that no other kind of mail can take.
    pub reserved: usize,
    /// The most it can have.
    pub most: usize,
    /// Of those taken, how many are for hosts that have taken no mail recently.
    pub unproven: usize,
    /// The most it can have for such hosts.
    pub unproven_most: usize,
    /// Next hops that wait for a place.
    pub in_line: usize,
    /// Next hops that wait because the host's address or network has all the connections it may have.
    pub in_line_for_address: usize,
    /// Whether next hops have waited for so long that the log has a warning of it.
    pub short: bool,
}

/// The state of the login at a destination.
#[derive(Clone, Debug, Serialize)]
pub struct LoginStatus {
    /// Its name in the configuration.
    pub name: String,
    /// How it went last.
    #[serde(flatten)]
    pub state: LoginState,
    /// Its OAuth token, if it uses one.
    pub token: Option<TokenState>,
}

/// How a login went.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum LoginState {
    /// Nobody has tried since the destination was first used.
    #[default]
    Untried,
    /// It works.
    Works {
        /// Since when.
        since: Timestamp,
        /// The mechanism used last.
        mechanism: &'static str,
    },
    /// It does not, and an administrator has to do something: mail for the destination waits.
    Fails {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: String,
    },
}

impl LoginState {
    /// The same with times as people read them.
    pub(crate) fn shown(&self, shown: impl Fn(Timestamp) -> Timestamp) -> Self {
        match self.clone() {
            Self::Works { since, mechanism } => Self::Works {
                since: shown(since),
                mechanism,
            },
            Self::Fails { since, reason } => Self::Fails {
                since: shown(since),
                reason,
            },
            Self::Untried => Self::Untried,
        }
    }
}
