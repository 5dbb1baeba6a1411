//! A real Exim on a loopback port, for testing logins to it.
//!
//! Debian's package conflicts with Postfix, so it is unpacked rather than installed: `scripts/fetch-exim` does that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, free_port, wait_for_port};

/// A running Exim that accepts mail from clients authenticated inside TLS, for any address, and writes it to one mailbox
/// file.
#[derive(Debug)]
pub struct Exim {
    folder: TempDir,
    port: u16,
    server: Server,
}

/// The mechanisms that it offers. Its NTLM (`spa`) only supports version 1, which Postern does not.
pub const MECHANISMS: [&str; 4] = ["PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL"];

const CONFIGURATION: &str = r#"exim_path = EXIM
primary_hostname = exim.test
spool_directory = FOLDER/spool
log_file_path = FOLDER/log/%s
pid_file_path = FOLDER/exim.pid
daemon_smtp_ports = PORT
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = FOLDER/exim.crt
tls_privatekey = FOLDER/exim.key
tls_verify_certificates = FOLDER/ca.crt
tls_try_verify_hosts = *
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
log_selector = +smtp_protocol_error +smtp_syntax_error +tls_cipher +received_recipients
acl_smtp_mail = accept
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  accept authenticated = *
  deny message = log in first
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  file = FOLDER/mail/all
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{{eq{$auth2}{LOGIN}}{eq{$auth3}{PASSWORD}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{LOGIN}}{eq{$auth2}{PASSWORD}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${if eq{$auth1}{LOGIN}{PASSWORD}fail}
  server_set_id = $auth1
external:
  driver = external
  public_name = EXTERNAL
  server_condition = ${if eq{$tls_in_certificate_verified}{1}}
  server_set_id = certificate
begin retry
"#;

impl Exim {
    /// Starts it with one account. `certificate` and `key` are its own, `ca` is the authority for clients.
    ///
    /// # Panics
    ///
    /// If it was not fetched, does not start, or the test does not run as root.
    #[must_use]
    pub fn start(certificate: &Path, key: &Path, ca: &Path, login: &str, password: &str) -> Self {
        let exim = binary();
        let folder = TempDir::new().expect("a scratch folder");
        let at = |name: &str| folder.path().join(name);
        let user = nix::unistd::User::from_name("Debian-exim").ok().flatten();
        let user = user.expect("no user Debian-exim: run scripts/fetch-exim as root");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the scratch folder");
        for (from, name) in [(certificate, "exim.crt"), (key, "exim.key"), (ca, "ca.crt")] {
            fs::copy(from, at(name)).expect("a certificate");
            nix::unistd::chown(&at(name), Some(user.uid), Some(user.gid)).expect("chown");
        }
        for name in ["spool", "log", "mail"] {
            fs::create_dir(at(name)).expect("a folder");
            nix::unistd::chown(&at(name), Some(user.uid), Some(user.gid)).expect("chown");
        }
        let port = free_port();
        let configuration = CONFIGURATION
            .replace("EXIM", &exim.display().to_string())
            .replace("FOLDER", &folder.path().display().to_string())
            .replace("PORT", &port.to_string())
            .replace("{LOGIN}", &format!("{{{login}}}"))
            .replace("{PASSWORD}", &format!("{{{password}}}"));
        fs::write(at("exim.conf"), configuration).expect("exim.conf");
        let mut command = Command::new(exim);
        command.arg("-C").arg(at("exim.conf")).args(["-bdf", "-q1h"]);
        let server = Server::start(&mut command, &at("out"));
        wait_for_port(port);
        Self { folder, port, server }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mailbox, in mbox form, with all mail delivered so far.
    #[must_use]
    pub fn mailbox(&self) -> String {
        self.read("mail/all")
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        format!(
            "{}{}{}",
            self.read("log/main"),
            self.read("log/reject"),
            self.server.log()
        )
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(name)).unwrap_or_default()).into_owned()
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of Exim:\n{}", self.log());
        }
    }
}

/// Where `scripts/fetch-exim` puts it.
fn binary() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let exim = target.join("exim/usr/sbin/exim4");
    assert!(
        exim.exists(),
        "{} is missing: run `scripts/fetch-exim`, which unpacks Debian's exim4-daemon-heavy there",
        exim.display()
    );
    exim.canonicalize().expect("it exists")
}
