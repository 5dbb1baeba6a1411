//! Starting real programs for a test and stopping them by pid.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a server may take to open its port, and to stop when told to.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The range of test ports: above those of services, below Linux's ephemeral ports.
const PORTS: Range<u16> = 10_000..32_768;

/// A free loopback port that no other test gets soon: ports are handed out in turn, across all processes.
///
/// # Panics
///
/// If the machine has none left, or the file that tracks the turn cannot be used.
#[must_use]
pub fn free_port() -> u16 {
    let path = std::env::temp_dir().join("postern-tests-next-port");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("the file of the next port");
    let mut file = Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .expect("the lock");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("the next port");
    let next = text.trim().parse().ok().filter(|port| PORTS.contains(port));
    let next = next.unwrap_or(PORTS.start);
    let port = (next..PORTS.end)
        .chain(PORTS.start..next)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free loopback port");
    file.rewind().expect("the start of the file");
    // As wide as the widest, so that it replaces the whole.
    write!(file, "{:5}", port + 1).expect("the next port");
    port
}

/// Reserves the fixed ports in the acceptance configurations, so that two tests do not use them at once.
#[derive(Debug)]
pub struct FixedPorts(
    #[expect(dead_code, reason = "the lock lives as long as the file is open")] Flock<File>,
);

impl FixedPorts {
    /// Waits until no other test, in any process, holds them.
    ///
    /// # Panics
    ///
    /// When the lock file cannot be made.
    #[must_use]
    pub fn hold() -> Self {
        let path = std::env::temp_dir().join("postern-tests-fixed-ports.lock");
        let file = File::create(path).expect("the lock file");
        Self(
            Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, error)| error)
                .expect("the lock"),
        )
    }
}

/// Finds a program from a Debian package.
///
/// # Panics
///
/// If it is not installed, with the package's name: a test that needs a real server cannot pass without it.
#[must_use]
pub fn program(path: &str, package: &str) -> PathBuf {
    let path = Path::new(path);
    assert!(
        path.exists(),
        "{} is missing: install it with `apt-get install --no-install-recommends {package}`",
        path.display()
    );
    path.to_owned()
}

/// Waits until `done` holds.
///
/// # Panics
///
/// If it does not within [`PATIENCE`]; `what` says what was awaited.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(
            Instant::now() < end,
            "waited {} s in vain for {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until somebody answers on a loopback port.
///
/// # Panics
///
/// As [`wait_until`].
pub fn wait_for_port(port: u16) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    wait_until(&format!("a listener on {address}"), || {
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    });
}

/// A started program, killed when dropped. What it printed is in a log file.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` with both output streams going to the file `log`.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it at once, as in a crash.
    pub fn crash(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end with `SIGTERM` and returns its exit status.
    ///
    /// # Panics
    ///
    /// When it still runs after [`PATIENCE`].
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let mut status = None;
        wait_until("the end of a server", || {
            status = self.child.try_wait().unwrap_or_default();
            status.is_some()
        });
        status.expect("set above")
    }

    /// Waits until the program ends by itself.
    ///
    /// # Errors
    ///
    /// As [`Child::wait`].
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
