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

/// Networks whose questions are remembered.
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
    /// What networks have done that limits count.
    pub(crate) tally: Arc<Mutex<Tally>>,
    pub(crate) live: Arc<LiveSessions>,
    /// What users of this machine have open and have handed in.
    pub(crate) local: Mutex<LocalUsers>,
    pub(crate) throttle: Mutex<LoginThrottle>,
    /// What networks have asked for.
    pub(crate) probes: Mutex<Probes>,
    /// Which DNS lists answer.
    pub(crate) lists: ListHealths,
    pub(crate) usage: Mutex<Usage>,
    pub(crate) ids: SessionIds,
    /// Logins granted to neighbours, until their mail processes ask.
    pub(crate) tickets: Arc<Tickets>,
    /// By role: a flood at one door does not hold up the other.
    pub(crate) rates: [Mutex<RateWindow>; 2],
}

impl Shared {
    /// Nobody is there yet.
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
