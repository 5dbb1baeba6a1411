//! Real policy services with Postfix's protocol: postgrey and postfwd.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::process::{Server, free_port, program, wait_for_port};

/// A policy service, killed when dropped.
#[derive(Debug)]
pub struct PolicyService {
    port: u16,
    _folder: TempDir,
    /// One that stays a child of the test.
    _server: Option<Server>,
    /// One that does not, by its pid.
    daemon: Option<Pid>,
}

impl PolicyService {
    /// Starts postgrey, which accepts nothing within a second of the first try.
    ///
    /// # Panics
    ///
    /// When it is not installed (the panic names the Debian package), or does not start.
    #[must_use]
    pub fn postgrey() -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let port = free_port();
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .ok()
            .flatten()
            .map_or_else(|| "root".to_owned(), |user| user.name);
        let mut command = Command::new(program("/usr/sbin/postgrey", "postgrey"));
        command
            .arg(format!("--inet=127.0.0.1:{port}"))
            .arg(format!("--dbdir={}", folder.path().display()))
            .arg(format!("--user={user}"))
            .arg(format!("--group={user}"))
            .args([
                "--delay=1",
                "--whitelist-clients=/dev/null",
                "--whitelist-recipients=/dev/null",
            ]);
        Self::start(folder, port, &mut command)
    }

    /// Starts postfwd with these rules.
    ///
    /// # Panics
    ///
    /// As [`PolicyService::postgrey`].
    #[must_use]
    pub fn postfwd(rules: &str) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let port = free_port();
        let file = folder.path().join("rules");
        fs::write(&file, rules).expect("the rules");
        // It drops the privileges of whoever started it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder for all");
        let pid_file = folder.path().join("pid");
        let status = Command::new(program("/usr/sbin/postfwd1", "postfwd"))
            .arg("--daemon")
            .arg("--interface=127.0.0.1")
            .arg(format!("--port={port}"))
            .arg(format!("--file={}", file.display()))
            .args(["--user=nobody", "--group=nogroup", "--cache=0"])
            .arg(format!("--pidfile={}", pid_file.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("postfwd");
        assert!(status.success(), "postfwd does not start: {status}");
        wait_for_port(port);
        let pid = fs::read_to_string(&pid_file)
            .ok()
            .and_then(|pid| pid.trim().parse().ok());
        Self {
            port,
            _folder: folder,
            _server: None,
            daemon: Some(Pid::from_raw(pid.expect("the pid of postfwd"))),
        }
    }

    fn start(folder: TempDir, port: u16, command: &mut Command) -> Self {
        let log = folder.path().join("log");
        let server = Server::start(command, &log);
        wait_for_port(port);
        Self {
            port,
            _folder: folder,
            _server: Some(server),
            daemon: None,
        }
    }

    /// Where it listens, on the loopback interface.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for PolicyService {
    fn drop(&mut self) {
        if let Some(pid) = self.daemon {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}
