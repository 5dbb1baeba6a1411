//! The writer thread, and its public interface.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use postern_events::{Event, Line, Observer, Observers};

use crate::files::Files;
use crate::inlet::{self, Entries, Puts};
use crate::name::{DAY_MS, day_of};
use crate::shared::{Counters, Counts, Settings, Shared};
use crate::stories::Stories;

/// How often events are written.
const BATCH: Duration = Duration::from_secs(1);

/// How often sizes are checked and old files removed.
const TIDY: Duration = Duration::from_secs(10);

/// The history of a running server. Clones share it.
#[derive(Clone)]
pub struct History {
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl History {
    /// Starts the writer thread.
    ///
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub fn start(settings: Settings) -> io::Result<Self> {
        Self::start_at(settings, None)
    }

    /// Starts it as if it were always that day (days since 1970): for measuring a history of many days.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_on(settings: Settings, day: i32) -> io::Result<Self> {
        Self::start_at(settings, Some(day))
    }

    fn start_at(settings: Settings, day: Option<i32>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            inlet: Arc::new(inlet::inlet()),
            settings: Mutex::new(settings),
            counters: Counters::default(),
            observers: OnceLock::new(),
            written: Mutex::new(0),
            done: Condvar::new(),
        });
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || Writer::new(writing, day).run())?;
        Ok(Self {
            shared,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Octets that wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.inlet.waiting()
    }

    /// The observer that takes the events. It never waits for the disk.
    #[must_use]
    pub fn observer(&self) -> Box<dyn Observer> {
        Box::new(Puts(Arc::clone(&self.shared.inlet)))
    }

    /// Takes an already encoded event.
    pub fn put(&self, event: &Event<'_>, line: &Line) {
        if inlet::wants(event) {
            inlet::put(&self.shared.inlet, event, line);
        }
    }

    /// Whether an event can be part of a story.
    #[must_use]
    pub fn wants(event: &Event<'_>) -> bool {
        inlet::wants(event)
    }

    /// The observers to notify when it cannot be written, and when it can again.
    pub fn tell_to(&self, observers: Observers) {
        let _ = self.shared.observers.set(observers);
    }

    /// Changes the settings; a new folder only takes effect at the next start.
    pub fn configure(&self, settings: Settings) {
        let mut current = self.shared.settings.lock();
        let folder = std::mem::take(&mut current.folder);
        *current = Settings { folder, ..settings };
    }

    /// Counters since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Counters {
            stories,
            strangers,
            failed,
            left_out,
        } = &self.shared.counters;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            stories: read(stories),
            dropped: self.shared.inlet.dropped(),
            dropped_strangers: read(strangers),
            dropped_failed: read(failed),
            left_out: read(left_out),
        }
    }

    /// Waits until everything so far is written, for at most `wait`. Blocks.
    pub fn flush(&self, wait: Duration) {
        let wanted = self.shared.inlet.flush();
        let until = Instant::now() + wait;
        let mut written = self.shared.written.lock();
        while *written < wanted {
            if self.shared.done.wait_until(&mut written, until).timed_out() {
                return;
            }
        }
    }

    /// Writes the rest and stops. Blocks.
    pub fn stop(&self) {
        self.shared.inlet.close();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic there has already been reported, and loses nothing else.
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct Writer {
    shared: Arc<Shared>,
    stories: Stories,
    files: Files,
    day: Option<i32>,
}

impl Writer {
    fn new(shared: Arc<Shared>, day: Option<i32>) -> Self {
        let settings = shared.settings.lock();
        let files = Files::new(&settings);
        drop(settings);
        Self {
            shared,
            stories: Stories::default(),
            files,
            day,
        }
    }

    fn run(mut self) {
        let mut octets = Vec::new();
        let mut done = 0;
        loop {
            let taken = self.shared.inlet.take(BATCH, done, &mut octets);
            for (role, session, line) in Entries(&octets) {
                self.stories.note(role, session, line);
            }
            self.write(taken.closed);
            if octets.capacity() > 2 << 20 {
                octets = Vec::new();
            }
            done = taken.flush;
            *self.shared.written.lock() = done;
            self.shared.done.notify_all();
            if taken.closed {
                return;
            }
        }
    }

    fn write(&mut self, ends: bool) {
        let now = match self.day {
            Some(day) => i64::from(day) * DAY_MS,
            None => Timestamp::now().as_millisecond(),
        };
        let settings = self.shared.settings.lock().clone();
        let Self {
            shared,
            stories,
            files,
            ..
        } = self;
        if files.tidied_at.is_none_or(|at| at.elapsed() >= TIDY) {
            files.tidied_at = Some(Instant::now());
            for gone in files.tidy(&settings, day_of(now), shared) {
                stories.forget(gone);
            }
        }
        files.fill_tokens(&settings);
        stories.flush(ends, now, |piece| files.add(&piece, now, shared));
        for lost in files.commit(shared) {
            stories.forget(lost);
        }
        shared
            .counters
            .left_out
            .store(stories.left_out, Ordering::Relaxed);
        files.close_unused(day_of(now), shared);
    }
}
