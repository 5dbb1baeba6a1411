//! State that survives a restart, besides the queue: read at start, saved periodically and at shutdown.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_deliver::Deliverer;
use postern_events::{Observers, notice, shown};
use postern_receive::{Budgets, Receiver};
use postern_store::{SqliteStore, Store as _, StoreError};
use tokio_util::sync::CancellationToken;

use super::usage;
use crate::usage::store_path;

/// How often everything is saved. A crash loses at most this much.
const INTERVAL: Duration = Duration::from_secs(60);

/// How often failed logins are saved, if there are new ones: so an attacker who can crash the server gains little for guessing.
const FAILURES_INTERVAL: Duration = Duration::from_secs(5);

/// Opens the store. Nothing in it is needed for mail: a damaged one is replaced by a new one, and without any, the server loses
/// its state when it stops, as the log then says.
pub(super) async fn open(state_dir: &Path, observers: &Observers) -> Option<SqliteStore> {
    let path = store_path(state_dir);
    let opening = path.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&opening)).await;
    let opened = opened.map_err(|error| error.to_string());
    let opened = opened.and_then(|opened| opened.map_err(|error| error.to_string()));
    let (store, damaged) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            notice!(
                observers,
                Run Warning "the records of known logins and hosts cannot be kept, and will be lost at a restart",
                File = shown(&path.display()),
                Reason = reason,
            );
            return None;
        }
    };
    if let Some(aside) = damaged {
        notice!(
            observers,
            Run Warning "the records of known logins and hosts are damaged, and were put aside: all logins and hosts count as new",
            File = shown(&path.display()),
            Aside = shown(&aside.display()),
        );
    }
    Some(store)
}

/// Restores what was known about logins, and their counts.
pub(super) async fn restore_logins(
    receiver: &Receiver,
    store: &SqliteStore,
    state_dir: &Path,
    observers: &Observers,
) {
    match receiver.restore_logins(store).await {
        Ok((known, locked_out)) => {
            notice!(observers, Login Info "known from before", Known = known, Lockouts = locked_out);
        }
        Err(error) => {
            notice!(observers, Login Warning "the records of known logins cannot be read", Reason = shown(&error));
        }
    }
    usage::restore(receiver, store, state_dir, observers).await;
}

/// Restores the budget counts, and the accounts on hold.
pub(super) async fn restore_budgets(receiver: &Receiver, store: &SqliteStore, observers: &Observers) {
    if let Err(error) = receiver.restore_budgets(store).await {
        notice!(observers, Run Warning "the counts of budgets cannot be read", Reason = shown(&error));
    }
}

/// Restores what was known about hosts.
pub(super) async fn restore_hosts(deliverer: &Deliverer, store: &SqliteStore, observers: &Observers) {
    if let Err(error) = deliverer.restore_hosts(store).await {
        notice!(observers, Attempt Warning "the records of known hosts cannot be read", Reason = shown(&error));
    }
}

/// Saves it until `shutdown`, and then once more.
pub(super) async fn keep(
    receiver: Receiver,
    deliverer: Deliverer,
    store: SqliteStore,
    (observers, budgets): (Observers, Arc<Budgets>),
    shutdown: CancellationToken,
) {
    let mut keeper = Keeper {
        receiver,
        deliverer,
        store,
        observers: observers.clone(),
        budgets,
        kept_at: None,
        failures: None,
    };
    let mut due = Instant::now() + INTERVAL;
    let mut wait = FAILURES_INTERVAL;
    loop {
        let ended = tokio::select! {
            () = shutdown.cancelled() => true,
            () = tokio::time::sleep(wait) => false,
            () = keeper.budgets.holds_change() => {
                keeper.write_budgets().await;
                continue;
            }
        };
        let mut written = keeper.write_failures().await;
        if ended || Instant::now() >= due {
            written = written.and(keeper.write_all().await);
            due = Instant::now() + INTERVAL;
        }
        wait = FAILURES_INTERVAL;
        if let Err(error) = written {
            notice!(observers, Run Warning "the records of known logins and hosts are not written", Reason = shown(&error));
            // A full disk is not tried, and reported, every few seconds.
            wait = INTERVAL;
        }
        if ended {
            return;
        }
    }
}

/// The saving task, and what has been saved.
struct Keeper {
    receiver: Receiver,
    deliverer: Deliverer,
    store: SqliteStore,
    observers: Observers,
    budgets: Arc<Budgets>,
    /// What was last saved may have been changing at that time.
    kept_at: Option<Instant>,
    /// The failures in the store, by change counter.
    failures: Option<u64>,
}

impl Keeper {
    async fn write_failures(&mut self) -> Result<(), StoreError> {
        let changes = self.receiver.failures_changed();
        if self.failures != Some(changes) {
            self.receiver.keep_failures(&self.store).await?;
            self.failures = Some(changes);
        }
        Ok(())
    }

    async fn write_budgets(&self) {
        if let Err(error) = self.receiver.keep_budgets(&self.store).await {
            let observers = &self.observers;
            notice!(observers, Run Warning "the counts of budgets are not written", Reason = shown(&error));
        }
    }

    async fn write_all(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        let within = self.kept_at.map_or(Duration::MAX, |at| at.elapsed() + INTERVAL);
        self.receiver.keep_known_logins(&self.store, within).await?;
        self.receiver.keep_usage(&self.store).await?;
        self.deliverer.keep_hosts(&self.store, within).await?;
        self.write_budgets().await;
        self.store.tidy().await?;
        self.kept_at = Some(begun);
        Ok(())
    }
}
