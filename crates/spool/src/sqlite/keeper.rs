//! The keeper thread: slow background work.
//!
//! It moves log pages into the database, removes body files, sets orphans aside once after the start, checks the queue for
//! damage, and deletes outcomes past their retention.

use std::fmt::Display;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postern_events::{notice, shown};
use postern_mail::QueueId;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::codec::{self, ReadError};
use super::inbox::{Chore, Task};
use super::keeper_handle::{Duty, KeeperInbox};
use super::shared::Shared;
use super::{checkpoint, connection, inspect};
use crate::error::SpoolError;
use crate::rescue::aside;

/// Rows examined, and at most deleted, in one step of deletion.
const PRUNE_STEP: usize = 500;

/// How often the keeper checks whether the database should shrink.
const SHRINK_PACE: Duration = Duration::from_secs(10);

/// A database with fewer unused pages than this (16 MiB) keeps them for the next burst.
const SPARE_PAGES: u64 = 4096;

/// Pages released in one step.
const SHRINK_STEP: u64 = 500;

/// When the queue is checked for damage: soon after the start, then daily, one step at a time, each followed by a pause this many
/// times as long; and how long to wait if it cannot be read.
const INSPECT_AFTER: Duration = Duration::from_secs(5);
const INSPECT_EVERY: Duration = Duration::from_secs(24 * 3600);
const INSPECT_SHARE: u32 = 10;
const INSPECT_PAUSE: Duration = Duration::from_secs(60);

/// How often a log that is too large is checked.
const FULL_PACE: Duration = Duration::from_secs(1);

// If the keeper is gone, the queue is closed: log pages and files wait for the next start.

/// Runs until it is told to stop. `first_id` is the lowest id this run may give out: body files with this id or later are not
/// orphans.
pub(super) fn run(shared: &Shared, inbox: &KeeperInbox, first_id: QueueId) {
    let keeper = Keeper { shared };
    keeper.put_orphans_aside(first_id);
    let pace =
        (shared.settings.history_retention / 24).clamp(Duration::from_secs(60), Duration::from_secs(3600));
    let mut prune_at = Instant::now() + SHRINK_PACE.max(pace / 60);
    let mut shrink_at = Instant::now() + SHRINK_PACE;
    let mut inspection = Inspection::soon();
    loop {
        let pause = prune_at
            .min(shrink_at)
            .min(inspection.at)
            .saturating_duration_since(Instant::now());
        // The log is normally checked after a commit, but nothing is committed while mail is refused.
        let full = shared.log.is_full();
        let pause = if full { pause.min(FULL_PACE) } else { pause };
        match inbox.0.recv_timeout(pause) {
            Ok(Duty::Checkpoint) => keeper.checkpoint(),
            Ok(Duty::Remove(name)) => keeper.remove(&name),
            Ok(Duty::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if full => keeper.done("emptying the log", keeper.touch()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if prune_at <= Instant::now() {
            prune_at = Instant::now() + pace;
            keeper.done("tidying what was put aside", keeper.tidy_aside());
            keeper.done("pruning the history", keeper.forget(shared.clock.earliest()));
        }
        if shrink_at <= Instant::now() {
            shrink_at = Instant::now() + SHRINK_PACE;
            keeper.done("shrinking the database", keeper.shrink());
            keeper.done("pruning the history", keeper.forget_excess());
        }
        if inspection.at <= Instant::now() {
            keeper.done("looking through the queue", keeper.inspect(&mut inspection));
        }
    }
}

/// A check of the queue, one step at a time so that other duties come in between.
struct Inspection {
    place: inspect::Place,
    at: Instant,
}

impl Inspection {
    fn soon() -> Self {
        Self {
            place: inspect::Place::START,
            at: Instant::now() + INSPECT_AFTER,
        }
    }

    /// Continues after a step that took this long. Ends for today if there is no next place.
    fn go_on(&mut self, next: Option<inspect::Place>, took: Duration) {
        self.place = next.unwrap_or(inspect::Place::START);
        let pause = match next {
            Some(_) => took * INSPECT_SHARE,
            None => INSPECT_EVERY,
        };
        self.at = Instant::now() + pause;
    }
}

struct Keeper<'s> {
    shared: &'s Shared,
}

impl Keeper<'_> {
    /// A failure of housekeeping is reported, and retried at its next time; while the store is down it is not reported.
    fn done(&self, what: &str, result: Result<(), SpoolError>) {
        match result {
            Ok(()) | Err(SpoolError::Closed) => {}
            Err(error) => self.failed(what, &error),
        }
    }

    fn failed(&self, what: &str, error: &dyn Display) {
        let observers = &self.shared.settings.observers;
        notice!(observers, Spool Warning "housekeeping failed", What = what, Error = shown(error));
    }

    fn checkpoint(&self) {
        let mut kept = self.shared.checkpointer.lock();
        let result = match kept.take() {
            Some(connection) => Ok(connection),
            None => connection::open_checkpointer(&self.shared.settings.directory),
        };
        let result = result.and_then(|connection| {
            checkpoint::in_background(self.shared, &connection)?;
            // If the store is down, this connection must be closed too.
            if self.shared.check().is_ok() {
                *kept = Some(connection);
            }
            Ok(())
        });
        if let Err(error) = result {
            self.failed("the checkpoint", &error);
        }
    }

    fn remove(&self, name: &str) {
        if let Err(error) = self.shared.bodies.bodies().remove(name) {
            let observers = &self.shared.settings.observers;
            notice!(observers, Spool Warning "body file not removed", File = name, Error = shown(&error));
        }
    }

    /// Sets aside bodies that no message names: after a crash they were never acknowledged, but after damage they are mail.
    fn put_orphans_aside(&self, first_id: QueueId) {
        let mut candidates = Vec::new();
        let bodies = self.shared.bodies.bodies();
        let listed = bodies.each(&mut |name, id| {
            if id < first_id {
                candidates.push((name.to_owned(), id));
            }
        });
        if let Err(error) = listed {
            self.failed("listing the files of bodies", &error);
        }
        let mut moved = 0_u64;
        let directory = &self.shared.settings.directory;
        for (name, id) in candidates {
            // It stays unless it is certain that no message names it.
            let named = self.shared.readers.read_here(|connection| {
                let mut query = connection.prepare_cached("SELECT body_file FROM message WHERE id = ?1")?;
                Ok(query
                    .query_row([id.as_i64()], |row| row.get::<_, Option<String>>(0))
                    .optional()?)
            });
            let is_orphan = match &named {
                Ok(Ok(None | Some(None))) => true,
                // Of several bodies of a message only one counts.
                Ok(Ok(Some(Some(named)))) => named != &name && first_body(named) == first_body(&name),
                _ => false,
            };
            if is_orphan && bodies.put_aside(&name).is_ok() {
                moved += 1;
            }
        }
        if moved > 0 {
            notice!(
                self.shared.settings.observers,
                Spool Warning "bodies that no message names were put aside, they are kept for 14 days",
                Moved = moved,
                Aside = shown(&directory.join(aside::FOLDER).display()),
            );
        }
    }

    fn tidy_aside(&self) -> Result<(), SpoolError> {
        let removed = aside::tidy(&self.shared.settings.directory)
            .map_err(|error| SpoolError::from_io("cannot remove what is too old", &error))?;
        if removed > 0 {
            let observers = &self.shared.settings.observers;
            notice!(observers, Spool Info "old files that had been put aside are removed", Removed = removed);
        }
        Ok(())
    }

    fn inspect(&self, inspection: &mut Inspection) -> Result<(), SpoolError> {
        let begun = Instant::now();
        let seen = self
            .shared
            .readers
            .read_here(|reader| inspect::step(reader, inspection.place))
            .and_then(|seen| Ok(seen?));
        let seen = seen.inspect_err(|_| inspection.at = begun + INSPECT_PAUSE)?;
        let next = seen.next;
        for task in self.shared.repairs(seen) {
            // A database that is being replaced is checked again.
            if let Err(SpoolError::Corrupt(_)) = self.chore(task) {
                inspection.go_on(Some(inspect::Place::START), INSPECT_PAUSE);
                return Ok(());
            }
        }
        inspection.go_on(next, begun.elapsed());
        Ok(())
    }

    /// Releases disk space when most of the database is unused, as after a burst of mail.
    fn shrink(&self) -> Result<(), SpoolError> {
        let (pages, mut unused) = self.shared.readers.read_here(|reader| {
            let pages: i64 = reader.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let unused: i64 = reader.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
            Ok((pages.max(0) as u64, unused.max(0) as u64))
        })??;
        if unused <= SPARE_PAGES || unused < pages / 2 {
            return Ok(());
        }
        while unused > SPARE_PAGES {
            unused = self.chore(Task::Shrink {
                pages: SHRINK_STEP.min(unused - SPARE_PAGES),
            })?;
        }
        self.shared.keeper.checkpoint();
        let observers = &self.shared.settings.observers;
        notice!(observers, Spool Info "database shrunk", PagesBefore = pages);
        Ok(())
    }

    /// Has the writer do something, and waits for it.
    fn chore(&self, task: Task) -> Result<u64, SpoolError> {
        let (reply, done) = oneshot::channel();
        self.shared
            .inbox
            .chore(Chore {
                task,
                reply: Some(reply),
            })
            .map_err(|_| SpoolError::Closed)?;
        done.blocking_recv().unwrap_or(Err(SpoolError::Closed))
    }

    /// Has the writer commit something.
    fn touch(&self) -> Result<(), SpoolError> {
        self.chore(Task::Prune { rows: Vec::new() }).map(drop)
    }

    /// Deletes the oldest outcomes of finished messages if there are more than may be kept.
    fn forget_excess(&self) -> Result<(), SpoolError> {
        let most = i64::try_from(self.shared.settings.history_max).unwrap_or(i64::MAX);
        let excess = self.shared.counts().outcomes.saturating_sub(most);
        if excess <= 0 {
            return Ok(());
        }
        self.forget_before(i64::MAX, usize::try_from(excess).unwrap_or(usize::MAX))
    }

    /// Deletes outcomes of finished messages past their retention, one step at a time so that puts come in between.
    fn forget(&self, now: Timestamp) -> Result<(), SpoolError> {
        let retention = i64::try_from(self.shared.settings.history_retention.as_millis()).unwrap_or(i64::MAX);
        self.forget_before(now.as_millisecond().saturating_sub(retention), usize::MAX)
    }

    fn forget_before(&self, before: i64, most: usize) -> Result<(), SpoolError> {
        // Ids from a clock that was once ahead are not valid times, and limit nothing.
        let last = self.shared.ids.last();
        let ahead = last.unix_ms() > self.shared.clock.wall().as_millisecond() + 3_600_000;
        let bound = if ahead {
            last
        } else {
            QueueId::new(before, 0).min(last)
        };
        let mut left = most;
        let mut after = (0, -1);
        loop {
            let (seen, mut rows, next) = self
                .shared
                .readers
                .read_here(|reader| old_rows(reader, after, before, bound))??;
            rows.truncate(left);
            left -= rows.len();
            if !rows.is_empty() {
                let (reply, done) = oneshot::channel();
                let chore = Chore {
                    task: Task::Prune { rows },
                    reply: Some(reply),
                };
                if self.shared.inbox.chore(chore).is_err() {
                    return Ok(());
                }
                done.blocking_recv().unwrap_or(Err(SpoolError::Closed))?;
            }
            if seen < PRUNE_STEP || left == 0 {
                return Ok(());
            }
            after = next;
        }
    }
}

type OldRows = (usize, Vec<(QueueId, u32)>, (i64, i64));

/// Examines the recipients of the next few messages: how many rows were seen, which may be deleted, and where to continue.
///
/// A message accepted after `before` has no earlier outcome, so ids limit the search; recipients of messages that are still
/// queued are skipped.
fn old_rows(
    connection: &Connection,
    after: (i64, i64),
    before: i64,
    bound: QueueId,
) -> Result<OldRows, ReadError> {
    let mut query = connection.prepare_cached(
        "SELECT r.message_id, r.idx,
                r.state = 3 AND r.settled_at < ?3 AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = r.message_id)
         FROM recipient r
         WHERE (r.message_id, r.idx) > (?1, ?2) AND r.message_id <= ?4
         ORDER BY r.message_id, r.idx LIMIT ?5",
    )?;
    let bound = bound.as_i64();
    let mut found = query.query(params![after.0, after.1, before, bound, PRUNE_STEP as i64])?;
    let (mut seen, mut rows, mut next) = (0, Vec::new(), after);
    while let Some(row) = found.next()? {
        seen += 1;
        // An invalid row is not an outcome, and stays.
        let (Ok(id), Ok(index)) = (row.get(0), row.get(1)) else {
            continue;
        };
        next = (id, i64::from(index));
        if row.get(2).unwrap_or(false) {
            rows.push((codec::id(id), index));
        }
    }
    Ok((seen, rows, next))
}

/// The name of the first body of this body's message.
fn first_body(name: &str) -> &str {
    name.split_once('.').map_or(name, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use postern_mail::{BodyKind, Envelope, Recipient, ReversePath};

    use super::*;
    use crate::{
        Attempt, Body, NewMessage, Origin, Outcome, RecipientOutcome, Settlement, Spool, SpoolSettings,
        SqliteSpool,
    };

    async fn put(spool: &SqliteSpool, octets: usize) -> QueueId {
        let id = spool.next_id();
        let recipients = ["a@one.example", "b@two.example"].map(|one| Recipient::new(one.parse().unwrap()));
        let message = NewMessage {
            id,
            envelope: Envelope {
                sender: ReversePath::Null,
                recipients: recipients.into(),
                ret: None,
                envid: None,
                body: BodyKind::SevenBit,
                smtputf8: false,
                auth: None,
            },
            received_at: Timestamp::now(),
            prefix: "X: y\r\n".into(),
            body: Body::Inline(vec![b'x'; octets].into()),
            login: None,
            session: None,
            hold: None,
            origin: Origin::Local,
            detour: None,
            queue_only: true,
            note: None,
        };
        spool.put(message).await.unwrap();
        id
    }

    async fn deliver(spool: &SqliteSpool, id: QueueId, recipients: u32) {
        let delivered = |index| RecipientOutcome {
            index,
            outcome: Outcome::Delivered(Attempt::default()),
        };
        let outcomes = (0..recipients).map(delivered).collect();
        spool
            .settle(Settlement {
                id,
                at: Timestamp::now(),
                outcomes,
                reports: Vec::new(),
            })
            .await
            .unwrap();
    }

    async fn keep(spool: &SqliteSpool, work: fn(&mut Keeper<'_>)) {
        let shared = spool.shared.clone();
        let task = move || work(&mut Keeper { shared: &shared });
        tokio::task::spawn_blocking(task).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn outcomes_are_kept_for_their_retention_and_as_long_as_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let spool = SqliteSpool::open(SpoolSettings::new(folder.path())).unwrap();
        let mut finished = Vec::new();
        // More than one step, so that it continues where it stopped.
        for _ in 0..PRUNE_STEP {
            finished.push(put(&spool, 10).await);
        }
        let half = put(&spool, 10).await;
        for id in &finished {
            deliver(&spool, *id, 2).await;
        }
        deliver(&spool, half, 1).await;
        keep(&spool, |keeper| keeper.forget(Timestamp::now()).unwrap()).await;
        assert_eq!(spool.history(finished[0]).await.unwrap().len(), 2);

        keep(&spool, |keeper| {
            keeper
                .forget(Timestamp::now() + SignedDuration::from_hours(73))
                .unwrap()
        })
        .await;
        for id in finished {
            assert!(spool.history(id).await.unwrap().is_empty());
        }
        assert_eq!(spool.history(half).await.unwrap().len(), 1);
        assert_eq!(spool.show(half).await.unwrap().unwrap().recipients.len(), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_history_is_bounded_in_size_too() {
        let folder = tempfile::tempdir().unwrap();
        let spool = SqliteSpool::open(SpoolSettings {
            history_max: 100,
            ..SpoolSettings::new(folder.path())
        })
        .unwrap();
        let half = put(&spool, 10).await;
        deliver(&spool, half, 1).await;
        let mut finished = Vec::new();
        for _ in 0..100 {
            finished.push(put(&spool, 10).await);
        }
        for id in &finished {
            deliver(&spool, *id, 2).await;
        }
        assert_eq!(spool.shared.counts().outcomes, 201);
        keep(&spool, |keeper| keeper.forget_excess().unwrap()).await;
        assert_eq!(spool.shared.counts().outcomes, 100);
        assert!(
            spool.history(finished[0]).await.unwrap().is_empty(),
            "the oldest went"
        );
        assert_eq!(spool.history(finished[99]).await.unwrap().len(), 2);
        assert_eq!(
            spool.history(half).await.unwrap().len(),
            1,
            "of a message that is queued"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_drained_queue_gives_its_room_back() {
        let folder = tempfile::tempdir().unwrap();
        let spool = SqliteSpool::open(SpoolSettings::new(folder.path())).unwrap();
        let mut ids = Vec::new();
        for _ in 0..400 {
            ids.push(put(&spool, 64_000).await);
        }
        let last = put(&spool, 64_000).await;
        let size = || std::fs::metadata(folder.path().join("queue.db")).unwrap().len();
        // The queue's own keeper works too, and each step may collide with it: so repeat until done.
        let mut full = 0;
        for _ in 0..50 {
            keep(&spool, |keeper| keeper.checkpoint()).await;
            full = size();
            if full > 25 << 20 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for id in ids {
            deliver(&spool, id, 2).await;
        }
        let mut drained = u64::MAX;
        for _ in 0..50 {
            keep(&spool, |keeper| keeper.shrink().unwrap()).await;
            keep(&spool, |keeper| keeper.checkpoint()).await;
            drained = size();
            if drained < 18 << 20 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(
            full > 25 << 20 && drained < 18 << 20,
            "from {full} to {drained} octets"
        );
        assert_eq!(spool.load(last).await.unwrap().unwrap().body.len(), 64_000);
    }
}
