//! A real opendkim that signs or verifies.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, program, wait_until};

/// A real opendkim. Killed when dropped.
#[derive(Debug)]
pub struct OpenDkim {
    folder: TempDir,
    domain: String,
    _server: Server,
}

impl OpenDkim {
    /// Starts one that signs mail of `domain` with selector `test`, for clients on the loopback interface.
    ///
    /// # Panics
    ///
    /// When opendkim or openssl is not installed (the panic names the Debian package), or it does not start.
    #[must_use]
    pub fn start_signing(domain: &str) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        openssl(&["genrsa", "-out", &at(&folder, "key"), "2048"]);
        let settings = format!(
            "Domain {domain}\nSelector test\nKeyFile {key}\nMode s\nInternalHosts 127.0.0.1\n\
             Canonicalization relaxed/relaxed\n",
            key = at(&folder, "key"),
        );
        Self::start(folder, domain, &settings)
    }

    /// Starts another one, which verifies what this one signs and acts for the server with this name. It does not use DNS.
    ///
    /// # Panics
    ///
    /// As [`OpenDkim::start_signing`].
    #[must_use]
    pub fn start_verifying(&self, hostname: &str) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let public = openssl(&["rsa", "-in", &at(&self.folder, "key"), "-pubout"]);
        let lines = public.lines().filter(|line| !line.starts_with('-'));
        let record = format!(
            "test._domainkey.{} v=DKIM1; k=rsa; p={}\n",
            self.domain,
            lines.collect::<String>()
        );
        fs::write(at(&folder, "records"), record).expect("the records");
        let settings = format!(
            "Mode v\nTestPublicKeys {}\nAuthservID {hostname}\nAlwaysAddARHeader yes\n",
            at(&folder, "records"),
        );
        Self::start(folder, &self.domain, &settings)
    }

    fn start(folder: TempDir, domain: &str, settings: &str) -> Self {
        let configuration = format!(
            "{settings}Socket local:{}\nSyslog no\nBackground no\nRequireSafeKeys no\n",
            at(&folder, "socket")
        );
        fs::write(at(&folder, "opendkim.conf"), configuration).expect("opendkim.conf");
        let mut command = Command::new(program("/usr/sbin/opendkim", "opendkim"));
        command.args(["-f", "-x", &at(&folder, "opendkim.conf")]);
        let server = Server::start(&mut command, Path::new(&at(&folder, "log")));
        wait_until("opendkim's socket", || {
            UnixStream::connect(at(&folder, "socket")).is_ok()
        });
        Self {
            folder,
            domain: domain.to_owned(),
            _server: server,
        }
    }

    /// Its address, as sendmail writes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:{}", at(&self.folder, "socket"))
    }
}

fn at(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn openssl(arguments: &[&str]) -> String {
    let made = Command::new(program("/usr/bin/openssl", "openssl"))
        .args(arguments)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8_lossy(&made.stdout).into_owned()
}
