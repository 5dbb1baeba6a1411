//! A real MariaDB on a loopback port and a Unix socket, with its data in a scratch folder.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::account::{give, without_root};
use crate::process::{Server, free_port, program, wait_until};
use crate::slapd::{make_certificate, make_own_certificate, run};

/// The name of the database.
pub const DATABASE: &str = "mail";

/// A database user that reads and writes it.
pub const USER: &str = "postern";

/// The password of [`USER`].
pub const PASSWORD: &str = "database password";

/// The kernel has few slots for asynchronous I/O (`fs.aio-max-nr`), and each server would take several hundred of them.
const NO_AIO: &str = "--innodb-use-native-aio=0";

/// How often creating the system tables is tried.
const INSTALL_ATTEMPTS: u64 = 5;

/// A running MariaDB with a database [`DATABASE`], and a certificate for `localhost` and 127.0.0.1 that a test CA signed.
/// Killed when dropped.
#[derive(Debug)]
pub struct MariaDb {
    folder: TempDir,
    port: u16,
    tls: bool,
    server: Option<Server>,
}

impl MariaDb {
    /// Starts it, with TLS offered.
    ///
    /// # Panics
    ///
    /// When MariaDB is not installed, or does not start; the panic names the Debian package or shows the log.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(true)
    }

    /// Starts it, with or without TLS.
    ///
    /// # Panics
    ///
    /// As [`MariaDb::start`].
    #[must_use]
    pub fn start_with(tls: bool) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        make_certificate(folder.path());
        give(folder.path());
        install(folder.path());
        let mut mariadb = Self {
            folder,
            port: free_port(),
            tls,
            server: None,
        };
        mariadb.restart();
        mariadb.run_in(
            "mysql",
            &format!(
                "CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4; CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'; \
                 GRANT ALL ON {DATABASE}.* TO {USER};"
            ),
        );
        mariadb
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("mariadb.sock")
    }

    /// The certificate of the CA that signed the server's.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Restarts it with a self-signed certificate, marked as an authority, for `localhost` only.
    ///
    /// # Panics
    ///
    /// When openssl is missing, or as [`MariaDb::restart`].
    pub fn sign_itself(&mut self) {
        self.stop();
        make_own_certificate(self.folder.path());
        give(self.folder.path());
        self.restart();
    }

    /// The certificate that [`MariaDb::sign_itself`] made.
    #[must_use]
    pub fn own_certificate(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }

    /// What it has printed since its first start.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Runs SQL in [`DATABASE`] and returns what it prints, bare.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn sql(&self, text: &str) -> String {
        self.run_in(DATABASE, text)
    }

    /// Stops it; its data and port are kept for [`MariaDb::restart`].
    pub fn stop(&mut self) {
        self.resume();
        if let Some(server) = self.server.take() {
            server.terminate();
        }
    }

    /// Suspends its process, like a server that hangs: ports open, no answers.
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

    /// Starts it again on the same port, with the data it had.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.stop();
        let folder = self.folder.path().display();
        let mut command = Command::new(program("/usr/sbin/mariadbd", "mariadb-server"));
        command
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--skip-log-bin",
                NO_AIO,
            ])
            .args([
                "--innodb-buffer-pool-size=16M",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-log-file-size=4M",
            ])
            .arg(format!("--port={}", self.port))
            .arg(format!("--socket={folder}/mariadb.sock"))
            .arg(format!("--datadir={folder}/data"))
            .arg(format!("--pid-file={folder}/mariadb.pid"))
            .env("TMPDIR", self.folder.path())
            .current_dir(self.folder.path());
        if self.tls {
            command
                .arg(format!("--ssl-cert={folder}/server.crt"))
                .arg(format!("--ssl-key={folder}/server.key"));
        }
        let server = Server::start(without_root(&mut command), &self.log_file());
        self.server = Some(server);
        wait_until("MariaDB to take connections", || {
            let runs = self.server.as_mut().is_some_and(Server::runs);
            assert!(runs, "MariaDB ended at once. Its log:\n{}", self.log());
            let output = self.client("mysql").args(["-e", "SELECT 1"]).output();
            output.is_ok_and(|output| output.status.success())
        });
    }

    fn client(&self, database: &str) -> Command {
        let mut command = Command::new(program("/usr/bin/mariadb", "mariadb-client"));
        command
            .args(["--no-defaults", "-u", "root", "-N", "-B", database])
            .arg(format!("--socket={}", self.socket().display()));
        command
    }

    fn run_in(&self, database: &str, text: &str) -> String {
        run(self.client(database).args(["-e", text]))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("mariadb.log")
    }
}

/// Creates the system tables. On a busy machine, the server that does so sometimes fails for lack of resources (memory, the
/// kernel's slots for asynchronous I/O): then it tries again after a while.
///
/// # Panics
///
/// If it keeps failing, with everything it has printed.
fn install(folder: &Path) {
    let data = folder.join("data");
    let mut failures = String::new();
    for attempt in 1..=INSTALL_ATTEMPTS {
        let mut command = Command::new(program("/usr/bin/mariadb-install-db", "mariadb-server"));
        command
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .args(["--skip-name-resolve", "--innodb-log-file-size=4M", NO_AIO])
            .arg(format!("--datadir={}", data.display()))
            // Two at once would interfere with each other's temporary tables.
            .env("TMPDIR", folder)
            .current_dir(folder);
        let output = without_root(&mut command)
            .output()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        if output.status.success() {
            return;
        }
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let _ = write!(failures, "attempt {attempt}: {}\n{printed}", output.status);
        let _ = fs::remove_dir_all(&data);
        std::thread::sleep(Duration::from_secs(attempt));
    }
    panic!("mariadb-install-db failed {INSTALL_ATTEMPTS} times:\n{failures}");
}
