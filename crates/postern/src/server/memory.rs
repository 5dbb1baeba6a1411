//! What is to be known after a restart besides the queue: read at the start, written now and then and at the end.

use std::path::Path;
use std::time::{Duration, Instant};

use postern_deliver::Deliverer;
use postern_events::{Observers, notice, shown};
use postern_receive::Receiver;
use postern_store::{SqliteStore, Store as _, StoreError};
use tokio_util::sync::CancellationToken;

/// How often it is written. A crash loses no more of it.
const INTERVAL: Duration = Duration::from_secs(60);

/// The file in the state directory.
const FILE: &str = "state.db";

/// Opens the store. Nothing in it is needed for mail: a damaged one begins anew, and without any the server forgets at its end what
/// it knows, as the log says then.
pub(super) async fn open(state_dir: &Path, observers: &Observers) -> Option<SqliteStore> {
    let path = state_dir.join(FILE);
    let opening = path.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&opening)).await;
    let opened = opened.map_err(|error| error.to_string());
    let opened = opened.and_then(|opened| opened.map_err(|error| error.to_string()));
    let (store, damaged) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            notice!(
                observers,
                Run Warning "what is known of logins and hosts cannot be kept, and will be forgotten at a restart",
                File = shown(&path.display()),
                Reason = reason,
            );
            return None;
        }
    };
    if let Some(aside) = damaged {
        notice!(
            observers,
            Run Warning "what was known of logins and hosts is damaged, and was put aside: nobody is known now",
            File = shown(&path.display()),
            Aside = shown(&aside.display()),
        );
    }
    Some(store)
}

/// Takes back what was known of logins before.
pub(super) async fn restore_logins(receiver: &Receiver, store: &SqliteStore, observers: &Observers) {
    match receiver.restore_logins(store).await {
        Ok((known, bars)) => {
            notice!(observers, Login Info "known from before", Known = known, Bars = bars);
        }
        Err(error) => {
            notice!(observers, Login Warning "what was known of logins cannot be read", Reason = shown(&error));
        }
    }
}

/// Takes back what was known of hosts before.
pub(super) async fn restore_hosts(deliverer: &Deliverer, store: &SqliteStore, observers: &Observers) {
    if let Err(error) = deliverer.restore_hosts(store).await {
        notice!(observers, Attempt Warning "what was known of hosts cannot be read", Reason = shown(&error));
    }
}

/// Writes it until `shutdown`, and then once more.
pub(super) async fn keep(
    receiver: Receiver,
    deliverer: Deliverer,
    store: SqliteStore,
    observers: Observers,
    shutdown: CancellationToken,
) {
    // What was written last may have been under way just then.
    let mut kept_at: Option<Instant> = None;
    loop {
        let ended = tokio::select! {
            () = shutdown.cancelled() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        let begun = Instant::now();
        let within = kept_at.map_or(Duration::MAX, |at| at.elapsed() + INTERVAL);
        match write(&receiver, &deliverer, &store, within).await {
            Ok(()) => kept_at = Some(begun),
            Err(error) => {
                notice!(observers, Run Warning "what is known of logins and hosts is not written", Reason = shown(&error));
            }
        }
        if ended {
            return;
        }
    }
}

async fn write(
    receiver: &Receiver,
    deliverer: &Deliverer,
    store: &SqliteStore,
    within: Duration,
) -> Result<(), StoreError> {
    receiver.keep_logins(store, within).await?;
    deliverer.keep_hosts(store, within).await?;
    store.tidy().await.map(drop)
}
