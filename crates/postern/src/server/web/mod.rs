//! What monitors are answered: numbers and health.

mod health;
mod numbers;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use postern_deliver::Deliverer;
use postern_directory::Directories;
use postern_http::axum::Router;
use postern_http::axum::routing::get;
use postern_metrics::{ConfiguredNames, Metrics};
use postern_net::tls::ServerTls;
use postern_receive::{Receiver, Settings as ReceiveSettings};
use postern_spool::{Ages, Spool};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::tokens::TokenSources;
use crate::config::Config;
use crate::config::checked::HttpConfig;
use crate::config::file::Serves;
use crate::log::Losses;

/// What is asked when a monitor asks.
pub(super) struct Monitor {
    pub(super) metrics: Arc<Metrics>,
    pub(super) spool: Arc<dyn Spool>,
    pub(super) deliverer: Deliverer,
    pub(super) receiver: Receiver,
    pub(super) settings: Arc<ArcSwap<ReceiveSettings>>,
    pub(super) directories: Arc<ArcSwap<Directories>>,
    pub(super) tls: Arc<ArcSwap<Option<ServerTls>>>,
    pub(super) tokens: Arc<TokenSources>,
    pub(super) losses: Losses,
    pub(super) started_at: Timestamp,
    /// Listeners for mail that accept.
    pub(super) listeners: AtomicUsize,
    /// The server stops.
    pub(super) stopping: CancellationToken,
    /// What costs something is asked from time to time only, and by one at a time.
    pub(super) remembered: Remembered,
}

/// The last answers to what costs something, and when they came.
#[derive(Default)]
pub(super) struct Remembered {
    ages: Mutex<Option<(Instant, Timestamp, Ages)>>,
    probe: Mutex<Option<(Instant, health::Probed)>>,
}

/// The pages of one listener.
pub(super) fn router(config: &HttpConfig, monitor: &Arc<Monitor>) -> Router {
    let mut router = Router::new();
    if config.serves(Serves::Metrics) {
        router = router.route("/metrics", get(numbers::metrics));
    }
    if config.serves(Serves::Health) {
        router = router
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready));
    }
    router.with_state(Arc::clone(monitor))
}

/// What a configuration has counted.
pub(super) struct Wanted {
    names: ConfiguredNames,
    /// Whether somebody may read the numbers.
    on: bool,
}

impl Wanted {
    /// By this configuration, with these directories.
    pub(super) fn of(config: &Config, directories: &Directories) -> Self {
        let listeners = config.listeners.iter().map(|one| one.settings.name.clone());
        let sockets = config.sockets.iter().map(|one| one.settings.name.clone());
        let local = config.local.iter().map(|_| postern_receive::LOCAL.to_owned());
        let milters = config.receive.milters.iter().map(|one| one.filter.name.clone());
        Self {
            names: ConfiguredNames {
                listeners: listeners.chain(sockets).chain(local).collect(),
                directories: directories.status().into_iter().map(|one| one.name).collect(),
                milters: milters.collect(),
            },
            on: config.http.iter().any(|one| one.serves(Serves::Metrics)),
        }
    }

    /// From now on it is counted.
    pub(super) fn count(&self, metrics: &Metrics) {
        metrics.expect(&self.names);
        metrics.switch(self.on);
    }
}
