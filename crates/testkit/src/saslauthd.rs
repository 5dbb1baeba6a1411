//! A real saslauthd, with its socket in a scratch folder.

use std::fs;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, program, wait_until};

/// A running saslauthd that asks an LDAP server, as in the acceptance procedure. Killed when dropped.
#[derive(Debug)]
pub struct Saslauthd {
    folder: TempDir,
    arguments: Vec<String>,
    server: Option<Server>,
}

impl Saslauthd {
    /// Starts `saslauthd -a ldap` with this `saslauthd.conf` (`ldap_servers: …`, `ldap_search_base: …`).
    ///
    /// # Panics
    ///
    /// When saslauthd is not installed (the panic names the Debian package) or does not start.
    #[must_use]
    pub fn start_ldap(configuration: &str, extra: &[&str]) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let file = folder.path().join("saslauthd.conf");
        fs::write(&file, configuration).expect("saslauthd.conf");
        let mut arguments = vec![
            "-a".into(),
            "ldap".into(),
            "-O".into(),
            file.display().to_string(),
        ];
        arguments.extend(extra.iter().map(|&argument| argument.to_owned()));
        Self::launch(folder, arguments)
    }

    /// Starts it in front of an LDAP server and the tree of the acceptance procedure.
    ///
    /// # Panics
    ///
    /// As [`Saslauthd::start_ldap`].
    #[must_use]
    pub fn start(ldap_url: &str) -> Self {
        let base = crate::slapd::PEOPLE;
        Self::start_ldap(
            &format!("ldap_servers: {ldap_url}\nldap_search_base: {base}\n"),
            &[],
        )
    }

    fn launch(folder: TempDir, arguments: Vec<String>) -> Self {
        let mut saslauthd = Self {
            folder,
            arguments,
            server: None,
        };
        saslauthd.restart();
        saslauthd
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("mux")
    }

    /// Stops it and removes its socket, as on its own exit.
    pub fn stop(&mut self) {
        self.resume();
        if let Some(server) = self.server.take() {
            server.terminate();
        }
        let _ = fs::remove_file(self.socket());
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
            server.signal(nix::sys::signal::Signal::SIGCONT);
        }
    }

    /// Starts it again with the same socket.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.stop();
        let mut command = Command::new(program("/usr/sbin/saslauthd", "sasl2-bin"));
        // When it ends, it ends its whole process group, which must not be the test's own.
        command.process_group(0);
        // `-d` keeps it in the foreground, and with `-n 0` it has no children that would outlive it.
        command
            .args(["-d", "-n", "0", "-m"])
            .arg(self.folder.path())
            .args(&self.arguments);
        let server = Server::start(&mut command, &self.folder.path().join("saslauthd.log"));
        let socket = self.socket();
        // It exists before anything listens on it, and remains from the last run.
        wait_until("saslauthd's socket", || UnixStream::connect(&socket).is_ok());
        self.server = Some(server);
    }

    /// Its output.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }
}
