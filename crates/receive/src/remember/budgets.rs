//! Keeps the counts of budgets in the store across restarts.
//!
//! Each message that counts has a note in the queue, committed together with it ([`NewMessage::note`](postern_spool::NewMessage)). The
//! store is written now and then, and records the last note included; notes up to that one are then deleted. After a crash, later
//! notes are counted again: every message answered with `250` counts, and none counts twice. So no message waits for the store.

use postern_policy::budget::account::KeptAccount;
use postern_policy::budget::deed::Note;
use postern_policy::budget::{Account, Mark, Moment, Per, RecipientKey};
use postern_spool::SpoolError;
use postern_store::{Change, Record, Space, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::receiver::Receiver;

/// The last note in the store, as the value of the record [`SEEN`].
#[derive(Deserialize, Serialize)]
struct Seen {
    number: u64,
    at: Moment,
}

/// The key of that record.
const SEEN: &str = "seen";

/// The key of the secret by which recipients are told apart.
const RECIPIENTS: &str = "recipients";

/// Why what was counted is not known or not written.
#[derive(Debug, thiserror::Error)]
pub enum BudgetsError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue cannot be read or written.
    #[error(transparent)]
    Queue(#[from] SpoolError),
}

impl Receiver {
    /// Restores the counts from before this start: those in the store, and messages accepted since it was written.
    ///
    /// # Errors
    ///
    /// [`BudgetsError`]; then counting begins with what could be read.
    pub async fn restore_budgets(&self, store: &dyn Store) -> Result<(), BudgetsError> {
        let deps = &self.shared().deps;
        let budgets = &deps.budgets;
        budgets.configure(&deps.settings.load().budgets);
        let records = store.all(Space::Budgets).await?;
        let seen = records
            .iter()
            .find(|record| record.key == SEEN)
            .and_then(|record| serde_json::from_str(&record.value).ok())
            .unwrap_or(Seen { number: 0, at: 0 });
        let accounts = records.iter().filter_map(account_of).collect();
        let held = store.all(Space::HeldAccounts).await?;
        let marks = held.iter().filter_map(mark_of).collect();
        budgets.change(|ledger| ledger.restore((seen.number, seen.at), accounts, marks));
        let notes = deps.spool.notes().await;
        let notes = notes?;
        let latest = budgets.change(|ledger| {
            for note in notes {
                let note: Option<Note> = serde_json::from_str(&note.text).ok();
                if let Some(note) = note.filter(|note| note.number > seen.number) {
                    ledger.replay(&note);
                }
            }
            ledger.latest()
        });
        budgets.has_been(latest);
        budgets.somebody_may_be_on_hold();
        let key = records.iter().find(|record| record.key == RECIPIENTS);
        match key.and_then(|record| RecipientKey::parse(&record.value)) {
            Some(key) => budgets.has_key(key),
            None => {
                let record = Record {
                    key: RECIPIENTS.to_owned(),
                    value: budgets.key().kept(),
                    expires_at: None,
                };
                store.apply(Space::Budgets, vec![Change::Put(record)]).await?;
            }
        }
        Ok(())
    }

    /// Writes what has changed, and deletes notes that are no longer needed.
    ///
    /// # Errors
    ///
    /// [`BudgetsError`]; the same is written next time.
    pub async fn keep_budgets(&self, store: &dyn Store) -> Result<(), BudgetsError> {
        let deps = &self.shared().deps;
        let budgets = &deps.budgets;
        let version;
        let (number, changes, keys, marks) = {
            let mut ledger = budgets.ledger.lock();
            if !ledger.has_changed() {
                return Ok(());
            }
            let latest = ledger.latest();
            let number = ledger.number();
            let seen = Seen { number, at: latest };
            let mut changes: Vec<Change> = put(SEEN.to_owned(), &seen).into_iter().collect();
            version = ledger.marks_version();
            let marks = ledger.take_marks();
            let mut keys = Vec::new();
            for (per, key, account) in ledger.take_changed() {
                let name = format!("{}:{key}", per.name());
                changes.extend(match account {
                    Some(account) => put(name, &account.kept(latest)),
                    None => Some(Change::Remove(name)),
                });
                keys.push((per, key));
            }
            (number, changes, keys, marks)
        };
        // Holds first: an account on hold must stay so.
        let held = async {
            if let Some(marks) = marks {
                let marks = marks
                    .into_iter()
                    .filter_map(|(name, mark)| put(name.into(), &mark));
                let all = std::iter::once(Change::Clear).chain(marks).collect();
                store.apply(Space::HeldAccounts, all).await?;
            }
            Ok::<(), StoreError>(())
        };
        let written = match held.await {
            Ok(()) => store.apply(Space::Budgets, changes).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            budgets.ledger.lock().changed_still(keys, true);
            return Err(error.into());
        }
        budgets.has_written(version);
        deps.spool
            .forget_notes(i64::try_from(number).unwrap_or(i64::MAX))
            .await?;
        Ok(())
    }
}

fn account_of(record: &Record) -> Option<(Per, Box<str>, Account)> {
    let (per, key) = record.key.split_once(':')?;
    let per = Per::ALL.into_iter().find(|known| known.name() == per)?;
    let kept: KeptAccount = serde_json::from_str(&record.value).ok()?;
    Some((per, key.into(), Account::restored(kept)))
}

fn mark_of(record: &Record) -> Option<(Box<str>, Mark)> {
    Some((
        record.key.as_str().into(),
        serde_json::from_str(&record.value).ok()?,
    ))
}

fn put(key: String, value: &impl Serialize) -> Option<Change> {
    Some(Change::Put(Record {
        key,
        value: serde_json::to_string(value).ok()?,
        expires_at: None,
    }))
}
