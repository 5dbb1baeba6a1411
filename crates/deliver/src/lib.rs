//! Sends mail: from the spool to an outcome for each recipient.
//!
//! # How it works
//!
//! Fresh messages come from the spool's subscription, deferred ones from its database when they come due (module `intake`). Each is
//! put into the queue of its *destination*, the next hop that its recipients share (`hop`, `destination`). A destination
//! has workers, each with one connection, which take one message after the other from its queue without asking anybody else
//! (`worker`): connect (`connect`, `dane`, `session`), log in where the route says so (`login`), hand over (`transact`, `exchange`), decide (`outcome`), report (`report`), settle (`core`).
//!
//! - **Memory is bounded**: fresh messages by the spool, deferred ones by [`Limits::waiting`]; a destination never has more than
//!   [`Limits::waiting_per_destination`] of each. The rest stays in the spool and is read page by page.
//! - **A slow destination delays nobody**: each has its own queue, and few connections until it has shown that it works. The fewer
//!   connections are left in all, the fewer one destination may have.
//! - **Silent hosts delay no other mail**: connections and memory are kept for users' mail, strangers' and reports each, hosts that
//!   have taken no mail of late have a part of that only, and so has each address and network (`places`, `seat`, `line`, `usher`,
//!   `postern_policy::concurrency`). A next hop that waits for a place is an entry in a line, not a task.
//! - **A dead destination pauses**: when none of its hosts can be reached, its mail is deferred without an attempt for each, until
//!   shortly before the retry that follows.
//! - **Nothing is polled**: deferred mail wakes the reader by a timer; what memory had no room for is read as
//!   room comes free, oldest first. A scan each half minute is there in case something was missed.
//! - **An outcome is settled behind the delivery's back**: a worker goes on while up to [`Limits::unsettled_per_connection`]
//!   outcomes are on their way to the disk. A crash repeats those, and loses none.
//!
//! Every failure becomes a decision in one place (`failure`, `outcome`); both are pure.

mod agenda;
mod claims;
mod connect;
mod core;
mod courtesy;
mod dane;
mod destination;
mod examine;
mod exchange;
mod failure;
mod gather;
mod hop;
mod in_line;
mod intake;
mod line;
mod login;
mod mailboxes;
mod maildir;
mod meaning;
mod nowhere;
mod outcome;
mod pieces;
mod places;
mod post;
mod proven;
mod queue;
mod quirks;
mod recall;
mod relay;
mod report;
mod seat;
mod sender;
mod session;
pub mod settings;
mod status;
mod storage;
mod telling;
mod time;
mod tokens;
mod transact;
mod usher;
mod verify;
mod work;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use postern_events::{Observers, notice};
use postern_net::resolver::Resolver;
use postern_net::tls::ClientTls;
use postern_policy::concurrency::Class;
use postern_spool::{Inspectors, Spool};
use postern_store::{Store, StoreError};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::destination::Destination;

pub use mailboxes::{Asked, Everybody, Mailboxes, Residence};
pub use settings::{Limits, Login, LoginSecret, ReportSettings, Settings, Timeouts};
pub use status::{DestinationStatus, LoginState, LoginStatus, PlacesStatus, WaitingByClass};
pub use tokens::{NoTokens, TokenError, TokenState, Tokens};
pub use verify::Verified;

/// How often destinations that nobody uses any more are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// How long outcomes that are on their way to the spool are waited for at the end.
const SETTLE_WAIT: Duration = Duration::from_secs(10);

/// What delivery works with.
#[derive(Clone)]
pub struct Deps {
    /// Where the mail is.
    pub spool: Arc<dyn Spool>,
    /// Who looks at reports before they are queued.
    pub inspectors: Arc<ArcSwap<Inspectors>>,
    /// How to deliver; swapped by a reload.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Where names are looked up.
    pub resolver: Resolver,
    /// TLS towards next hops; swapped by a reload.
    pub tls: Arc<ArcSwap<TlsClients>>,
    /// Where logins get OAuth tokens from.
    pub tokens: Arc<dyn Tokens>,
    /// Who has a mailbox here.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// Who is told what becomes of the mail.
    pub observers: Observers,
}

/// The two ways in which TLS is spoken to next hops.
#[derive(Clone, Debug)]
pub struct TlsClients {
    /// Takes any certificate (`Verification::None`): for opportunistic TLS, and for `required` without `verify`.
    pub unverified: ClientTls,
    /// For routes whose TLS is always there, and `verify`.
    pub verified: ClientTls,
}

/// Delivers what the spool holds. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Deliverer {
    core: Arc<Core>,
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

    /// Takes back which hosts had taken mail before a restart. Gives how many. To be called before [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// The store cannot be read or written; then no host is known, as at the first start.
    pub async fn restore_hosts(&self, store: &dyn Store) -> Result<usize, StoreError> {
        self.core.places.restore(store).await
    }

    /// Writes down which hosts have taken mail within the last `within`.
    ///
    /// # Errors
    ///
    /// The store cannot be written: what it has stays as it was.
    pub async fn keep_hosts(&self, store: &dyn Store, within: Duration) -> Result<(), StoreError> {
        self.core.places.keep(store, within).await
    }

    /// Delivers until `shutdown`, or until the spool is closed; then gives attempts under way the time that [`Timeouts::shutdown`]
    /// allows, and returns. Run it once.
    ///
    /// What is not delivered by then stays in the spool; close that afterwards, since outcomes are settled to the last moment.
    ///
    /// # Panics
    ///
    /// When a task that it cannot do without has panicked; what is under way is ended first, as for `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let core = &self.core;
        core.announce_waits();
        let subscription = core.deps.spool.subscribe();
        // Until `stop`, so that an end of any of them is the end of all.
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

    /// Every next hop that was used of late, has mail waiting, or is logged in to, by name; for `queue list`.
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

    /// The places for connections of each kind of mail; for `queue list`.
    #[must_use]
    pub fn places(&self) -> Vec<PlacesStatus> {
        self.core.places.status()
    }

    /// Follows new settings at once: mail that waits in memory goes where they say, and pauses end. Call it after swapping them;
    /// without it mail that was taken out of the spool before goes by the old ones.
    pub fn reloaded(&self) {
        self.core.reroute();
    }

    /// Ends the pause of the destination of `domain`, or of all, and looks for due mail at once.
    ///
    /// Makes nothing due that is not: that is the spool's `flush`, which calls for this by itself.
    pub fn flush(&self, domain: Option<&str>) {
        intake::flush(&self.core, domain);
    }
}
