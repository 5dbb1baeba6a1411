//! A real PostgreSQL on a loopback port and a Unix socket, with its data in a scratch folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::account::{give, without_root};
use crate::process::{Server, free_port, wait_until};
use crate::slapd::{make_certificate, run};

/// The name of the database.
pub const DATABASE: &str = "mail";

/// A database superuser; it needs a password over the network only.
pub const USER: &str = "postern";

/// The password of [`USER`].
pub const PASSWORD: &str = "database password";

/// A running PostgreSQL with a database [`DATABASE`] of [`USER`]'s, and a certificate for `localhost` and 127.0.0.1 that a
/// test CA signed. Stopped when dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    server: Option<Server>,
}

impl Postgres {
    /// Starts it, with TLS offered.
    ///
    /// # Panics
    ///
    /// When PostgreSQL is not installed, or does not start; the panic names the Debian package or shows the log.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(true)
    }

    /// Starts it, with or without TLS.
    ///
    /// # Panics
    ///
    /// As [`Postgres::start`].
    #[must_use]
    pub fn start_with(tls: bool) -> Self {
        let programs = programs();
        let folder = TempDir::new().expect("a scratch folder");
        let port = free_port();
        make_certificate(folder.path());
        let at = folder.path().display();
        let password_file = folder.path().join("password");
        fs::write(&password_file, PASSWORD).expect("the password file");
        give(folder.path());
        let mut command = Command::new(programs.join("initdb"));
        command
            .args([
                "-U",
                USER,
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--no-sync",
            ])
            .args(["--encoding=UTF8", "--locale=C"])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg("-D")
            .arg(folder.path().join("data"))
            .current_dir(folder.path());
        run(without_root(&mut command));
        let configuration = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{at}'\nfsync = off\n\
             shared_buffers = 8MB\nmax_connections = 50\nlog_connections = on\nlog_statement = all\n\
             ssl = {}\nssl_cert_file = '{at}/server.crt'\nssl_key_file = '{at}/server.key'\n",
            if tls { "on" } else { "off" }
        );
        fs::write(folder.path().join("data/postgresql.auto.conf"), configuration).expect("the configuration");
        give(folder.path());
        let mut postgres = Self {
            folder,
            programs,
            port,
            server: None,
        };
        postgres.restart();
        postgres.run_in("postgres", &format!("CREATE DATABASE {DATABASE}"));
        postgres
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket, whose name depends on the port.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate of the CA that signed the server's.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// What it has logged since its first start: each connection and statement.
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

    /// Stops it at once, as an administrator in a hurry would; its data and port are kept for [`Postgres::restart`].
    pub fn stop(&mut self) {
        self.resume();
        if let Some(server) = self.server.take() {
            // A "fast" shutdown: with SIGTERM it would wait for its clients.
            server.signal(Signal::SIGINT);
            server.terminate();
        }
    }

    /// Suspends the process that accepts connections: new ones hang.
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
        let mut command = Command::new(self.programs.join("postgres"));
        command
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .current_dir(self.folder.path());
        let server = Server::start(without_root(&mut command), &self.log_file());
        self.server = Some(server);
        wait_until("PostgreSQL to take connections", || {
            let mut command = Command::new(self.programs.join("pg_isready"));
            let output = command
                .args(["-q", "-h"])
                .arg(self.folder.path())
                .args(["-p", &self.port.to_string()])
                .output();
            let runs = self.server.as_mut().is_some_and(Server::runs);
            assert!(runs, "PostgreSQL ended at once. Its log:\n{}", self.log());
            output.is_ok_and(|output| output.status.success())
        });
    }

    fn run_in(&self, database: &str, text: &str) -> String {
        let mut command = Command::new(self.programs.join("psql"));
        command
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                USER,
                "-d",
                database,
                "-h",
            ])
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-c", text]);
        run(&mut command)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.resume();
        if let Some(server) = self.server.take() {
            // At once, but not by a kill, after which its shared memory would stay.
            server.signal(Signal::SIGQUIT);
            let _ = server.wait();
        }
    }
}

/// The folder with the newest version's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max();
    let newest = newest.unwrap_or_else(|| {
        panic!("PostgreSQL is missing: install it with `apt-get install --no-install-recommends postgresql`")
    });
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}
