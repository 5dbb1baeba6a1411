//! Removes mail of test accounts when its time is over.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use postern_events::{Observers, notice, shown};
use postern_receive::Settings;
use postern_spool::{Spool, SpoolState};
use tokio_util::sync::CancellationToken;

/// How often it is looked whose time is over.
const STEP: Duration = Duration::from_secs(10);

/// Looks after the sandbox until `shutdown`.
pub(super) async fn keep(
    spool: Arc<dyn Spool>,
    settings: Arc<ArcSwap<Settings>>,
    observers: Observers,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(STEP) => {}
        }
        if spool.counts().sandboxed == 0 || spool.state() != SpoolState::Ready {
            continue;
        }
        let keep = SignedDuration::try_from(settings.load().sandbox.keep).unwrap_or(SignedDuration::MAX);
        let Ok(before) = Timestamp::now().checked_sub(keep) else {
            continue;
        };
        if let Err(error) = spool.expire_sandboxed(before).await {
            notice!(observers, Spool Warning "test mail whose time is over is not removed", Error = shown(&error));
        }
    }
}
