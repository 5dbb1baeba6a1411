//! Serves listeners.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use postern_events::{notice, shown};
use postern_mail::complete_login;
use postern_net::listen;
use postern_policy::throttle::{Lockout, Source};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection;
use crate::count::Cut;
use crate::deps::Deps;
use crate::profile::Profile;
use crate::profile_cache::ProfileCache;
use crate::shared::Shared;
use crate::time;
use crate::usage::LoginCount;
use crate::{ListenerSettings, Role};

/// How long sessions that are ended may take to say goodbye.
const CUT_MAX: Duration = Duration::from_secs(3);

/// How often idle connections to mail filters are closed.
const MILTERS_TIDIED: Duration = Duration::from_secs(5);

/// Serves listeners: all of them share the session counts and the record of failed logins, those of the same role also the
/// connection rate.
///
/// Clones share them too.
#[derive(Clone)]
pub struct Receiver {
    shared: Arc<Shared>,
}

impl Receiver {
    /// A receiver that serves nothing yet.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        Self {
            shared: Arc::new(Shared::new(deps)),
        }
    }

    /// Accepts connections and serves them until `close` or `shutdown` is cancelled; ends when all sessions have ended.
    ///
    /// After `close` nothing is accepted, and sessions go on for as long as their clients want. After `shutdown` nothing is
    /// accepted either; sessions without a transaction end at once with `421 4.3.2`, those with one when it is over, or the same
    /// way after [`Timeouts::shutdown`](crate::Timeouts::shutdown). A message that is being written to disk then still gets its
    /// reply.
    ///
    /// A listener that fails is logged and no longer served; its sessions go on.
    pub async fn serve(
        &self,
        listener: TcpListener,
        settings: Arc<ArcSwap<ListenerSettings>>,
        close: CancellationToken,
        shutdown: CancellationToken,
    ) {
        let profiles = ProfileCache::new(settings);
        let sessions = TaskTracker::new();
        let stop_now = CancellationToken::new();
        let short = |error: &std::io::Error| {
            let observers = &self.shared.deps.observers;
            notice!(observers, Connect Warning "cannot accept connections for now", Error = shown(error));
        };
        let mut tidy = tokio::time::interval(MILTERS_TIDIED);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = close.cancelled() => break,
                _ = tidy.tick(), if !self.shared.milters.is_empty() || !self.shared.services.is_empty() => {
                    self.shared.milters.close_idle();
                    self.shared.services.close_idle();
                    continue;
                }
                accepted = listen::accept(&listener, short) => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    let name = &self.profile(&profiles).listener.name;
                    notice!(self.shared.deps.observers, Connect Error "listener is broken", Listener = name, Reason = shown(&error));
                    break;
                }
            };
            let role = self.profile(&profiles).listener.role;
            if self.wait_for_rate(role, &shutdown).await {
                // Boxed from the start: it is large, and would otherwise be copied at each step.
                let session = Box::pin(self.session(&profiles, stream, peer, &shutdown));
                let stop_now = stop_now.clone();
                sessions.spawn(async move {
                    tokio::select! {
                        biased;
                        () = stop_now.cancelled() => {}
                        () = session => {}
                    }
                });
            }
        }
        drop(listener);
        sessions.close();
        self.drain(&sessions, &shutdown, &stop_now).await;
        if shutdown.is_cancelled() {
            self.shared.milters.let_go();
        }
    }

    fn session(
        &self,
        profiles: &ProfileCache,
        stream: TcpStream,
        peer: SocketAddr,
        shutdown: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let profile = self.profile(profiles);
        connection::serve(Arc::clone(&self.shared), profile, stream, peer, shutdown.clone())
    }

    /// The profile for a session that begins now.
    fn profile(&self, profiles: &ProfileCache) -> Arc<Profile> {
        profiles.get(&self.shared)
    }

    /// Waits until one more connection may begin; false if the server stops meanwhile.
    async fn wait_for_rate(&self, role: Role, shutdown: &CancellationToken) -> bool {
        let rate = match role {
            Role::Mx => &self.shared.rates[0],
            Role::Submission => &self.shared.rates[1],
        };
        let per_second = self.shared.deps.settings.load().admission.connections_per_second;
        loop {
            let wait = rate.lock().take(per_second, time::now());
            let Some(wait) = wait else { return true };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Waits for the sessions to end, and ends those that take too long once the server was told to stop.
    pub(crate) async fn drain(
        &self,
        sessions: &TaskTracker,
        shutdown: &CancellationToken,
        stop_now: &CancellationToken,
    ) {
        let limit = self.shared.deps.settings.load().timeouts.shutdown;
        let too_late = async {
            shutdown.cancelled().await;
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            biased;
            () = sessions.wait() => return,
            () = too_late => {}
        }
        notice!(self.shared.deps.observers, Connect Warning "sessions cut off: the time to stop has passed", Sessions = sessions.len());
        self.shared.counts.cut_all(Cut::Stop);
        if tokio::time::timeout(CUT_MAX, sessions.wait()).await.is_err() {
            stop_now.cancel();
            sessions.wait().await;
        }
    }

    /// The login counts, by mechanism and user name.
    #[must_use]
    pub fn usage(&self) -> Vec<LoginCount> {
        self.shared.usage.lock().all()
    }

    /// Adds counts that were kept outside the store; [`keep_usage`](Self::keep_usage) writes them there.
    pub fn take_over_usage(&self, counts: Vec<LoginCount>) {
        self.shared.usage.lock().take_over(counts);
    }

    /// The current lockouts and delays, each with its network if it has one.
    #[must_use]
    pub fn lockouts(&self) -> Vec<(Option<IpNet>, Lockout)> {
        let network = self.shared.deps.settings.load().throttle.network;
        let lockouts = self.shared.throttle.lock().lockouts(time::now());
        let named = lockouts.into_iter().map(|lockout| {
            let network = match &lockout.source {
                Some(Source::Peer(peer)) => Some(network.net(*peer)),
                _ => None,
            };
            (network, lockout)
        });
        named.collect()
    }

    /// Ends the lockouts of a user name, of the network that an address is in, or of the two together; `None` for any. Returns
    /// how many.
    pub fn unlock(&self, network: Option<IpAddr>, login: Option<&str>) -> usize {
        let source = network.map(Source::Peer);
        let settings = self.shared.deps.settings.load();
        let domain = settings.auth.default_domain.as_deref();
        let mut throttle = self.shared.throttle.lock();
        let now = time::now();
        let lifted = throttle.unlock(source.as_ref(), login, now);
        // Attempts without a domain count for the completed user name.
        match login.map(|login| complete_login(login, domain)) {
            Some(meant) if Some(&*meant) != login => {
                lifted + throttle.unlock(source.as_ref(), Some(&*meant), now)
            }
            _ => lifted,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Accounts that budgets or administrators have put on hold.
    #[must_use]
    pub fn accounts_on_hold(&self) -> usize {
        self.shared.deps.budgets.count_on_hold()
    }

    /// The filters that are down.
    #[must_use]
    pub fn failing_milters(&self) -> Vec<crate::FailingMilter> {
        let settings = self.shared.deps.settings.load();
        self.shared.milters.failing(&settings)
    }

    /// Sessions open now, on all listeners.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.shared.counts.total()
    }
}
