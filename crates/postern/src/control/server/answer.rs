//! What the socket works on, and what it answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use postern_directory::Directories;
use postern_events::{History, Observers};
use postern_net::tls::ServerTls;
use postern_oauth::verify::Verifier;
use postern_receive::Settings as ReceiveSettings;
use postern_spool::Spool;
use postern_stats::Statistics;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::config::Shown;
use crate::control::follow::Followers;
use crate::control::protocol::Reply;
use crate::control::queue::OperationError;
use crate::log::Losses;

/// A wish to reload, and where its result goes.
pub(crate) type ReloadWish = oneshot::Sender<Result<serde_json::Value, String>>;

/// What the control socket works on.
#[derive(Clone)]
pub(crate) struct Deps {
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) deliverer: postern_deliver::Deliverer,
    pub(crate) receiver: postern_receive::Receiver,
    pub(crate) started_at: Timestamp,
    pub(crate) directories: Arc<ArcSwap<Directories>>,
    pub(crate) tokens: Arc<ArcSwap<Verifier>>,
    /// The configuration in force.
    pub(crate) shown: Arc<ArcSwap<Shown>>,
    /// Reloads are done one after the other, by the task that also listens to signals.
    pub(crate) reload: mpsc::Sender<ReloadWish>,
    /// Recent sessions.
    pub(crate) history: Arc<History>,
    /// What is counted by day.
    pub(crate) statistics: Arc<Statistics>,
    /// The settings of reception in force.
    pub(crate) settings: Arc<ArcSwap<ReceiveSettings>>,
    /// The certificates in force.
    pub(crate) tls: Arc<ArcSwap<Option<ServerTls>>>,
    /// Where the queue is.
    pub(crate) state_dir: Arc<Path>,
    /// What the log had no room for.
    pub(crate) losses: Losses,
    /// The history on disk, where it is on.
    pub(crate) archive: Option<postern_history::History>,
    /// Who is told what happens, as it happens.
    pub(crate) followers: Arc<Followers>,
    /// The server stops.
    pub(crate) stop: CancellationToken,
    /// Where acts of administrators are written, and how long they are kept.
    pub(crate) acts: Arc<ArcSwap<(PathBuf, Duration)>>,
    /// Who is on hold, and what was counted.
    pub(crate) budgets: Arc<postern_receive::Budgets>,
    /// Who is told what administrators do.
    pub(crate) observers: Observers,
}

pub(super) fn reply(result: Result<serde_json::Value, OperationError>) -> Reply {
    match result {
        Ok(value) => Reply::Done(value),
        Err(OperationError::NotFound(message)) => Reply::NotFound(message),
        Err(error) => Reply::Failed(error.to_string()),
    }
}
