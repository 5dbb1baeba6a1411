//! A real sendmail on a loopback port, with a filter, which forwards all mail to another port.
//!
//! Debian's package conflicts with Postfix, so it is unpacked rather than installed: `scripts/fetch-sendmail` does that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, free_port, program, wait_for_port};

/// A running sendmail that accepts mail from the loopback interface for any address.
#[derive(Debug)]
pub struct Sendmail {
    folder: TempDir,
    port: u16,
    server: Server,
}

/// Its host name.
pub const HOSTNAME: &str = "mx.relay.test";

const CONFIGURATION: &str = r"divert(-1)
divert(0)dnl
include(`CFDIR/m4/cf.m4')dnl
VERSIONID(`test')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME',`HOSTNAME')dnl
define(`QUEUE_DIR',`FOLDER/queue')dnl
define(`confPID_FILE',`FOLDER/pid')dnl
define(`confDEF_USER_ID',`0:0')dnl
define(`STATUS_FILE',`')dnl
define(`ALIAS_FILE',`')dnl
define(`confSERVICE_SWITCH_FILE',`FOLDER/switch')dnl
define(`confHOSTS_FILE',`FOLDER/hosts')dnl
define(`SMART_HOST',`relay:[127.0.0.1]')dnl
define(`RELAY_MAILER_ARGS',`TCP $h HOP')dnl
define(`confTO_IDENT',`0')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`nocanonify')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=mx, Addr=127.0.0.1, Port=PORT')dnl
INPUT_MAIL_FILTER(`filter',`S=SOCKET, F=T, T=C:1m;E:1m;R:1m;S:1m')dnl
MAILER(`smtp')dnl
";

impl Sendmail {
    /// Starts it with a filter on a TCP port of the loopback interface: it refuses to use a Unix socket below a world-writable
    /// folder, as scratch folders are. All mail is forwarded to `hop`.
    ///
    /// # Panics
    ///
    /// If it was not fetched, does not start, or the test does not run as root.
    #[must_use]
    pub fn start(filter: u16, hop: u16) -> Self {
        let root = unpacked();
        let folder = TempDir::new().expect("a scratch folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("queue")).expect("a folder");
        fs::write(at("switch"), "hosts files\naliases files\n").expect("the switch");
        fs::write(at("hosts"), format!("127.0.0.1 {HOSTNAME} localhost\n")).expect("the hosts");
        let port = free_port();
        let cf = root.join("usr/share/sendmail/cf");
        let configuration = CONFIGURATION
            .replace("CFDIR", &cf.display().to_string())
            .replace("FOLDER", &folder.path().display().to_string())
            .replace("HOSTNAME", HOSTNAME)
            .replace("PORT", &port.to_string())
            .replace("HOP", &hop.to_string())
            .replace("SOCKET", &format!("inet:{filter}@127.0.0.1"));
        fs::write(at("sendmail.mc"), configuration).expect("sendmail.mc");
        let made = Command::new(program("/usr/bin/m4", "m4"))
            .arg(format!("-D_CF_DIR_={}/", cf.display()))
            .arg(at("sendmail.mc"))
            .output()
            .expect("m4");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::write(at("sendmail.cf"), made.stdout).expect("sendmail.cf");
        // It waits a minute before reading its configuration if the machine's name is not fully qualified.
        let mut command = Command::new(program("/usr/bin/unshare", "util-linux"));
        command.args(["--uts", "sh", "-c", r#"hostname "$0"; exec "$@""#, HOSTNAME]);
        command.arg(root.join("usr/libexec/sendmail/sendmail"));
        command.args(["-bD", "-q1h", "-C"]).arg(at("sendmail.cf"));
        let server = Server::start(&mut command, &at("log"));
        wait_for_port(port);
        Self { folder, port, server }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many messages it keeps in quarantine.
    #[must_use]
    pub fn quarantined(&self) -> usize {
        let files = fs::read_dir(self.folder.path().join("queue")).expect("the queue");
        let names = files.flatten().map(|file| file.file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("hf"))
            .count()
    }
}

impl Drop for Sendmail {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what sendmail said:\n{}", self.server.log());
        }
    }
}

/// Where `scripts/fetch-sendmail` puts it.
fn unpacked() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let folder = target.join("sendmail");
    assert!(
        folder.join("usr/libexec/sendmail/sendmail").exists(),
        "{} is missing: run `scripts/fetch-sendmail`, which unpacks Debian's sendmail there",
        folder.display()
    );
    folder.canonicalize().expect("it exists")
}
