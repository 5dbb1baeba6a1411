//! What an administrator sees of a destination.

use jiff::Timestamp;
use serde::Serialize;

use crate::tokens::TokenState;

/// One next hop, as it stands.
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
    /// Whether more waits in the spool that is due.
    pub backlog: bool,
    /// Messages handed over since it was first used.
    pub delivered: u64,
    /// Until when no attempt is made, because none of its hosts could be reached.
    pub paused_until: Option<Timestamp>,
    /// What went wrong last, and when.
    pub last_error: Option<(Timestamp, String)>,
    /// The login there, if the route has one.
    pub login: Option<LoginStatus>,
}

/// The login at a destination, as it stands.
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
