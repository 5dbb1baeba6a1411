//! What all sessions share.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_policy::admission::RateWindow;
use postern_policy::limit::Tally;
use postern_policy::local::LocalUsers;
use postern_policy::probe::Probes;
use postern_policy::throttle::LoginThrottle;

use crate::access::Services as PolicyServices;
use crate::count::SessionCounts;
use crate::deps::Deps;
use crate::live::LiveSessions;
use crate::milters::Services;
use crate::room::Room;
use crate::screen::ListHealths;
use crate::session_id::SessionIds;
use crate::sockets::Tickets;
use crate::usage::Usage;

/// Most networks whose questions are remembered.
const NETWORKS_MAX: usize = 100_000;

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) deps: Deps,
    pub(crate) counts: Arc<SessionCounts>,
    pub(crate) room: Arc<Room>,
    /// Mail filters, with their connections and outages.
    pub(crate) milters: Services,
    /// Policy services, with their connections.
    pub(crate) services: PolicyServices,
    /// Counts of networks for rate limits.
    pub(crate) tally: Arc<Mutex<Tally>>,
    pub(crate) live: Arc<LiveSessions>,
    /// Open sessions and submitted messages of local users.
    pub(crate) local: Mutex<LocalUsers>,
    pub(crate) throttle: Mutex<LoginThrottle>,
    /// Recipients that networks have asked about.
    pub(crate) probes: Mutex<Probes>,
    /// Which DNS lists answer.
    pub(crate) lists: ListHealths,
    pub(crate) usage: Mutex<Usage>,
    pub(crate) ids: SessionIds,
    /// Logins granted through other servers, until their mail processes ask.
    pub(crate) tickets: Arc<Tickets>,
    /// By role: a flood on one kind of listener does not hold up the other.
    pub(crate) rates: [Mutex<RateWindow>; 2],
}

impl Shared {
    /// The state without any sessions.
    pub(crate) fn new(deps: Deps) -> Self {
        let throttle = LoginThrottle::new(deps.settings.load().throttle);
        Self {
            counts: Arc::new(SessionCounts::new(deps.observers.clone())),
            room: Arc::default(),
            milters: Services::default(),
            services: PolicyServices::default(),
            tally: Arc::default(),
            live: Arc::default(),
            local: Mutex::default(),
            throttle: Mutex::new(throttle),
            probes: Mutex::new(Probes::new(NETWORKS_MAX)),
            lists: ListHealths::default(),
            usage: Mutex::default(),
            ids: SessionIds::new(),
            tickets: Arc::default(),
            rates: Default::default(),
            deps,
        }
    }
}
