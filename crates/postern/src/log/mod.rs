//! The log: one line an event, readable or JSON, written by a thread of its own.
//!
//! An event costs its caller the formatting into a buffer of the thread and one copy under a short lock; the writer
//! thread gathers what comes within a few milliseconds into one write. When the sink is slower than the server, lines
//! beyond [`sink::BUFFER_MAX`] are dropped and counted: mail goes on.

mod format;
mod sink;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use self::sink::Sink;

/// How a line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// `2026-11-22T09:30:20.123Z accepted session=… queue=…`
    Readable,
    /// One JSON object a line.
    Json,
}

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// Standard error, which systemd hands to the journal.
    Stderr,
    /// Standard output, where containers keep their log.
    Stdout,
    /// Appended to a file; opened again at every reload, so that it can be rotated.
    File(PathBuf),
}

/// What is logged, how, and where to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LogSettings {
    pub(crate) format: Format,
    pub(crate) level: Level,
    pub(crate) target: Target,
}

/// Keeps the log running; ends with everything written when dropped.
pub(crate) struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    json: AtomicBool,
    level: AtomicU8,
    sink: Sink,
}

impl Log {
    /// Starts the log of this process. Only the first call can succeed.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, the thread cannot be started, or there is a log already.
    pub(crate) fn start(settings: &LogSettings) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            json: AtomicBool::new(settings.format == Format::Json),
            level: AtomicU8::new(rank(settings.level)),
            sink: Sink::start(&settings.target)?,
        });
        let layer = LineLayer {
            shared: Arc::clone(&shared),
        };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).map_err(std::io::Error::other)?;
        Ok(Self { shared })
    }

    /// Takes other settings, and opens the file anew.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened; the log then goes on as before.
    pub(crate) fn change(&self, settings: &LogSettings) -> std::io::Result<()> {
        self.shared.sink.retarget(&settings.target)?;
        self.shared
            .json
            .store(settings.format == Format::Json, Ordering::Relaxed);
        self.shared.level.store(rank(settings.level), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Writes what is waiting. Lines that come later go straight to standard error.
    pub(crate) fn finish(&self) {
        self.shared.sink.finish();
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
    /// Libraries speak only from warnings upwards, unless everything was asked for.
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
        LINE.with_borrow_mut(|line| {
            line.clear();
            let now = jiff::Timestamp::now();
            if self.shared.json.load(Ordering::Relaxed) {
                format::json(event, now, line);
            } else {
                format::readable(event, now, line);
            }
            self.shared.sink.push(line);
        });
    }
}

/// Levels as numbers that grow with detail.
fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}
