//! Open sessions for administrators.

use std::fmt::Display;
use std::net::IpAddr;

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
/// The network is neither an address nor a network.
pub(super) fn list(which: WhichSessions, receiver: &Receiver) -> Result<Vec<SessionLine>, String> {
    let found = receiver.open_sessions(&filter(which)?);
    Ok(found.into_iter().map(SessionLine::from).collect())
}

/// Ends the open sessions that match, for the administrator `by`.
///
/// # Errors
///
/// The network is neither an address nor a network.
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
        let address = || {
            text.parse()
                .map(|address: IpAddr| IpNet::from(address.to_canonical()))
        };
        let network = text.parse::<IpNet>().or_else(|_| address());
        network.map_err(|_| {
            format!("{text:?} is neither an address nor a network: write 192.0.2.1 or 192.0.2.0/24")
        })
    });
    Ok(SessionFilter {
        login: which.login,
        network: network.transpose()?,
        listener: which.listener,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_network() {
        #[rustfmt::skip]
        let cases = [
            ("192.0.2.0/24",    Some("192.0.2.0/24")),
            ("192.0.2.7",       Some("192.0.2.7/32")),
            ("::ffff:192.0.2.7", Some("192.0.2.7/32")),
            ("2001:db8::1",     Some("2001:db8::1/128")),
            ("192.0.2",         None),
            ("relay.test",      None),
        ];
        for (text, want) in cases {
            let which = WhichSessions {
                network: Some(text.to_owned()),
                ..WhichSessions::default()
            };
            let got = filter(which).map(|filter| filter.network.map(|network| network.to_string()));
            assert_eq!(got.ok().flatten().as_deref(), want, "{text}");
        }
    }
}
