//! The data behind the socket, and its answers.

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

use crate::admin::Admin;
use crate::config::Shown;
use crate::config::checked::OwnUsers;
use crate::control::follow::Followers;
use crate::control::protocol::Reply;
use crate::control::queue::OperationError;
use crate::dkim::DkimDomain;
use crate::log::Losses;
use crate::webhooks::Webhooks;

/// A request to reload, and where its result goes.
pub(crate) type ReloadWish = oneshot::Sender<Result<serde_json::Value, String>>;

/// The data behind the control socket.
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
    /// Reloads are done one after the other, by the task that also handles signals.
    pub(crate) reload: mpsc::Sender<ReloadWish>,
    /// Recent sessions.
    pub(crate) history: Arc<History>,
    /// The daily statistics.
    pub(crate) statistics: Arc<Statistics>,
    /// The current settings of reception.
    pub(crate) settings: Arc<ArcSwap<ReceiveSettings>>,
    /// The certificates in use.
    pub(crate) tls: Arc<ArcSwap<Option<ServerTls>>>,
    /// The configuration file.
    pub(crate) config_path: Arc<Path>,
    /// Where the queue is.
    pub(crate) state_dir: Arc<Path>,
    /// What the log had to drop.
    pub(crate) losses: Losses,
    /// The history on disk, if enabled.
    pub(crate) archive: Option<postern_history::History>,
    /// The live followers.
    pub(crate) followers: Arc<Followers>,
    /// Where events are pushed to.
    pub(crate) webhooks: Arc<Webhooks>,
    /// Signals that the server stops.
    pub(crate) stop: CancellationToken,
    /// Where actions of administrators are recorded, and how long they are kept.
    pub(crate) acts: Arc<ArcSwap<(PathBuf, Duration)>>,
    /// The accounts on hold, and the counts.
    pub(crate) budgets: Arc<postern_receive::Budgets>,
    /// Who may administer over HTTP.
    pub(crate) admin: Arc<Admin>,
    /// Postern's own users.
    pub(crate) own_users: Arc<ArcSwap<OwnUsers>>,
    /// The domains with signing keys.
    pub(crate) dkim: Arc<ArcSwap<Vec<DkimDomain>>>,
    /// Who is notified of administrators' actions.
    pub(crate) observers: Observers,
}

pub(super) fn reply(result: Result<serde_json::Value, OperationError>) -> Reply {
    match result {
        Ok(value) => Reply::Done(value),
        Err(OperationError::NotFound(message)) => Reply::NotFound(message),
        Err(error) => Reply::Failed(error.to_string()),
    }
}

/// What is answered with a result.
pub(crate) fn value(result: &impl serde::Serialize) -> Reply {
    match serde_json::to_value(result) {
        Ok(value) => Reply::Done(value),
        Err(error) => Reply::Failed(error.to_string()),
    }
}
