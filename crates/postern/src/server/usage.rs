//! Migrates the counts of logins from their former file to the store.

use std::path::{Path, PathBuf};

use postern_events::{Observers, notice, shown};
use postern_receive::{LoginCount, Receiver};
use postern_store::Store;

use crate::usage;

/// Reads the counts from the store, or from the old file if the store has none. That file is removed once its content is in the
/// store, and left alone if invalid: mail does not need it.
pub(super) async fn restore(receiver: &Receiver, store: &dyn Store, state_dir: &Path, observers: &Observers) {
    if let Err(error) = receiver.restore_usage(store).await {
        notice!(observers, Login Warning "the counts of logins cannot be read", Reason = shown(&error));
        return;
    }
    let path = usage::old_path(state_dir);
    match take_over(receiver, store, state_dir).await {
        Ok(()) => {}
        Err(reason) => {
            notice!(observers, Login Warning "counts of logins not taken over", File = shown(&path.display()), Reason = &reason);
        }
    }
}

async fn take_over(receiver: &Receiver, store: &dyn Store, state_dir: &Path) -> Result<(), String> {
    let (of, path): (PathBuf, PathBuf) = (state_dir.to_owned(), usage::old_path(state_dir));
    let old = tokio::task::spawn_blocking(move || usage::load_old(&of)).await;
    let old = old.map_err(|error| error.to_string())?;
    let Some(lines) = old.map_err(|error| error.to_string())? else {
        return Ok(());
    };
    if !receiver.usage().is_empty() {
        return Err("the store has counts already: remove the file".to_owned());
    }
    receiver.take_over_usage(lines.into_iter().map(LoginCount::from).collect());
    receiver
        .keep_usage(store)
        .await
        .map_err(|error| error.to_string())?;
    tokio::fs::remove_file(&path)
        .await
        .map_err(|error| format!("they are in the store, but the file cannot be removed: {error}"))
}
