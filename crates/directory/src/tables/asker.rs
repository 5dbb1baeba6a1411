//! On whose behalf tables are asked: for strangers there is less room than for users.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    /// Whether the session that works in this task is a stranger's now.
    static STRANGER: Arc<AtomicBool>;
}

/// Does work in which `stranger` says whether tables are asked for a stranger: nobody who has authenticated or may relay.
pub async fn on_behalf<F: Future>(stranger: Arc<AtomicBool>, work: F) -> F::Output {
    STRANGER.scope(stranger, work).await
}

/// Whether a table is asked for a stranger. Who says nothing is none.
pub(super) fn is_stranger() -> bool {
    STRANGER
        .try_with(|stranger| stranger.load(Ordering::Relaxed))
        .unwrap_or(false)
}
