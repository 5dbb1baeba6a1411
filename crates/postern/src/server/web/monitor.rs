//! Answers for monitors.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use postern_deliver::Deliverer;
use postern_directory::Directories;
use postern_metrics::Metrics;
use postern_net::tls::ServerTls;
use postern_receive::{Receiver, Settings as ReceiveSettings};
use postern_spool::{Ages, Spool};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::control::follow::Followers;
use crate::log::Losses;
use crate::server::tokens::TokenSources;
use crate::webhooks::Webhooks;

/// How long the last write to the queue took, or why it failed.
pub(super) type Probed = Result<Duration, String>;

/// The data sources for monitors.
pub(in crate::server) struct Monitor {
    pub(in crate::server) metrics: Arc<Metrics>,
    pub(in crate::server) spool: Arc<dyn Spool>,
    pub(in crate::server) deliverer: Deliverer,
    pub(in crate::server) receiver: Receiver,
    pub(in crate::server) settings: Arc<ArcSwap<ReceiveSettings>>,
    pub(in crate::server) directories: Arc<ArcSwap<Directories>>,
    pub(in crate::server) tls: Arc<ArcSwap<Option<ServerTls>>>,
    pub(in crate::server) tokens: Arc<TokenSources>,
    pub(in crate::server) losses: Losses,
    pub(in crate::server) archive: Option<postern_history::History>,
    pub(in crate::server) followers: Arc<Followers>,
    pub(in crate::server) webhooks: Arc<Webhooks>,
    pub(in crate::server) started_at: Timestamp,
    /// Active mail listeners.
    pub(in crate::server) listeners: AtomicUsize,
    /// Whether the server is stopping.
    pub(in crate::server) stopping: CancellationToken,
    /// Expensive data is only queried from time to time, by one caller at a time.
    pub(in crate::server) remembered: Remembered,
}

/// The latest expensive data, and when it was queried.
#[derive(Default)]
pub(in crate::server) struct Remembered {
    pub(super) ages: Mutex<Option<(Instant, Timestamp, Ages)>>,
    pub(super) probe: Mutex<Option<(Instant, Probed)>>,
}
