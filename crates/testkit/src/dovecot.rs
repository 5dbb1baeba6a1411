//! A real Dovecot on loopback ports, with everything it writes in a scratch folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, free_port, program, wait_for_port, wait_until};

/// A running Dovecot. Stopped when dropped.
#[derive(Debug)]
pub struct Dovecot {
    folder: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Dovecot {
    /// Starts one that checks passwords for others, on [`socket`](Self::socket) and [`port`](Self::port), against a file of
    /// users: `user:{PLAIN}password` on each line.
    ///
    /// # Panics
    ///
    /// When Dovecot is not installed (the panic names the Debian package), does not start, or the test does not run as root,
    /// which Dovecot demands.
    #[must_use]
    pub fn start_auth(users: &str) -> Self {
        let mut dovecot = Self::new();
        let path = dovecot.path("users");
        fs::write(&path, users).expect("the users");
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("the users");
        let folder = dovecot.folder.path().display();
        let config = format!(
            "{}protocols =\n\
             auth_mechanisms = plain login\n\
             auth_failure_delay = 0\n\
             passdb {{\n  driver = passwd-file\n  args = {folder}/users\n}}\n\
             userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home=/nonexistent\n}}\n\
             service auth {{\n  unix_listener {folder}/auth {{\n    mode = 0666\n  }}\n\
             inet_listener {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n}}\n",
            dovecot.common(),
            port = dovecot.port,
        );
        fs::write(dovecot.path("dovecot.conf"), config).expect("dovecot.conf");
        dovecot.restart();
        dovecot
    }

    /// Starts an IMAP server on [`port`](Self::port), without TLS, with another server's accounts: its login processes use the
    /// socket `login`, its mail processes `master`.
    ///
    /// # Panics
    ///
    /// As [`Dovecot::start_auth`].
    #[must_use]
    pub fn start_imap(login: &Path, master: &Path) -> Self {
        let _ = program("/usr/lib/dovecot/imap", "dovecot-imapd");
        let mut dovecot = Self::new();
        let config = format!(
            "{}protocols = imap\n\
             listen = 127.0.0.1\n\
             disable_plaintext_auth = no\n\
             mail_location = maildir:~/Maildir\n\
             auth_socket_path = {master}\n\
             service imap-login {{\n  chroot =\n  executable = imap-login {login}\n\
             inet_listener imap {{\n    port = {port}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n\
             service imap {{\n  executable = imap -a {master}\n}}\n",
            dovecot.common(),
            login = login.display(),
            master = master.display(),
            port = dovecot.port,
        );
        fs::write(dovecot.path("dovecot.conf"), config).expect("dovecot.conf");
        dovecot.restart();
        dovecot
    }

    fn new() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "Dovecot starts as root only: run the tests as root"
        );
        let folder = TempDir::new().expect("a scratch folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the scratch folder");
        fs::create_dir(folder.path().join("run")).expect("a folder");
        Self {
            folder,
            port: free_port(),
            server: None,
        }
    }

    fn common(&self) -> String {
        let folder = self.folder.path().display();
        format!("base_dir = {folder}/run\nstate_dir = {folder}/run\nlog_path = {folder}/log\nssl = no\n")
    }

    /// The socket of its auth service.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("auth")
    }

    /// The port of its auth service, or of IMAP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its configuration, for its own tools.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("dovecot.conf")
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// Stops it.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.terminate();
        }
    }

    /// Starts it again at the same places.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.stop();
        let mut command = Command::new(program("/usr/sbin/dovecot", "dovecot-core"));
        command.arg("-F").arg("-c").arg(self.path("dovecot.conf"));
        let mut server = Server::start(&mut command, &self.path("output"));
        wait_until("Dovecot", || {
            assert!(server.runs(), "Dovecot ended: {}{}", server.log(), self.log());
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        self.server = Some(server);
        wait_for_port(self.port);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Its children end with it on SIGTERM, but not when it is killed.
        self.stop();
    }
}
