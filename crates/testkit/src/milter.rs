//! Real filters: Python programs on libmilter (python3-milter), opendkim, MIMEDefang, and separate daemons; and one without a
//! library, for what no library does.

mod daemons;
mod mimedefang;
mod opendkim;
mod scripted;

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

pub use daemons::{ClamAv, ODD, OpenDmarc, Rspamd, SPAM, SpamAssassin, WORM};
pub use mimedefang::MimeDefang;
pub use opendkim::OpenDkim;
pub use scripted::{Act, ScriptedMilter, content, packet};

use crate::process::{PATIENCE, Server, program, wait_until};

/// Common to all Python filters: `Recorder`, which records everything it receives and answers "continue".
const RECORDER: &str = r#"
import sys, os, time, Milter, milter as low

class Recorder(Milter.Base):
    WATCHED = []
    SYMBOLS = {}
    def note(self, *what):
        line = ' '.join(repr(part) for part in what)
        for name in self.WATCHED:
            value = self.getsymval(name)
            if value is not None:
                line += ' %s=%r' % (name, value)
        sys.stdout.write(line + '\n')
        sys.stdout.flush()
    def connect(self, host, family, address):
        self.note('connect', host, address)
        return Milter.CONTINUE
    def hello(self, name):
        self.note('helo', name)
        return Milter.CONTINUE
    def envfrom(self, sender, *parameters):
        self.note('mail', sender, *parameters)
        return Milter.CONTINUE
    def envrcpt(self, recipient, *parameters):
        self.note('rcpt', recipient, *parameters)
        return Milter.CONTINUE
    def data(self):
        self.note('data')
        return Milter.CONTINUE
    def unknown(self, line):
        self.note('unknown', line)
        return Milter.CONTINUE
    @Milter.decode('bytes')
    def header(self, name, value):
        self.note('header', name, value)
        return Milter.CONTINUE
    def eoh(self):
        self.note('eoh')
        return Milter.CONTINUE
    def body(self, piece):
        self.note('body', len(piece))
        return Milter.CONTINUE
    def eom(self):
        self.note('eom')
        return Milter.CONTINUE
    def abort(self):
        self.note('abort')
        return Milter.CONTINUE
    def close(self):
        sys.stdout.write("'close'\n")
        sys.stdout.flush()
        return Milter.CONTINUE
    def negotiate(self, options):
        result = Milter.Base.negotiate(self, options)
        self._actions = options[0] = options[0] & FLAGS
        # Milter.symlist hands bytes to a function that wants text.
        for stage, names in self.SYMBOLS.items():
            self._ctx.setsymlist(stage, names)
        return result

FLAGS = Milter.CURR_ACTS
"#;

const MAIN: &str = r"
Milter.factory = Filter
Milter.set_flags(FLAGS)
Milter.runmilter('filter', sys.argv[1], 600)
";

/// A filter written in Python, run by libmilter. Killed when dropped.
#[derive(Debug)]
pub struct PythonMilter {
    folder: TempDir,
    address: String,
    server: Option<Server>,
}

impl PythonMilter {
    /// Starts one on a Unix socket.
    ///
    /// `class` is Python that defines `class Filter(Recorder)`: methods of `Milter.Base` (`connect`, `hello`, `envfrom`,
    /// `envrcpt`, `data`, `unknown`, `header`, `eoh`, `body`, `eom`, `abort`, `close`). Undefined ones are recorded and answered
    /// with "continue"; `self.note(…)` records more, with the values of the macros in `WATCHED`. `SYMBOLS` are the requested
    /// macros by stage, and `FLAGS` (outside the class) the actions, all by default.
    ///
    /// # Panics
    ///
    /// When Python or python3-milter is not installed (the panic names the Debian package), or the filter does not start.
    #[must_use]
    pub fn start(class: &str) -> Self {
        Self::start_on(class, None)
    }

    /// Starts one on a TCP port of the loopback interface.
    ///
    /// # Panics
    ///
    /// As [`PythonMilter::start`].
    #[must_use]
    pub fn start_tcp(class: &str, port: u16) -> Self {
        Self::start_on(class, Some(port))
    }

    fn start_on(class: &str, port: Option<u16>) -> Self {
        let module = Path::new("/usr/lib/python3/dist-packages/Milter/__init__.py");
        let _ = program(&module.display().to_string(), "python3-milter");
        let folder = TempDir::new().expect("a scratch folder");
        fs::write(
            folder.path().join("filter.py"),
            format!("{RECORDER}\n{class}\n{MAIN}"),
        )
        .expect("filter.py");
        let address = match port {
            None => format!("unix:{}", folder.path().join("socket").display()),
            Some(port) => format!("inet:{port}@127.0.0.1"),
        };
        let mut filter = Self {
            folder,
            address,
            server: None,
        };
        filter.restart();
        filter
    }

    /// Starts it again after it was stopped or died.
    ///
    /// # Panics
    ///
    /// As [`PythonMilter::start`].
    pub fn restart(&mut self) {
        self.stop();
        let mut command = Command::new(program("/usr/bin/python3", "python3"));
        command
            .arg(self.folder.path().join("filter.py"))
            .arg(&self.address);
        let mut server = Server::start(&mut command, &self.folder.path().join("log"));
        let listens = || match self.address.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path).is_ok(),
            None => {
                let port = self
                    .address
                    .trim_start_matches("inet:")
                    .trim_end_matches("@127.0.0.1");
                TcpStream::connect(("127.0.0.1", port.parse().expect("a port"))).is_ok()
            }
        };
        wait_until("the filter's socket", || {
            assert!(server.runs(), "the filter has ended:\n{}", server.log());
            listens()
        });
        self.server = Some(server);
    }

    /// Kills it, as in a crash, and removes its socket.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.crash();
        }
        let _ = fs::remove_file(self.folder.path().join("socket"));
    }

    /// Suspends the process: it accepts connections (the system does) but never answers.
    pub fn freeze(&self) {
        if let Some(server) = &self.server {
            crate::slapd::freeze(server);
        }
    }

    /// Resumes it.
    pub fn resume(&self) {
        if let Some(server) = &self.server {
            server.signal(Signal::SIGCONT);
        }
    }

    /// Its address, as sendmail writes it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has recorded, line by line, in all its runs.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().map(str::to_owned).collect()
    }

    /// Waits until it has recorded a line containing `text` `times` times.
    ///
    /// # Panics
    ///
    /// If it does not; shows what it recorded instead.
    pub fn wait_for(&self, text: &str, times: usize) {
        let found = || self.notes().iter().filter(|line| line.contains(text)).count();
        let end = std::time::Instant::now() + PATIENCE;
        while found() < times {
            assert!(
                std::time::Instant::now() < end,
                "{text:?} has come {} times instead of {times}:\n{}",
                found(),
                self.notes().join("\n")
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
