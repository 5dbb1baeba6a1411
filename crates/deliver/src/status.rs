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
    /// How many it may have now; grows with success up to the setting.
    pub window: usize,
    /// Messages waiting in memory. More may wait in the spool.
    pub waiting: usize,
    /// The same by class of mail.
    pub waiting_by_class: WaitingByClass,
    /// Whether it is in line for a connection.
    pub in_line: bool,
    /// Whether it has accepted mail of any class recently; otherwise it only gets a part of the places.
    pub proven: bool,
    /// Whether more due mail waits in the spool.
    pub backlog: bool,
    /// Messages handed over since it was first used.
    pub delivered: u64,
    /// The end of a pause, during which no attempt is made because none of its hosts could be reached.
    pub paused_until: Option<Timestamp>,
    /// The last error, and when.
    pub last_error: Option<(Timestamp, String)>,
    /// How far DNSSEC proved the path at the last connection; `None` if DNSSEC is off, or DNS was not asked.
    pub proof: Option<Proof>,
    /// The part of the MX records in that.
    pub mx_proof: Option<Proof>,
    /// The part of the host's addresses.
    pub address_proof: Option<Proof>,
    /// The login there, if the route has one.
    pub login: Option<LoginStatus>,
}

/// Messages waiting in memory, by class of mail.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct WaitingByClass {
    /// From clients that may relay.
    pub users: usize,
    /// From others, for own domains.
    pub strangers: usize,
    /// Reports of this server.
    pub reports: usize,
}

/// The state of the places for connections of one class of mail.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct PlacesStatus {
    /// The class: `users`, `strangers` or `reports`.
    pub class: String,
    /// Places taken.
    pub connections: usize,
    /// Places that no other class of mail can take.
    pub reserved: usize,
    /// The most it can have.
    pub most: usize,
    /// Of those taken, how many are for hosts that have accepted no mail recently.
    pub unproven: usize,
    /// The most it can have for such hosts.
    pub unproven_most: usize,
    /// Next hops that wait for a place.
    pub in_line: usize,
    /// Next hops that wait because the host's address or network has all the connections it may have.
    pub in_line_for_address: usize,
    /// Whether next hops have waited so long that a warning was logged.
    pub short: bool,
}

/// The state of the login at a destination.
#[derive(Clone, Debug, Serialize)]
pub struct LoginStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The result of the last attempt.
    #[serde(flatten)]
    pub state: LoginState,
    /// Its OAuth token, if it uses one.
    pub token: Option<TokenState>,
}

/// The result of a login.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum LoginState {
    /// Not tried since the destination was first used.
    #[default]
    Untried,
    /// It works.
    Works {
        /// The time of the change.
        since: Timestamp,
        /// The mechanism used last.
        mechanism: &'static str,
    },
    /// It fails, and an administrator must act: mail for the destination waits.
    Fails {
        /// The time of the change.
        since: Timestamp,
        /// The reason.
        reason: String,
    },
}

impl LoginState {
    /// The same in system time, for people.
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
