//! A real MIMEDefang: its milter, its multiplexor, and a filter in Perl.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{User, chown};
use tempfile::TempDir;

use crate::process::{Server, program, wait_for_port, wait_until};

/// MIMEDefang with a filter of its own. Killed when dropped.
#[derive(Debug)]
pub struct MimeDefang {
    // Its files, kept while it runs.
    _folder: TempDir,
    address: String,
    // The milter must end before the multiplexor.
    _milter: Server,
    _multiplexor: Server,
}

impl MimeDefang {
    /// Starts it with this `mimedefang-filter` (`sub filter { … }`), as the user created by its package.
    ///
    /// # Panics
    ///
    /// When MIMEDefang is not installed (the panic names the Debian package) or does not start, or when the test does not run as
    /// root, which may become another user.
    #[must_use]
    pub fn start(filter: &str) -> Self {
        Self::start_on(filter, None)
    }

    /// Starts it on a TCP port of the loopback interface.
    ///
    /// # Panics
    ///
    /// As [`MimeDefang::start`].
    #[must_use]
    pub fn start_tcp(filter: &str, port: u16) -> Self {
        Self::start_on(filter, Some(port))
    }

    fn start_on(filter: &str, port: Option<u16>) -> Self {
        let milter = program("/usr/bin/mimedefang", "mimedefang libnet-dns-perl");
        let multiplexor = program("/usr/bin/mimedefang-multiplexor", "mimedefang");
        let folder = TempDir::new().expect("a scratch folder");
        let at = |name: &str| -> PathBuf { folder.path().join(name) };
        fs::write(at("filter"), format!("{filter}\n1;\n")).expect("the filter");
        let user = User::from_name("defang")
            .expect("users")
            .expect("the user defang");
        // The multiplexor starts a program, which gets the filter's path here.
        let script = format!(
            "#!/bin/sh\nexec /usr/bin/mimedefang.pl -f {} \"$@\"\n",
            at("filter").display()
        );
        fs::write(at("worker"), script).expect("the worker");
        fs::set_permissions(at("worker"), Permissions::from_mode(0o755)).expect("the worker");
        for path in [folder.path(), &at("filter")] {
            chown(path, Some(user.uid), Some(user.gid)).expect("root may give files away");
        }
        let spool = folder.path();
        let mut command = Command::new(multiplexor);
        command
            .args(["-D", "-U", "defang", "-m", "1", "-x", "2", "-f"])
            .arg(at("worker"));
        command
            .arg("-s")
            .arg(at("multiplexor"))
            .arg("-z")
            .arg(spool)
            .arg("-p")
            .arg(at("multiplexor.pid"));
        let mut multiplexor = Server::start(&mut command, &at("multiplexor.log"));
        wait(&mut multiplexor, &at("multiplexor"));
        let mut command = Command::new(milter);
        command
            .args(["-D", "-U", "defang", "-y", "-m"])
            .arg(at("multiplexor"));
        let socket = match port {
            Some(port) => format!("inet:{port}@127.0.0.1"),
            None => at("socket").display().to_string(),
        };
        command
            .arg("-p")
            .arg(&socket)
            .arg("-z")
            .arg(spool)
            .arg("-P")
            .arg(at("milter.pid"));
        let mut milter = Server::start(&mut command, &at("milter.log"));
        match port {
            Some(port) => wait_for_port(port),
            None => wait(&mut milter, &at("socket")),
        }
        let address = match port {
            Some(_) => socket,
            None => format!("unix:{socket}"),
        };
        Self {
            _folder: folder,
            address,
            _milter: milter,
            _multiplexor: multiplexor,
        }
    }

    /// Its address, as sendmail writes it.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.clone()
    }
}

fn wait(server: &mut Server, socket: &Path) {
    wait_until(&format!("{}", socket.display()), || {
        assert!(server.runs(), "MIMEDefang has ended:\n{}", server.log());
        UnixStream::connect(socket).is_ok()
    });
}
