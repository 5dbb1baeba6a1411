//! A webhook at work: a thread with a runtime of its own, which moves lines to disk and posts them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use postern_events::{Event, Inlet, Lane, Observers, notice};
use postern_https::{HttpClient, TrustError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backoff;
use crate::buffer::{Batch, Buffer};
use crate::sender::{Refused, post_once};
use crate::{Failing, Settings, Status};

/// Most octets in memory, of each webhook.
const WAITING_MAX: usize = 4 << 20;

/// How often lines are moved from memory to disk, and so how long they gather for a batch.
const MOVE_EVERY: Duration = Duration::from_millis(250);

/// How often it is told that events were dropped.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A webhook that cannot be started, or cannot take other settings.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its buffer cannot be opened.
    #[error("cannot open its buffer")]
    Buffer(#[source] io::Error),
    /// The authorities cannot be read.
    #[error("cannot tell whom to trust")]
    Trust(#[from] TrustError),
    /// There can be no further thread.
    #[error("cannot start its thread")]
    Thread(#[source] io::Error),
}

/// A webhook at work.
pub struct Webhook {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
}

struct Shared {
    in_force: ArcSwap<InForce>,
    inlet: Inlet,
    buffer: Mutex<Buffer>,
    status: Mutex<Counted>,
    /// There is something on disk.
    filled: Notify,
    /// Settings have changed: what failed may work now.
    changed: Notify,
    observers: Observers,
    /// By when the end is over; there is none before it begins.
    deadline: Mutex<Option<Instant>>,
}

/// Settings, and the client made of them.
struct InForce {
    settings: Settings,
    client: HttpClient,
}

#[derive(Default)]
struct Counted {
    delivered: u64,
    taken: u64,
    failed: u64,
    failing: Option<Failing>,
    taken_at: Option<Timestamp>,
    told_dropped: u64,
    told_at: Option<Instant>,
}

impl InForce {
    fn new(settings: Settings) -> Result<Self, StartError> {
        let client = HttpClient::new(&settings.http)?;
        Ok(Self { settings, client })
    }
}

impl Webhook {
    /// Starts one, whose buffer lies in `folder`, in a folder of its name.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn start(settings: Settings, folder: &Path, observers: Observers) -> Result<Self, StartError> {
        let own = folder.join(&settings.name);
        let buffer = Buffer::open(&own, settings.buffer, rand::random()).map_err(StartError::Buffer)?;
        let shared = Arc::new(Shared {
            in_force: ArcSwap::from_pointee(InForce::new(settings)?),
            inlet: Inlet::new(WAITING_MAX, WAITING_MAX),
            buffer: Mutex::new(buffer),
            status: Mutex::default(),
            filled: Notify::new(),
            changed: Notify::new(),
            observers,
            deadline: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // For looking up the name of the host.
            .max_blocking_threads(2)
            .build()
            .map_err(StartError::Thread)?;
        let stop = CancellationToken::new();
        let (theirs, stopped) = (Arc::clone(&shared), stop.clone());
        let thread = std::thread::Builder::new()
            .name("webhook".to_owned())
            .spawn(move || {
                runtime.block_on(theirs.run(&stopped));
                runtime.shutdown_background();
            })
            .map_err(StartError::Thread)?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
            stop,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.shared.in_force.load().settings.name.clone()
    }

    /// Whether it gets an event.
    #[must_use]
    pub fn wants(&self, event: &Event<'_>) -> bool {
        self.shared.in_force.load().settings.filter.wants(event)
    }

    /// Takes an event as a line of JSON with its line feed, or counts it where there is no room. Never waits.
    pub fn put(&self, lane: Lane, line: &[u8]) {
        let Ok(length) = u32::try_from(line.len()) else {
            return;
        };
        self.shared.inlet.put(lane, 5 + line.len(), |waiting| {
            waiting.extend_from_slice(&length.to_le_bytes());
            waiting.push(u8::from(lane == Lane::Strangers));
            waiting.extend_from_slice(line);
        });
    }

    /// Takes other settings of the same name, and tries again at once.
    ///
    /// # Errors
    ///
    /// [`StartError::Trust`]; nothing has changed then.
    pub fn configure(&self, settings: Settings) -> Result<(), StartError> {
        let in_force = InForce::new(settings)?;
        self.shared.buffer.lock().configure(in_force.settings.buffer);
        self.shared.in_force.store(Arc::new(in_force));
        self.shared.changed.notify_one();
        Ok(())
    }

    /// How it does.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Moves all to disk, sends what its receiver takes within `last`, and ends. What is left is sent after the next start. Blocks.
    pub fn stop(&self, last: Duration) {
        *self.shared.deadline.lock() = Instant::now().checked_add(last);
        self.shared.inlet.close();
        self.stop.cancel();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic there has been shown already.
            let _ = thread.join();
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    async fn run(&self, stop: &CancellationToken) {
        tokio::select! {
            () = self.keep_moving() => {}
            () = self.send_until(stop) => {}
        }
        self.move_to_disk();
        if self.status.lock().failing.is_some() {
            return;
        }
        let _ = tokio::time::timeout_at(self.deadline(), self.send_rest()).await;
    }

    /// By when the end is over: now, where nobody has asked for more.
    fn deadline(&self) -> tokio::time::Instant {
        self.deadline.lock().unwrap_or_else(Instant::now).into()
    }

    async fn keep_moving(&self) {
        let mut every = tokio::time::interval(MOVE_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.move_to_disk();
        }
    }

    /// Moves what waits in memory to disk.
    fn move_to_disk(&self) {
        let mut waiting = Vec::new();
        self.inlet.take(Duration::ZERO, 0, &mut waiting);
        if !waiting.is_empty() {
            let mut buffer = self.buffer.lock();
            let mut lines = Vec::with_capacity(waiting.len());
            let mut left_out = 0;
            for (is_strangers, line) in entries(&waiting) {
                if is_strangers && !buffer.has_room_for_strangers(lines.len() + line.len()) {
                    left_out += 1;
                } else {
                    lines.extend_from_slice(line);
                }
            }
            buffer.leave_out(left_out);
            // What is lost is counted there.
            let _ = buffer.append(&lines);
            drop(buffer);
            self.filled.notify_one();
        }
        self.tell_dropped();
    }

    /// Sends batch after batch until it is to end; a batch under way may take until the end is over.
    async fn send_until(&self, stop: &CancellationToken) {
        loop {
            let Some(batch) = self.next() else {
                tokio::select! {
                    () = self.filled.notified() => continue,
                    () = stop.cancelled() => return,
                }
            };
            let too_late = async {
                stop.cancelled().await;
                tokio::time::sleep_until(self.deadline()).await;
            };
            let sent = tokio::select! {
                sent = self.send(&batch) => sent,
                () = too_late => return,
            };
            if stop.is_cancelled() {
                return;
            }
            if let Err(wait) = sent {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.changed.notified() => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }

    /// Sends what there is until the first failure.
    async fn send_rest(&self) {
        while let Some(batch) = self.next() {
            if self.send(&batch).await.is_err() {
                return;
            }
        }
    }

    fn next(&self) -> Option<Batch> {
        let in_force = self.in_force.load();
        let (events, octets) = (in_force.settings.batch_events, in_force.settings.batch_octets);
        let next = self.buffer.lock().next(events, octets);
        match next {
            Ok(batch) => batch,
            Err(error) => {
                self.fails(&Refused {
                    reason: format!("its buffer cannot be read: {error}"),
                    retry_after: None,
                });
                None
            }
        }
    }

    /// Sends a batch once; how long to wait where that failed.
    async fn send(&self, batch: &Batch) -> Result<(), Duration> {
        let in_force = self.in_force.load_full();
        match post_once(&in_force.client, &in_force.settings, &batch.id, &batch.body).await {
            Ok(_) => {
                self.buffer.lock().take(batch);
                self.works(batch.events);
                Ok(())
            }
            Err(refused) => {
                self.status.lock().failed += 1;
                let failures = self.fails(&refused);
                Err(backoff::wait(failures, rand::random(), refused.retry_after))
            }
        }
    }

    fn works(&self, events: u64) {
        let mut status = self.status.lock();
        status.delivered += events;
        status.taken += 1;
        status.taken_at = Some(Timestamp::now());
        let failing = status.failing.take();
        drop(status);
        if let Some(failing) = failing {
            let seconds = Timestamp::now()
                .as_second()
                .saturating_sub(failing.since.as_second());
            notice!(
                self.observers,
                Run Info "webhook works again",
                Webhook = self.name().as_str(),
                Failures = u64::from(failing.failures),
                Seconds = u64::try_from(seconds).unwrap_or(0),
            );
        }
    }

    /// Notes a failure; returns how many there were in a row.
    fn fails(&self, refused: &Refused) -> u32 {
        let mut status = self.status.lock();
        let begins = status.failing.is_none();
        let failing = status.failing.get_or_insert_with(|| Failing {
            since: Timestamp::now(),
            failures: 0,
            reason: String::new(),
        });
        failing.failures = failing.failures.saturating_add(1);
        failing.reason.clone_from(&refused.reason);
        let failures = failing.failures;
        drop(status);
        if begins {
            notice!(
                self.observers,
                Run Warning "webhook fails",
                Webhook = self.name().as_str(),
                Reason = refused.reason.as_str(),
            );
        }
        failures
    }

    /// Tells from time to time how many events were dropped.
    fn tell_dropped(&self) {
        let dropped = self.dropped();
        let mut status = self.status.lock();
        if dropped == status.told_dropped || status.told_at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        let new = dropped - status.told_dropped;
        status.told_dropped = dropped;
        status.told_at = Some(Instant::now());
        drop(status);
        notice!(
            self.observers,
            Run Warning "webhook events dropped",
            Webhook = self.name().as_str(),
            LeftOut = new,
        );
    }

    fn dropped(&self) -> u64 {
        self.inlet.dropped() + self.buffer.lock().dropped()
    }

    fn name(&self) -> String {
        self.in_force.load().settings.name.clone()
    }

    fn status(&self) -> Status {
        let in_force = self.in_force.load();
        let dropped = self.dropped();
        let (waiting, octets) = {
            let buffer = self.buffer.lock();
            (buffer.waiting(), buffer.octets())
        };
        let counted = self.status.lock();
        Status {
            webhook: in_force.settings.name.clone(),
            host: in_force.settings.endpoint.host().to_owned(),
            delivered: counted.delivered,
            dropped,
            waiting,
            octets,
            taken: counted.taken,
            failed: counted.failed,
            failing: counted.failing.clone(),
            taken_at: counted.taken_at,
        }
    }
}

/// The lines that have waited in memory, and whether strangers have caused each.
fn entries(mut octets: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    std::iter::from_fn(move || {
        let (length, rest) = octets.split_first_chunk()?;
        let (is_strangers, rest) = rest.split_first()?;
        let (line, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        octets = rest;
        Some((*is_strangers == 1, line))
    })
}
