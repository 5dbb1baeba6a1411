//! Delivery as a whole: start, status, new settings, stop.

use std::sync::Arc;
use std::time::Duration;

use postern_events::notice;
use postern_policy::concurrency::Class;
use postern_store::{Store, StoreError};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::deps::Deps;
use crate::destination::Destination;
use crate::status::{DestinationStatus, PlacesStatus};
use crate::{hop, intake, usher, worker};

/// How often unused destinations are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// How long to wait at the end for outcomes to be written to the spool.
const SETTLE_WAIT: Duration = Duration::from_secs(10);

/// Delivers what the spool holds. Clones are handles to the same one.
#[derive(Clone)]
pub struct Deliverer {
    pub(crate) core: Arc<Core>,
}

impl Deliverer {
    /// A deliverer that does nothing yet.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        Self {
            core: Core::new(deps, |core, destination, post| {
                Box::pin(worker::run(core, destination, post))
            }),
        }
    }

    /// Restores which hosts had accepted mail before a restart. Returns how many. To be called before [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// The store cannot be read or written; then no host is known, as at the first start.
    pub async fn restore_hosts(&self, store: &dyn Store) -> Result<usize, StoreError> {
        self.core.places.restore(store).await
    }

    /// Writes which hosts have accepted mail within the last `within`.
    ///
    /// # Errors
    ///
    /// The store cannot be written: its content stays as it was.
    pub async fn keep_hosts(&self, store: &dyn Store, within: Duration) -> Result<(), StoreError> {
        self.core.places.keep(store, within).await
    }

    /// Delivers until `shutdown`, or until the spool is closed; then gives current attempts the time that
    /// [`Timeouts::shutdown`](crate::Timeouts::shutdown) allows, and returns. Run it once.
    ///
    /// What is not delivered by then stays in the spool; close that afterwards, since outcomes are settled until the last moment.
    ///
    /// # Panics
    ///
    /// If an essential task has panicked; current attempts are ended first, as for `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let core = &self.core;
        core.announce_waits();
        let subscription = core.deps.spool.subscribe();
        // They run until `stop`, so that if one ends early, all are ended.
        let mut helpers = tokio::task::JoinSet::new();
        helpers.spawn(intake::read(core.clone()));
        helpers.spawn(usher::run(core.clone()));
        let work = async {
            tokio::select! {
                () = intake::listen(core.clone(), subscription) => {}
                () = self.tidy() => {}
            }
        };
        let mut fault = None;
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
            Some(ended) = helpers.join_next() => fault = ended.err(),
        }
        core.stop.cancel();
        while let Some(ended) = helpers.join_next().await {
            fault = fault.or_else(|| ended.err());
        }
        for destination in core.destinations() {
            destination.clear();
        }
        core.workers.close();
        let grace = core.deps.settings.load().timeouts.shutdown;
        if timeout(grace, core.workers.wait()).await.is_err() {
            let observers = &core.deps.observers;
            notice!(observers, Attempt Warning "cut short by the shutdown", Connections = core.workers.len());
            core.kill.cancel();
            core.workers.wait().await;
        }
        core.settling.close();
        if timeout(SETTLE_WAIT, core.settling.wait()).await.is_err() {
            let observers = &core.deps.observers;
            notice!(observers, Spool Warning "outcomes not settled before the stop", Outcomes = core.settling.len());
        }
        if let Some(Ok(panic)) = fault.map(tokio::task::JoinError::try_into_panic) {
            std::panic::resume_unwind(panic);
        }
    }

    async fn tidy(&self) {
        loop {
            self.core.expire_damaged().await;
            sleep(TIDY_EVERY).await;
            self.core.tidy();
        }
    }

    /// Every next hop that was used recently, has mail waiting, or has a login, by name; for `queue list`.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationStatus> {
        let settings = self.core.deps.settings.load();
        let mut all = self.core.destinations();
        for hop in hop::with_login(&settings.routes) {
            let name = hop.name();
            if all.iter().all(|known| known.name != name) {
                all.push(Arc::new(Destination::new(name, hop)));
            }
        }
        let tokens = self.core.deps.tokens.as_ref();
        let (now, spool) = (self.core.now(), &self.core.deps.spool);
        all.iter()
            .map(|destination| {
                let mut status = destination.status(now, |time| spool.shown_time(time));
                status.proven = Class::ALL
                    .into_iter()
                    .any(|class| self.core.places.is_proven(class, destination));
                if let Some(login) = &mut status.login {
                    login.token = tokens.state(&login.name);
                }
                status
            })
            .collect()
    }

    /// The places for connections of each class of mail; for `queue list`.
    #[must_use]
    pub fn places(&self) -> Vec<PlacesStatus> {
        self.core.places.status()
    }

    /// The socket of the helper that delivers to users of this machine, where mail goes there.
    #[must_use]
    pub fn helper(&self) -> Option<std::path::PathBuf> {
        let settings = self.core.deps.settings.load();
        settings.system.as_ref().map(|system| system.socket.clone())
    }

    /// Follows new settings at once: mail waiting in memory is rerouted, and pauses end. Call it after swapping them; otherwise
    /// mail already read from the spool follows the old ones.
    pub fn reloaded(&self) {
        self.core.reroute();
    }

    /// Ends the pause of the destination of `domain`, or of all, and looks for due mail at once.
    ///
    /// Does not make mail due: that is the spool's `flush`, which triggers this by itself.
    pub fn flush(&self, domain: Option<&str>) {
        intake::flush(&self.core, domain);
    }
}
