//! Keeps the counts of logins on disk: read at the start, written now and then and at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_events::{Observers, notice, shown};
use postern_receive::{LoginCount, Receiver};
use tokio_util::sync::CancellationToken;

use crate::usage;

/// How often the counts are written. A crash loses no more of them.
const INTERVAL: Duration = Duration::from_secs(60);

/// Reads what was counted before. A file that makes no sense is left behind with a warning: it is of no use to mail.
pub(super) fn restore(receiver: &Receiver, state_dir: &Path, observers: &Observers) {
    match usage::load(state_dir) {
        Ok(lines) => receiver.add_usage(lines.into_iter().map(LoginCount::from)),
        Err(error) => {
            let path = usage::path(state_dir);
            notice!(observers, Login Warning "counts of logins lost", File = shown(&path.display()), Reason = shown(&error));
        }
    }
}

/// Writes the counts until `shutdown`, and then once more.
pub(super) async fn keep(
    receiver: Receiver,
    state_dir: PathBuf,
    observers: Observers,
    shutdown: CancellationToken,
) {
    loop {
        let ended = tokio::select! {
            () = shutdown.cancelled() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        if let Err(error) = save(&receiver, &state_dir).await {
            notice!(observers, Login Warning "counts of logins not written", Reason = shown(&error));
        }
        if ended {
            return;
        }
    }
}

/// Writes the counts if there are any.
///
/// # Errors
///
/// The file cannot be written.
pub(crate) async fn save(receiver: &Receiver, state_dir: &Path) -> std::io::Result<()> {
    let counts = receiver.usage();
    if counts.is_empty() {
        return Ok(());
    }
    let state_dir = state_dir.to_owned();
    tokio::task::spawn_blocking(move || usage::save(&state_dir, counts))
        .await
        .map_err(std::io::Error::other)?
}
