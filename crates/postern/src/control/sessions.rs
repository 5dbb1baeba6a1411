//! Open sessions for administrators.

use std::fmt::Display;

use ipnet::IpNet;
use jiff::Timestamp;
use postern_events::{Observers, SessionsEnded, Word};
use postern_receive::{Receiver, SessionFilter, SessionInfo};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::protocol::{Changed, WhichSessions};

/// One open session.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct SessionLine {
    /// Its id in the log.
    pub(crate) session: String,
    /// The authenticated user.
    pub(crate) login: Option<String>,
    /// The identity it acts as, if different.
    pub(crate) acts_as: Option<String>,
    pub(crate) mechanism: Option<String>,
    pub(crate) logged_in_at: Option<Timestamp>,
    /// Address and port.
    pub(crate) peer: String,
    pub(crate) listener: String,
    pub(crate) since: Timestamp,
    /// The version of TLS.
    pub(crate) tls: Option<String>,
}

impl From<SessionInfo> for SessionLine {
    fn from(info: SessionInfo) -> Self {
        Self {
            session: info.id,
            login: info.login,
            acts_as: info.acts_as,
            mechanism: info.mechanism.map(str::to_owned),
            logged_in_at: info.logged_in_at,
            peer: info.peer.to_string(),
            listener: info.listener,
            since: info.since,
            tls: info.tls.map(str::to_owned),
        }
    }
}

/// The open sessions that match.
///
/// # Errors
///
/// An invalid network.
pub(super) fn list(which: WhichSessions, receiver: &Receiver) -> Result<Vec<SessionLine>, String> {
    let found = receiver.open_sessions(&filter(which)?);
    Ok(found.into_iter().map(SessionLine::from).collect())
}

/// Ends the open sessions that match, for the administrator `by`.
///
/// # Errors
///
/// An invalid network.
pub(super) fn end(
    which: WhichSessions,
    by: &str,
    receiver: &Receiver,
    observers: &Observers,
) -> Result<Changed, String> {
    let filter = filter(which)?;
    let ended = receiver.end_sessions(&filter, by);
    observers.tell(SessionsEnded {
        by,
        login: filter.login.as_deref(),
        network: filter.network.as_ref().map(|network| network as &dyn Display),
        listener: filter.listener.as_deref(),
        ended,
        word: Word("sessions ended"),
    });
    Ok(Changed {
        changed: ended as u64,
    })
}

/// Ends the sessions whose login is no longer valid.
pub(super) async fn recheck(by: &str, receiver: &Receiver, observers: &Observers) -> Changed {
    let ended = receiver.recheck_logins().await;
    if ended > 0 {
        observers.tell(SessionsEnded {
            by,
            login: None,
            network: None,
            listener: None,
            ended,
            word: Word("sessions ended whose login is no longer valid"),
        });
    }
    Changed {
        changed: ended as u64,
    }
}

fn filter(which: WhichSessions) -> Result<SessionFilter, String> {
    let network = which.network.map(|text| {
        text.parse::<IpNet>()
            .map_err(|_| format!("{text:?} is not a network"))
    });
    Ok(SessionFilter {
        login: which.login,
        network: network.transpose()?,
        listener: which.listener,
    })
}
