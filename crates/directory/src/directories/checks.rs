//! Health checks of directories that are not being used, and what their answers change.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use postern_events::{DirectoryAsked, SourceDown, SourceUp};
use secrecy::SecretString;

use super::health::{DirectoryState, DirectoryStatus, News};
use super::{Directories, Directory};
use crate::time::now;
use crate::verdict::Outage;
use crate::workers::Asker;

impl Directories {
    /// The status of each, in the order of the configuration.
    #[must_use]
    pub fn status(&self) -> Vec<DirectoryStatus> {
        self.list.iter().map(Directory::status).collect()
    }

    /// Asks those that are down and due for another try, and those that have not been asked for
    /// [`Environment::check_after`](crate::Environment::check_after). Call it about every second; it returns when all that it
    /// asked have answered or timed out.
    pub async fn check_health(&self) {
        let now = now();
        let due = self
            .list
            .iter()
            .filter(|directory| directory.is_due(self.check_after, now));
        join_all(due.map(Directory::probe)).await;
    }

    /// Asks all of them now.
    pub async fn check_all(&self) {
        join_all(self.list.iter().map(Directory::probe)).await;
    }
}

impl Directory {
    fn status(&self) -> DirectoryStatus {
        let seen = self.health.0.lock();
        DirectoryStatus {
            name: self.name.clone(),
            state: match seen.up {
                None => DirectoryState::Unknown,
                Some(true) => DirectoryState::Up,
                Some(false) => DirectoryState::Down,
            },
            since: seen.since,
            asked_at: seen.asked.map(|(_, at)| at),
            last_error: seen.error.clone(),
        }
    }

    fn is_due(&self, idle: Option<Duration>, now: Instant) -> bool {
        // A probe of the others is a failed login in their log, so they are probed only to find out whether they are back.
        self.health
            .is_due(idle.filter(|_| self.answers_without_password()), now)
    }

    fn answers_without_password(&self) -> bool {
        self.source.finds_accounts()
    }

    /// Asks for a nonexistent login.
    async fn probe(&self) {
        let login = format!("postern-{:016x}", rand::random::<u64>());
        let begun = now();
        if let Some(answer) = self.source.probe().await {
            let _ = self.watch(answer, begun);
        } else if self.answers_without_password() {
            let _ = self.find_account(&login).await;
        } else {
            let password = SecretString::from(format!("{:032x}", rand::random::<u128>()));
            let _ = self.check_password(&login, &password, &Asker::default()).await;
        }
        self.health.probed();
    }

    /// Whether it is known to hang.
    pub(super) fn hangs(&self) -> bool {
        self.health.0.lock().hangs.is_some()
    }

    /// Whether it may be asked, or is known to hang.
    pub(super) fn may_be_asked(&self) -> Result<(), Outage> {
        let admitted = self.health.admits(now());
        admitted.map_err(|reason| Outage::new(reason).within(&self.name))
    }

    /// Records an answer to a question that was asked at `begun`. Logs only changes of state. The reason is prefixed with the
    /// directory's name.
    pub(super) fn watch<T>(&self, found: Result<T, Outage>, begun: Instant) -> Result<T, Outage> {
        if found.as_ref().is_err_and(Outage::is_busy) {
            return found.map_err(|outage| outage.within(&self.name));
        }
        let error = match &found {
            Err(outage) if outage.is_of_entry() => None,
            Err(outage) => Some(outage.reason.as_str()),
            Ok(_) => None,
        };
        let directory = &self.name;
        match self.health.note(error, begun, now(), Timestamp::now()) {
            Some(News::AnswersAgain) => {
                self.observers.tell(SourceUp { directory });
            }
            Some(News::Fails) => {
                let reason = error.unwrap_or_default();
                self.observers.tell(SourceDown { directory, reason });
            }
            None => {}
        }
        self.observers.tell(DirectoryAsked {
            directory,
            took: now().saturating_duration_since(begun),
            failed: error.is_some(),
        });
        found.map_err(|outage| outage.within(&self.name))
    }
}
