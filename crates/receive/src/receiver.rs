//! Serves listeners.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_directory::Directories;
use postern_directory::aliases::Aliases;
use postern_net::resolver::Resolver;
use postern_net::tls::ServerTls;
use postern_spool::Spool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{ListenerSettings, LoadGauge, Settings};

/// What a receiver works with. What stands in an [`ArcSwap`] may be swapped at any time; sessions that begin later use it.
#[derive(Clone)]
pub struct Deps {
    /// Where accepted mail goes.
    pub spool: Arc<dyn Spool>,
    /// What holds for all listeners.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Certificates; `None` where there are none, and then no TLS.
    pub tls: Arc<ArcSwap<Option<ServerTls>>>,
    /// Who may log in, and who lives here.
    pub directories: Arc<ArcSwap<Directories>>,
    /// Where local names lead.
    pub aliases: Arc<ArcSwap<Aliases>>,
    /// Names of clients.
    pub resolver: Resolver,
    /// The load average.
    pub load: LoadGauge,
}

/// Serves listeners: all of them share the counts of sessions, the connection rate and the memory of failed logins.
pub struct Receiver {
    deps: Deps,
}

impl Receiver {
    /// A receiver that serves nothing yet.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        Self { deps }
    }

    /// Accepts connections and serves them until `shutdown` is cancelled; ends when all sessions have ended.
    ///
    /// After the cancellation nothing is accepted. Sessions without a transaction end at once with `421 4.3.2`, those
    /// with one when it is over, and all of them within [`Timeouts::shutdown`](crate::Timeouts::shutdown).
    pub async fn serve(
        &self,
        listener: TcpListener,
        settings: Arc<ArcSwap<ListenerSettings>>,
        shutdown: CancellationToken,
    ) {
        let _ = (&self.deps, listener, settings, shutdown);
        todo!()
    }

    /// Sessions open now, on all listeners.
    #[must_use]
    pub fn sessions(&self) -> usize {
        todo!()
    }
}
