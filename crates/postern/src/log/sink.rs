//! The thread that writes the log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Target;

/// Most octets waiting to be written. Beyond it lines are dropped, and counted in the log once there is room.
pub(super) const BUFFER_MAX: usize = 8 << 20;

/// How long the writer gathers lines before it writes them.
const GATHER: Duration = Duration::from_millis(5);

/// Where lines are handed in.
pub(super) struct Sink {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    waiting: Vec<u8>,
    dropped: u64,
    /// Another sink to go over to, and the lines that still belong to the one before.
    next: Option<(Vec<u8>, Output)>,
    ending: bool,
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

    fn write(&mut self, lines: &[u8]) {
        // A log that cannot be written has no place to say so.
        let _ = match self {
            Self::Stderr => io::stderr().write_all(lines),
            // Without the flush, what stands behind the last line end would wait.
            Self::Stdout => io::stdout().write_all(lines).and_then(|()| io::stdout().flush()),
            Self::File(file) => file.write_all(lines),
        };
    }
}

impl Sink {
    /// Opens the target and starts the thread.
    pub(super) fn start(target: &Target) -> io::Result<Self> {
        let output = Output::open(target)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                waiting: Vec::new(),
                dropped: 0,
                next: None,
                ending: false,
            }),
            wake: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(&theirs, output))?;
        Ok(Self {
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Hands in whole lines. Never waits for the disk.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut state = self.shared.state.lock();
        if state.ending {
            drop(state);
            Output::Stderr.write(lines);
        } else if state.waiting.len() + lines.len() > BUFFER_MAX {
            state.dropped += 1;
        } else {
            let was_empty = state.waiting.is_empty();
            state.waiting.extend_from_slice(lines);
            drop(state);
            if was_empty {
                self.shared.wake.notify_one();
            }
        }
    }

    /// Opens another target; lines handed in from now on go there.
    pub(super) fn retarget(&self, target: &Target) -> io::Result<()> {
        let output = Output::open(target)?;
        let mut state = self.shared.state.lock();
        let mut before = state.next.take().map(|(lines, _)| lines).unwrap_or_default();
        before.append(&mut state.waiting);
        state.next = Some((before, output));
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Writes what is waiting and ends the thread. Later lines go straight to standard error.
    pub(super) fn finish(&self) {
        self.shared.state.lock().ending = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.lock().take() {
            let _ = writer.join();
        }
    }
}

fn write_all(shared: &Shared, mut output: Output) {
    let mut lines = Vec::new();
    loop {
        let mut state = shared.state.lock();
        while state.waiting.is_empty() && state.next.is_none() && !state.ending {
            shared.wake.wait(&mut state);
        }
        if !state.ending {
            drop(state);
            std::thread::sleep(GATHER);
            state = shared.state.lock();
        }
        std::mem::swap(&mut state.waiting, &mut lines);
        let (dropped, next, ending) = (
            std::mem::take(&mut state.dropped),
            state.next.take(),
            state.ending,
        );
        drop(state);

        if let Some((before, other)) = next {
            output.write(&before);
            output = other;
        }
        output.write(&lines);
        lines.clear();
        lines.shrink_to(1 << 20);
        if dropped > 0 {
            let now = jiff::Timestamp::now();
            output.write(format!("{now:.3} lost level=warning lines={dropped}\n").as_bytes());
        }
        if ending {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_whole_and_in_order_and_files_can_be_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let sink = Sink::start(&Target::File(first.clone())).unwrap();
        for n in 0..1_000 {
            sink.push(format!("line {n}\n").as_bytes());
        }
        sink.retarget(&Target::File(second.clone())).unwrap();
        sink.push(b"after\n");
        sink.finish();
        let want: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(std::fs::read_to_string(first).unwrap(), want);
        assert_eq!(std::fs::read_to_string(second).unwrap(), "after\n");
    }

    #[test]
    fn a_full_buffer_drops_and_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = Sink::start(&Target::File(path.clone())).unwrap();
        let block = vec![b'x'; BUFFER_MAX];
        // The writer may take the first block before the second comes.
        while sink.shared.state.lock().dropped == 0 {
            sink.push(&block);
        }
        sink.finish();
        let written = std::fs::read_to_string(path).unwrap();
        let dropped: Vec<&str> = written.split('x').filter(|part| !part.is_empty()).collect();
        assert!(
            dropped.concat().contains("lost level=warning lines="),
            "{dropped:?}"
        );
        assert_eq!(
            written.len() / BUFFER_MAX,
            written.matches('x').count() / BUFFER_MAX
        );
    }
}
