//! The log: one line an event, readable or JSON, written by a thread of its own.
//!
//! An event costs its caller the formatting into a buffer of the thread and one copy under a short lock; the writer
//! thread gathers what comes within a few milliseconds into one write. When the sink is slower than the server, lines
//! wait; beyond a bound they are dropped and counted: mail goes on.
//!
//! Lines about what strangers do have a budget by network and in all, and a small room to wait in. What matters has none of the
//! one and a large room of its own, so nobody can drive a login out of the log by being refused.

mod format;
mod lane;
mod observer;
pub(crate) mod reference;
mod sink;

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
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

use self::format::Look;
use self::lane::{About, Kind};
use self::observer::LogObserver;
use self::sink::{Dropped, Lane, Sink};

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

impl Target {
    /// Whether what is written there goes to the journal of systemd, which says so by `$JOURNAL_STREAM`: device and inode of the
    /// stream (`systemd.exec(5)`).
    fn is_journal(&self) -> bool {
        let stream = match self {
            Self::Stderr => "/proc/self/fd/2",
            Self::Stdout => "/proc/self/fd/1",
            Self::File(_) => return false,
        };
        std::env::var("JOURNAL_STREAM").is_ok_and(|named| is_stream(&named, Path::new(stream)))
    }
}

/// Whether a file is the one that `DEVICE:INODE` names.
fn is_stream(named: &str, file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| named == format!("{}:{}", found.dev(), found.ino()))
}

/// What is logged, how, and where to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LogSettings {
    pub(crate) format: Format,
    pub(crate) level: Level,
    pub(crate) target: Target,
    /// Lines a second about refused clients and handshakes, in the long run.
    pub(crate) refusals_per_second: u32,
}

/// Keeps the log running; ends with everything written when dropped.
pub(crate) struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    level: AtomicU8,
    style: Arc<Style>,
    sink: Sink,
}

/// What the writer's own lines need, too.
struct Style {
    json: AtomicBool,
    /// Whether lines go to the journal.
    journal: AtomicBool,
    noise: Mutex<Noise>,
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

    /// The log as one who is told of events.
    pub(crate) fn observer(&self) -> Box<dyn Observer> {
        Box::new(LogObserver {
            shared: Arc::clone(&self.shared),
        })
    }

    /// Takes other settings, and opens the file anew.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened; the log then goes on as before.
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

impl Style {
    /// What the log has to say of itself: lines that were dropped, and from time to time those for which there was no budget.
    fn own_lines(&self, dropped: Dropped, tell: bool, lines: &mut Vec<u8>) {
        let look = self.look();
        let now = jiff::Timestamp::now();
        for (lost, level, what) in [
            (dropped.matters, Level::ERROR, "all"),
            (dropped.noise, Level::WARN, "refusals"),
        ] {
            if lost > 0 {
                let fields = [("lines", lost.to_string()), ("of", what.to_owned())];
                format::own(look, now, level, "lost", &fields, lines);
            }
        }
        if !tell {
            return;
        }
        for summary in self.noise.lock().untold(Instant::now()) {
            let network = summary.network.map(|network| network.to_string());
            let fields = [
                ("network", network.unwrap_or_else(|| "others".to_owned())),
                ("suppressed", summary.tally.total().to_string()),
                ("rules", summary.tally.to_string()),
            ];
            format::own(look, now, Level::WARN, "suppressed", &fields, lines);
        }
    }

    fn look(&self) -> Look {
        Look {
            json: self.json.load(Ordering::Relaxed),
            journal: self.journal.load(Ordering::Relaxed),
        }
    }

    /// Whether there is a budget for a line about a stranger.
    fn admits(&self, event: &Event<'_>) -> bool {
        let about = About::of(event);
        self.noise.lock().admit(about.peer, &about.rule, Instant::now())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_told_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = file.as_file().metadata().unwrap();
        let named = format!("{}:{}", found.dev(), found.ino());
        assert!(is_stream(&named, file.path()));
        for (shows, named) in [
            ("nothing", ""),
            ("another file", "1:1"),
            ("half of it", &named[1..]),
        ] {
            assert!(!is_stream(named, file.path()), "{shows}");
        }
        assert!(!is_stream(&named, Path::new("/proc/self/fd/none")));
    }
}
