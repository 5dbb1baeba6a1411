//! The log: one line per event, readable or JSON, written by a separate thread.
//!
//! An event costs its caller formatting into a thread-local buffer and one copy under a short lock; the writer thread combines
//! what arrives within a few milliseconds into one write. If the sink is slower than the server, lines wait; beyond a limit
//! they are dropped and counted: mail goes on.
//!
//! Lines caused by strangers have a budget per network and in total, and a small queue. Important lines have no budget and a
//! large queue of their own, so nobody can push a login out of the log by being refused.

mod format;
mod json;
mod lane;
mod observer;
pub(crate) mod reference;
mod settings;
mod shared;
mod sink;
mod text;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use postern_events::Observer;
use postern_policy::noise::Noise;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

pub(crate) use self::settings::{Format, LogSettings, Target};

use self::lane::Kind;
use self::observer::LogObserver;
use self::shared::{Shared, Style, rank};
use self::sink::{Lane, Sink};

/// Keeps the log running; when dropped, everything is written and it ends.
pub(crate) struct Log {
    shared: Arc<Shared>,
}

impl Log {
    /// Starts the log of this process. Only the first call can succeed.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, the thread cannot be started, or there is a log already.
    pub(crate) fn start(settings: &LogSettings) -> std::io::Result<Self> {
        let style = Arc::new(Style {
            json: AtomicBool::new(settings.format == Format::Json),
            journal: AtomicBool::new(settings.target.is_journal()),
            noise: Mutex::new(Noise::new(settings.refusals_per_second, Instant::now())),
        });
        let theirs = Arc::clone(&style);
        let own = move |dropped, tell, lines: &mut Vec<u8>| theirs.own_lines(dropped, tell, lines);
        let shared = Arc::new(Shared {
            level: AtomicU8::new(rank(settings.level)),
            style,
            sink: Sink::start(&settings.target, Box::new(own))?,
        });
        let layer = LineLayer {
            shared: Arc::clone(&shared),
        };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).map_err(std::io::Error::other)?;
        Ok(Self { shared })
    }

    /// The log as an observer of events.
    pub(crate) fn observer(&self) -> Box<dyn Observer> {
        Box::new(LogObserver {
            shared: Arc::clone(&self.shared),
        })
    }

    /// The counts of lines that the log had to drop.
    pub(crate) fn losses(&self) -> Losses {
        Losses(Arc::clone(&self.shared))
    }

    /// Changes the settings, and reopens the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened; the log then continues as before.
    pub(crate) fn change(&self, settings: &LogSettings) -> std::io::Result<()> {
        self.shared.sink.retarget(&settings.target)?;
        let style = &self.shared.style;
        style
            .json
            .store(settings.format == Format::Json, Ordering::Relaxed);
        style
            .journal
            .store(settings.target.is_journal(), Ordering::Relaxed);
        style
            .noise
            .lock()
            .change(settings.refusals_per_second, Instant::now());
        self.shared.level.store(rank(settings.level), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Writes waiting lines. Later lines go directly to standard error.
    pub(crate) fn finish(&self) {
        self.shared.sink.finish();
    }
}

/// Appends an event as a JSON object with a line feed, as the log has it.
pub(crate) fn json_line(event: &postern_events::Event<'_>, now: jiff::Timestamp, line: &mut Vec<u8>) {
    let look = format::Look {
        json: true,
        journal: false,
    };
    format::fact(event, look, now, line);
}

/// Counts the lines that the log had to drop.
#[derive(Clone)]
pub(crate) struct Losses(Arc<Shared>);

impl Losses {
    /// Dropped lines since the start: important ones, and those caused by strangers.
    pub(crate) fn lines(&self) -> (u64, u64) {
        let dropped = self.0.sink.dropped_ever();
        (dropped.matters, dropped.noise)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Turns events into lines.
struct LineLayer {
    shared: Arc<Shared>,
}

impl LineLayer {
    /// Libraries only log from warnings upwards, unless everything was requested.
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let chosen = self.shared.level.load(Ordering::Relaxed);
        let ours = metadata.target().starts_with("postern");
        let bound = if ours || chosen == rank(Level::TRACE) {
            chosen
        } else {
            chosen.min(rank(Level::WARN))
        };
        metadata.is_event() && rank(*metadata.level()) <= bound
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        None
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let style = &self.shared.style;
        let kind = lane::kind(event.metadata());
        if kind == Kind::Strangers && !style.admits(event) {
            return;
        }
        let lane = match kind {
            Kind::Matters => Lane::Matters,
            Kind::Strangers | Kind::Detail => Lane::Noise,
        };
        LINE.with_borrow_mut(|line| {
            line.clear();
            let now = jiff::Timestamp::now();
            format::detail(event, style.look(), now, line);
            self.shared.sink.push(line, lane);
        });
    }
}
