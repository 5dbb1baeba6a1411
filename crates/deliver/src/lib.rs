//! Sends mail: from the spool to an outcome for each recipient.

pub mod settings;
mod status;

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_net::resolver::Resolver;
use postern_net::tls::ClientTls;
use postern_spool::Spool;
use tokio_util::sync::CancellationToken;

pub use settings::{Limits, ReportSettings, Settings, Timeouts};
pub use status::DestinationStatus;

/// What delivery works with.
#[derive(Clone)]
pub struct Deps {
    /// Where the mail is.
    pub spool: Arc<dyn Spool>,
    /// How to deliver; swapped by a reload.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Where names are looked up; swapped by a reload.
    pub resolver: Arc<ArcSwap<Resolver>>,
    /// TLS towards next hops; swapped by a reload.
    pub tls: Arc<ArcSwap<TlsClients>>,
}

/// The two ways in which TLS is spoken to next hops.
#[derive(Clone, Debug)]
pub struct TlsClients {
    /// Takes any certificate (`Verification::None`): for opportunistic TLS, and for `required` without `verify`.
    pub unverified: ClientTls,
    /// For routes with `verify`.
    pub verified: ClientTls,
}

/// Delivers what the spool holds. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Deliverer {
    deps: Deps,
}

impl Deliverer {
    /// A deliverer that does nothing yet.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        Self { deps }
    }

    /// Delivers until `shutdown`, then gives attempts under way the time that [`Timeouts::shutdown`] allows, and returns.
    ///
    /// What is not delivered by then stays in the spool. Run it once.
    pub async fn run(&self, shutdown: CancellationToken) {
        let _ = &self.deps;
        shutdown.cancelled().await;
    }

    /// Every next hop that delivery knows of just now, for `queue list`: those that were used of late, or have mail waiting.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationStatus> {
        Vec::new()
    }

    /// Forgets pauses of the destination of `domain`, or of all, and looks for due mail at once.
    ///
    /// Makes nothing due that is not: that is the spool's `flush`, which calls for this by itself.
    pub fn flush(&self, domain: Option<&str>) {
        let _ = domain;
    }
}
