//! A real pgbouncer in transaction mode, in front of a real PostgreSQL.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::account::{give, without_root};
use crate::postgres::{DATABASE, PASSWORD, Postgres, USER};
use crate::process::{Server, free_port, program, wait_for_port};
use crate::slapd::run;

/// A running pgbouncer with one connection to its server, which all its clients share in turn. Stopped when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    _folder: TempDir,
    port: u16,
    _server: Server,
}

impl PgBouncer {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When pgbouncer is not installed, or does not start; the panic names the Debian package or shows the log.
    #[must_use]
    pub fn start(postgres: &Postgres) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let port = free_port();
        let at = folder.path().display();
        let configuration = format!(
            "[databases]\n{DATABASE} = host=127.0.0.1 port={} user={USER} password=\'{PASSWORD}\'\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = plain\n\
             auth_file = {at}/users\npool_mode = transaction\ndefault_pool_size = 1\n",
            postgres.port()
        );
        fs::write(folder.path().join("pgbouncer.ini"), configuration).expect("the configuration");
        fs::write(
            folder.path().join("users"),
            format!("\"{USER}\" \"{PASSWORD}\"\n"),
        )
        .expect("the users");
        give(folder.path());
        let mut command = Command::new(program("/usr/sbin/pgbouncer", "pgbouncer"));
        command
            .arg(folder.path().join("pgbouncer.ini"))
            .current_dir(folder.path());
        let log = folder.path().join("pgbouncer.log");
        let server = Server::start(without_root(&mut command), &log);
        wait_for_port(port);
        Self {
            _folder: folder,
            port,
            _server: server,
        }
    }

    /// Runs SQL through it in [`DATABASE`] and returns what it prints, bare.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[must_use]
    pub fn sql(&self, text: &str) -> String {
        let mut command = Command::new("psql");
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args([
                "-U",
                USER,
                "-d",
                DATABASE,
                "-p",
                &self.port.to_string(),
                "-c",
                text,
            ])
            .env("PGPASSWORD", PASSWORD);
        run(&mut command)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}
