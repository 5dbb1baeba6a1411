//! Requests of administrators, cut into pieces small enough for puts to come in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use postern_events::notice;
use postern_mail::QueueId;
use tokio::sync::oneshot;

use super::codec::ReadError;
use super::due::{self, IndexPlace, Strangers};
use super::inbox::{Chore, Task};
use super::inspect::Seen;
use super::list;
use super::shared::Shared;
use super::writer::answer;
use crate::admin::{Filter, Page, Selection, Summary, SummaryPage};
use crate::error::SpoolError;
use crate::fresh::{Change, Event};

/// Messages, or recipients of a flush, changed in one transaction.
const STEP: usize = 500;

/// Most messages in one page of a listing.
const PAGE_MAX: usize = 10_000;

impl Shared {
    pub(super) async fn list(&self, filter: &Filter, page: Page) -> Result<SummaryPage, SpoolError> {
        let limit = page.limit.clamp(1, PAGE_MAX);
        let mut found = SummaryPage {
            messages: Vec::new(),
            more: true,
        };
        let mut after = page.after;
        while found.more && found.messages.len() < limit {
            let (filter, wanted) = (filter.clone(), limit - found.messages.len());
            let (ids, resume) = self
                .readers
                .read(move |connection| {
                    let step = list::matching(connection, &filter, after, wanted)?;
                    Ok((list::summaries(connection, &step.ids)?, step.resume))
                })
                .await??;
            // Such a message may not have been noticed before.
            let strange = |one: &Summary| Some((one.id, one.damaged.clone().filter(|_| one.hold.is_none())?));
            self.damaged(ids.iter().filter_map(strange).collect()).await;
            found.messages.extend(ids.into_iter().map(|line| Summary {
                next_due: self.clock.shown(line.next_due),
                ..line
            }));
            found.more = resume.is_some();
            after = resume;
        }
        Ok(found)
    }

    /// Does something to all selected messages, a few hundred at a time.
    pub(super) async fn each(
        &self,
        which: Selection,
        task: impl Fn(Vec<QueueId>) -> Task,
    ) -> Result<u64, SpoolError> {
        let mut changed = 0;
        match which {
            Selection::Ids(ids) => {
                for ids in ids.chunks(STEP) {
                    changed += self.do_chore(task(ids.to_vec())).await?;
                }
            }
            Selection::Filter(filter) => {
                // Later messages were not meant, and this must end.
                let last = self.ids.next();
                let mut after = None;
                loop {
                    let step = filter.clone();
                    let found = self
                        .readers
                        .read(move |connection| list::matching(connection, &step, after, STEP))
                        .await??;
                    let ids: Vec<_> = found.ids.into_iter().filter(|id| *id < last).collect();
                    if !ids.is_empty() {
                        changed += self.do_chore(task(ids)).await?;
                    }
                    match found.resume {
                        Some(resume) if resume < last => after = Some(resume),
                        _ => break,
                    }
                }
            }
        }
        Ok(changed)
    }

    pub(super) async fn flush(
        &self,
        domain: Option<&str>,
        by: Arc<str>,
        now: Timestamp,
    ) -> Result<u64, SpoolError> {
        let domain = domain.map(str::to_lowercase);
        let only = domain.is_some();
        let mut from = IndexPlace::before(domain.as_deref());
        let mut changed = 0;
        loop {
            let (rows, next) = self
                .readers
                .read(move |connection| due::deferred(connection, only, from, now, STEP))
                .await??;
            let full = rows.len() == STEP;
            if !rows.is_empty() {
                changed += self
                    .do_chore(Task::Flush {
                        rows,
                        by: Arc::clone(&by),
                        now,
                    })
                    .await?;
            }
            match next {
                Some(next) if full => from = next,
                _ => break,
            }
        }
        self.board
            .tell(&mut vec![Event::Changed(Change::Flushed(domain))]);
        Ok(changed)
    }

    /// Holds messages as damaged; returns whether they are. A failure does not matter: they are found again.
    pub(super) async fn damaged(&self, found: Strangers) -> bool {
        found.is_empty() || self.do_chore(Task::Damage { found }).await.is_ok()
    }

    /// What was read of one message. An invalid one is held before this returns.
    pub(super) async fn found<T>(&self, id: QueueId, found: Result<T, ReadError>) -> Result<T, SpoolError> {
        if let Err(ReadError::Strange(strange)) = &found {
            self.damaged(vec![(id, strange.0.clone())]).await;
        }
        found.map_err(|error| error.of(id))
    }

    /// Makes recipients of a domain due after the longest wait of delivery: their longer wait was never requested.
    pub(super) async fn bring_forward(&self, domain: String) {
        let longest = Duration::from_millis(self.wait_max.load(Ordering::Relaxed));
        let (Some(far), Ok(to)) = (self.far(), self.clock.now().checked_add(longest)) else {
            return;
        };
        notice!(
            self.settings.observers,
            Spool Warning "mail was due far in the future, it is brought forward",
            Domain = domain,
        );
        let _ = self.do_chore(Task::BringForward { domain, far, to }).await;
    }

    /// The tasks for what a check of the queue has found.
    pub(super) fn repairs(&self, seen: Seen) -> Vec<Task> {
        // Messages that are in memory are marked rightly; those that have left it since are no longer marked.
        let ids: Vec<QueueId> = seen
            .fresh
            .into_iter()
            .filter(|id| !self.board.room().is_live(*id))
            .collect();
        let mut tasks = Vec::new();
        if let Some(why) = seen.broken {
            let generation = self.readers.generation();
            return vec![Task::Replace { why, generation }];
        }
        if !ids.is_empty() {
            tasks.push(Task::Requeue { ids });
        }
        if !seen.strange.is_empty() {
            let found = seen.strange;
            tasks.push(Task::Damage { found });
        }
        if seen.index_lacks {
            tasks.push(Task::Reindex);
        }
        tasks
    }

    pub(super) async fn do_chore(&self, task: Task) -> Result<u64, SpoolError> {
        self.check()?;
        let (reply, done) = oneshot::channel();
        self.inbox
            .chore(Chore {
                task,
                reply: Some(reply),
            })
            .map_err(|_| SpoolError::Closed)?;
        answer(done).await
    }
}
