//! The open sessions: listed for administrators, and ended by them or when the login is no longer valid.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;
use jiff::Timestamp;
use parking_lot::Mutex;
use postern_policy::standing::Lapse;

use crate::count::{Cut, Signal};
use crate::deps::Deps;
use crate::profile::Profile;
use crate::standing::Standing;

/// All open sessions.
#[derive(Default)]
pub(crate) struct LiveSessions {
    /// Keyed by address in memory, which is unique while a session is open.
    all: Mutex<HashMap<usize, Arc<Live>>>,
}

/// One session as seen from outside.
pub(crate) struct Live {
    id: String,
    profile: Arc<Profile>,
    since: Timestamp,
    facts: Mutex<Facts>,
    /// Used to end it; unset before it is admitted.
    signal: OnceLock<Arc<Signal>>,
    ended: OnceLock<Ended>,
}

/// What changes during a session.
struct Facts {
    peer: SocketAddr,
    tls: Option<&'static str>,
    login: Option<LiveLogin>,
}

#[derive(Clone)]
struct LiveLogin {
    authcid: String,
    acts_as: Option<String>,
    since: Timestamp,
    standing: Arc<Standing>,
}

/// A session in the list, until dropped.
pub(crate) struct Entry {
    sessions: Arc<LiveSessions>,
    live: Arc<Live>,
}

/// Why a session is ended from outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// An administrator ended it.
    Administrator(String),
    /// Its login is no longer valid.
    Lapsed(Lapse),
}

/// Selects sessions: all criteria given must match.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// The authenticated user, or the one the session acts as, ignoring case.
    pub login: Option<String>,
    /// The network of the client.
    pub network: Option<IpNet>,
    /// The name of the listener.
    pub listener: Option<String>,
}

/// An open session.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// The session id in the log.
    pub id: String,
    /// The authenticated user.
    pub login: Option<String>,
    /// The account that it acts as, if another.
    pub acts_as: Option<String>,
    /// The mechanism of the login.
    pub mechanism: Option<&'static str>,
    /// When it logged in.
    pub logged_in_at: Option<Timestamp>,
    /// The client.
    pub peer: SocketAddr,
    /// The name of the listener.
    pub listener: String,
    /// When the session began.
    pub since: Timestamp,
    /// The version of TLS, if it is secured.
    pub tls: Option<&'static str>,
}

impl LiveSessions {
    /// Adds a session.
    pub(crate) fn enter(self: &Arc<Self>, id: &str, profile: &Arc<Profile>, peer: SocketAddr) -> Entry {
        let live = Arc::new(Live {
            id: id.to_owned(),
            profile: Arc::clone(profile),
            since: Timestamp::now(),
            facts: Mutex::new(Facts {
                peer,
                tls: None,
                login: None,
            }),
            signal: OnceLock::new(),
            ended: OnceLock::new(),
        });
        self.all.lock().insert(key(&live), Arc::clone(&live));
        Entry {
            sessions: Arc::clone(self),
            live,
        }
    }

    /// The open sessions that match, oldest first.
    pub(crate) fn like(&self, filter: &SessionFilter) -> Vec<Arc<Live>> {
        let mut found: Vec<_> = self.all.lock().values().cloned().collect();
        found.retain(|live| live.matches(filter));
        found.sort_by_key(|live| live.since);
        found
    }
}

fn key(live: &Arc<Live>) -> usize {
    Arc::as_ptr(live).addr()
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sessions.all.lock().remove(&key(&self.live));
    }
}

impl Entry {
    /// The session itself.
    pub(crate) const fn live(&self) -> &Arc<Live> {
        &self.live
    }
}

impl Live {
    /// Notes that TLS has started, which forgets a login from before it.
    pub(crate) fn is_secured(&self, version: &'static str) {
        let mut facts = self.facts.lock();
        facts.tls = Some(version);
        facts.login = None;
    }

    /// Notes a login.
    pub(crate) fn has_logged_in(&self, authcid: &str, acts_as: Option<&str>, standing: &Arc<Standing>) {
        self.facts.lock().login = Some(LiveLogin {
            authcid: authcid.to_owned(),
            acts_as: acts_as.map(str::to_owned),
            since: Timestamp::now(),
            standing: Arc::clone(standing),
        });
    }

    /// Notes that the session was admitted, and the client's address.
    pub(crate) fn is_admitted(&self, peer: SocketAddr, signal: &Arc<Signal>) {
        self.facts.lock().peer = peer;
        let _ = self.signal.set(Arc::clone(signal));
    }

    /// Why it was ended from outside, if it was.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ended.get()
    }

    /// Ends it at once, or after a message that is being written to disk. Returns whether it was still open.
    pub(crate) fn end(&self, why: Ended) -> bool {
        let Some(signal) = self.signal.get() else {
            return false;
        };
        let first = self.ended.set(why).is_ok();
        signal.cut(Cut::Ended);
        first
    }

    fn matches(&self, filter: &SessionFilter) -> bool {
        if self.signal.get().is_none() {
            return false;
        }
        let facts = self.facts.lock();
        let is_named = |name: &String| {
            facts.login.as_ref().is_some_and(|login| {
                login.authcid.eq_ignore_ascii_case(name)
                    || login
                        .acts_as
                        .as_ref()
                        .is_some_and(|other| other.eq_ignore_ascii_case(name))
            })
        };
        filter.login.as_ref().is_none_or(is_named)
            && filter
                .network
                .is_none_or(|network| network.contains(&facts.peer.ip().to_canonical()))
            && filter
                .listener
                .as_ref()
                .is_none_or(|name| *name == self.profile.listener.name)
    }

    /// As an administrator sees it.
    pub(crate) fn info(&self) -> SessionInfo {
        let facts = self.facts.lock();
        let login = facts.login.clone();
        SessionInfo {
            id: self.id.clone(),
            mechanism: login.as_ref().map(|login| login.standing.mechanism().name()),
            logged_in_at: login.as_ref().map(|login| login.since),
            acts_as: login.as_ref().and_then(|login| login.acts_as.clone()),
            login: login.map(|login| login.authcid),
            peer: facts.peer,
            listener: self.profile.listener.name.clone(),
            since: self.since,
            tls: facts.tls,
        }
    }

    /// Checks its login, and ends the session if that is no longer valid. Returns whether it did.
    pub(crate) async fn recheck(&self, deps: &Deps) -> bool {
        let standing = self
            .facts
            .lock()
            .login
            .as_ref()
            .map(|login| Arc::clone(&login.standing));
        match standing {
            Some(standing) => match standing.probe(deps).await {
                Ok(()) => false,
                Err(lapse) => self.end(Ended::Lapsed(lapse)),
            },
            None => false,
        }
    }
}
