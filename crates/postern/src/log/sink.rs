//! The thread that writes the log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::settings::Target;

/// Most octets of droppable lines. Beyond that they are dropped, and counted in the log once there is room.
pub(super) const NOISE_MAX: usize = 4 << 20;

/// The same for important lines, which have their own queue: enough for hours of a busy server, should the disk be full for so
/// long.
pub(super) const MATTERS_MAX: usize = 64 << 20;

/// How long the writer gathers lines before it writes them.
const GATHER: Duration = Duration::from_millis(5);

/// How often the log is asked for lines of its own.
const OWN_EVERY: Duration = Duration::from_secs(30);

/// How long the writer waits after a write has failed.
const RETRY: Duration = Duration::from_secs(1);

/// How long shutdown waits for a target that accepts nothing, such as a pipe that nobody reads. What is left then is lost: a
/// server that stops must not hang on its log.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// Whether a line may be dropped for others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lane {
    Matters,
    Noise,
}

/// Lines dropped for lack of room.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Dropped {
    pub(super) matters: u64,
    pub(super) noise: u64,
}

/// Adds the log's own lines: about what was dropped, and with `true` everything else it has to report.
pub(super) type Own = Box<dyn FnMut(Dropped, bool, &mut Vec<u8>) + Send>;

/// Where lines are submitted.
pub(super) struct Sink {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// The writer has ended.
    over: Condvar,
}

#[derive(Default)]
struct State {
    /// Lines of both lanes, in order of arrival.
    waiting: Vec<u8>,
    /// How many of those octets are droppable.
    noise: usize,
    dropped: Dropped,
    /// The same since the start.
    dropped_ever: Dropped,
    /// The next sink to switch to, and the lines that still belong to the previous one.
    next: Option<(Vec<u8>, Output)>,
    ending: bool,
    over: bool,
}

enum Output {
    Stderr,
    Stdout,
    File(File),
}

impl Output {
    fn open(target: &Target) -> io::Result<Self> {
        match target {
            Target::Stderr => Ok(Self::Stderr),
            Target::Stdout => Ok(Self::Stdout),
            Target::File(path) => OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o640)
                .open(path)
                .map(Self::File)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }

    /// Writes as much as it can; what is left in `lines` must be written later.
    fn write(&mut self, lines: &mut Vec<u8>) {
        let mut done = 0;
        while done < lines.len() {
            let rest = &lines[done..];
            let written = match self {
                Self::Stderr => io::stderr().write(rest),
                // Without the flush, what follows the last line end would wait.
                Self::Stdout => io::stdout()
                    .write(rest)
                    .and_then(|count| io::stdout().flush().map(|()| count)),
                Self::File(file) => file.write(rest),
            };
            match written {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A log that cannot be written has nowhere to report that.
                Err(_) => break,
            }
        }
        lines.drain(..done);
    }
}

impl State {
    fn has_room(&self, octets: usize, lane: Lane) -> bool {
        match lane {
            Lane::Noise => self.noise + octets <= NOISE_MAX,
            Lane::Matters => self.waiting.len() - self.noise + octets <= MATTERS_MAX,
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.next.is_none() && !self.ending
    }
}

impl Sink {
    /// Opens the target and starts the thread.
    pub(super) fn start(target: &Target, own: Own) -> io::Result<Self> {
        let output = Output::open(target)?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            over: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name("log".into()).spawn(move || {
            Writer::new(&theirs, output, own).run();
            theirs.state.lock().over = true;
            theirs.over.notify_all();
        })?;
        Ok(Self {
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Submits whole lines. Never waits for the disk.
    pub(super) fn push(&self, lines: &[u8], lane: Lane) {
        let mut state = self.shared.state.lock();
        if state.ending {
            drop(state);
            Output::Stderr.write(&mut lines.to_vec());
        } else if state.has_room(lines.len(), lane) {
            let was_empty = state.waiting.is_empty();
            state.waiting.extend_from_slice(lines);
            if lane == Lane::Noise {
                state.noise += lines.len();
            }
            drop(state);
            if was_empty {
                self.shared.wake.notify_one();
            }
        } else {
            match lane {
                Lane::Noise => {
                    state.dropped.noise += 1;
                    state.dropped_ever.noise += 1;
                }
                Lane::Matters => {
                    state.dropped.matters += 1;
                    state.dropped_ever.matters += 1;
                }
            }
        }
    }

    /// Lines dropped for lack of room, since the start.
    pub(super) fn dropped_ever(&self) -> Dropped {
        self.shared.state.lock().dropped_ever
    }

    /// Opens another target; lines submitted from now on go there.
    pub(super) fn retarget(&self, target: &Target) -> io::Result<()> {
        let output = Output::open(target)?;
        let mut state = self.shared.state.lock();
        let mut before = state.next.take().map(|(lines, _)| lines).unwrap_or_default();
        before.append(&mut state.waiting);
        state.noise = 0;
        state.next = Some((before, output));
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Writes waiting lines and ends the thread, unless the target accepts nothing for [`FINISH_MAX`]. Later lines go directly to
    /// standard error.
    pub(super) fn finish(&self) {
        self.finish_within(FINISH_MAX);
    }

    /// Returns whether everything was written.
    fn finish_within(&self, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        let Some(writer) = self.writer.lock().take() else {
            return true;
        };
        let mut state = self.shared.state.lock();
        state.ending = true;
        self.shared.wake.notify_one();
        while !state.over {
            if self.shared.over.wait_until(&mut state, end).timed_out() {
                return state.over;
            }
        }
        drop(state);
        let _ = writer.join();
        true
    }
}

/// The thread's side.
struct Writer<'a> {
    shared: &'a Shared,
    output: Output,
    own: Own,
    own_due: Instant,
    /// Lines taken from the queue but not written yet.
    lines: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(shared: &'a Shared, output: Output, own: Own) -> Self {
        Self {
            shared,
            output,
            own,
            own_due: Instant::now() + OWN_EVERY,
            lines: Vec::new(),
        }
    }

    fn run(mut self) {
        while !self.round() {}
    }

    /// Adds the log's own lines. A fault in those only affects them: the log continues without them, and the panic is reported on
    /// standard error.
    fn add_own(&mut self, dropped: Dropped, tell: bool) {
        let length = self.lines.len();
        let (own, lines) = (&mut self.own, &mut self.lines);
        let added = catch_unwind(AssertUnwindSafe(|| own(dropped, tell, lines)));
        if added.is_err() {
            self.lines.truncate(length);
            self.own = Box::new(|_, _, _| {});
        }
    }

    /// Writes what has arrived; true if it was the last time.
    fn round(&mut self) -> bool {
        let mut state = self.shared.state.lock();
        while state.is_idle() && self.lines.is_empty() && Instant::now() < self.own_due {
            self.shared.wake.wait_until(&mut state, self.own_due);
        }
        if !self.lines.is_empty() && !state.ending && state.next.is_none() {
            // The last write failed. What arrives meanwhile waits, within the limits.
            self.shared.wake.wait_for(&mut state, RETRY);
        } else if !state.ending {
            drop(state);
            std::thread::sleep(GATHER);
            state = self.shared.state.lock();
        }
        let (next, ending) = (state.next.take(), state.ending);
        let mut fresh = Vec::new();
        let mut dropped = Dropped::default();
        if self.lines.is_empty() || next.is_some() || ending {
            std::mem::swap(&mut state.waiting, &mut fresh);
            state.noise = 0;
            dropped = std::mem::take(&mut state.dropped);
        }
        drop(state);

        if let Some((mut before, other)) = next {
            self.lines.append(&mut before);
            self.output.write(&mut self.lines);
            self.output = other;
        }
        if self.lines.is_empty() {
            self.lines = fresh;
        } else {
            self.lines.append(&mut fresh);
        }
        let tell = ending || Instant::now() >= self.own_due;
        if tell {
            self.own_due = Instant::now() + OWN_EVERY;
        }
        if tell || dropped != Dropped::default() {
            self.add_own(dropped, tell);
        }
        self.output.write(&mut self.lines);
        ending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For something that happens soon, even on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn sink(path: &std::path::Path) -> Sink {
        let own = |dropped: Dropped, _, lines: &mut Vec<u8>| {
            if dropped != Dropped::default() {
                lines.extend_from_slice(format!("{dropped:?}\n").as_bytes());
            }
        };
        Sink::start(&Target::File(path.to_owned()), Box::new(own)).unwrap()
    }

    #[test]
    fn lines_arrive_whole_and_in_order_and_files_can_be_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let sink = sink(&first);
        for n in 0..1_000 {
            let lane = if n % 2 == 0 { Lane::Matters } else { Lane::Noise };
            sink.push(format!("line {n}\n").as_bytes(), lane);
        }
        sink.retarget(&Target::File(second.clone())).unwrap();
        sink.push(b"after\n", Lane::Matters);
        sink.finish();
        let want: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(std::fs::read_to_string(first).unwrap(), want);
        assert_eq!(std::fs::read_to_string(second).unwrap(), "after\n");
    }

    #[test]
    fn noise_is_dropped_and_counted_and_takes_no_room_from_what_matters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = sink(&path);
        let block = vec![b'x'; NOISE_MAX];
        let mut number = 0;
        // The writer may take the first block before the second arrives.
        while sink.shared.state.lock().dropped.noise < 10 {
            sink.push(&block, Lane::Noise);
            sink.push(format!("\nlogin {number}\n").as_bytes(), Lane::Matters);
            number += 1;
        }
        assert_eq!(sink.shared.state.lock().dropped.matters, 0);
        sink.finish();
        let written = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = written
            .lines()
            .filter(|line| line.starts_with("login "))
            .collect();
        assert_eq!(lines.len(), number, "nothing that matters is lost");
        assert!(
            written.contains("Dropped { matters: 0, noise: "),
            "and what is lost is told"
        );
    }

    /// A log without its thread would be silent, and look as if there were nothing to report.
    #[test]
    fn a_panic_over_its_own_lines_does_not_end_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let own = |_: Dropped, tell: bool, lines: &mut Vec<u8>| {
            lines.extend_from_slice(b"half a line");
            assert!(!tell, "a fault");
        };
        let sink = Sink::start(&Target::File(path.clone()), Box::new(own)).unwrap();
        sink.push(b"login 1\n", Lane::Matters);
        // Shutdown asks for own lines, too.
        assert!(sink.finish_within(PATIENCE));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "login 1\n");
    }

    /// A pipe that nobody reads: logging threads continue, what does not fit is counted, and the rest arrives once it is read.
    #[test]
    fn a_target_that_takes_nothing_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        // Held open for reading, so that the writer's side opens, but not read.
        let mut pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let stalled = sink(&path);
        let block = [vec![b'x'; NOISE_MAX - 1], b"\n".to_vec()].concat();
        while stalled.shared.state.lock().dropped.noise == 0 {
            stalled.push(&block, Lane::Noise);
        }
        stalled.push(b"login 1\n", Lane::Matters);
        assert!(
            !stalled.finish_within(Duration::from_millis(50)),
            "it takes nothing"
        );
        stalled.push(b"to standard error\n", Lane::Matters);

        let mut read = Vec::new();
        let mut piece = vec![0; 1 << 16];
        let is_told = |read: &[u8]| {
            let tail = String::from_utf8_lossy(&read[read.len().saturating_sub(200)..]).into_owned();
            tail.contains("Dropped { matters: 0, noise: ") && tail.contains("login 1\n")
        };
        // If one of them were lost, this would wait for ever.
        while !is_told(&read) {
            let count = io::Read::read(&mut pipe, &mut piece).unwrap();
            read.extend_from_slice(&piece[..count]);
        }
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        // Every write to it fails, as on a full disk.
        let sink = sink(std::path::Path::new("/dev/full"));
        sink.push(b"login 1\n", Lane::Matters);
        std::thread::sleep(GATHER * 10);
        sink.push(b"login 2\n", Lane::Matters);
        sink.retarget(&Target::File(path.clone())).unwrap();
        sink.finish();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "login 1\nlogin 2\n");
    }
}
