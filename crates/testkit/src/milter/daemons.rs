//! Filters that are separate daemons: rspamd, ClamAV, SpamAssassin, OpenDMARC. Each only knows the tests' words, so that none
//! needs rules or signatures from the network.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, program, wait_until};

/// What [`ClamAv`] finds in a body.
pub const WORM: &str = "postern-test-worm";

/// What [`SpamAssassin`] finds in a body, and [`Rspamd`] in a subject, and rejects.
pub const SPAM: &str = "postern-test-spam";

/// What they mark.
pub const ODD: &str = "postern-test-odd";

/// A filter and the daemons behind it. Killed when dropped, the filter first.
#[derive(Debug)]
struct Daemons {
    folder: TempDir,
    servers: Vec<Server>,
}

impl Daemons {
    fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a scratch folder"),
            servers: Vec::new(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, replacing `FOLDER` with the scratch folder.
    fn write(&self, name: &str, text: &str) {
        let text = text.replace("FOLDER", &self.folder.path().display().to_string());
        fs::write(self.at(name), text).expect("a file of the filter's");
    }

    /// Starts a program and waits for its socket.
    fn start(&mut self, command: &mut Command, socket: &str) {
        let mut server = Server::start(command, &self.at(&format!("{socket}.log")));
        let path = self.at(socket);
        wait_until(&format!("{}", path.display()), || {
            assert!(server.runs(), "{command:?} has ended:\n{}", server.log());
            UnixStream::connect(&path).is_ok()
        });
        self.servers.insert(0, server);
    }

    fn address(&self) -> String {
        format!("unix:{}", self.at("socket").display())
    }
}

/// clamav-milter with a clamd that knows one signature, [`WORM`].
#[derive(Debug)]
pub struct ClamAv(Daemons);

impl ClamAv {
    /// Starts both.
    ///
    /// # Panics
    ///
    /// When a package is not installed (the panic names it), or a daemon does not start.
    #[must_use]
    pub fn start() -> Self {
        let mut daemons = Daemons::new();
        fs::create_dir(daemons.at("db")).expect("a folder");
        let hexadecimal: String = WORM.bytes().map(|octet| format!("{octet:02x}")).collect();
        daemons.write("db/test.ndb", &format!("Postern.Test.Worm:0:*:{hexadecimal}\n"));
        daemons.write(
            "clamd.conf",
            "LocalSocket FOLDER/clamd\nDatabaseDirectory FOLDER/db\nForeground yes\nUser root\nMaxThreads 2\n",
        );
        daemons.write(
            "milter.conf",
            "MilterSocket unix:FOLDER/socket\nClamdSocket unix:FOLDER/clamd\nForeground yes\nUser root\n\
             OnInfected Reject\nRejectMsg Infected with %v\nAddHeader Replace\n",
        );
        let mut command = Command::new(program("/usr/sbin/clamd", "clamav-daemon"));
        command.arg("-c").arg(daemons.at("clamd.conf"));
        daemons.start(&mut command, "clamd");
        let mut command = Command::new(program("/usr/sbin/clamav-milter", "clamav-milter"));
        command.arg("-c").arg(daemons.at("milter.conf"));
        daemons.start(&mut command, "socket");
        Self(daemons)
    }

    /// Its address, as sendmail writes it.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address()
    }
}

/// spamass-milter with a spamd that only knows two words, [`SPAM`] and [`ODD`].
#[derive(Debug)]
pub struct SpamAssassin(Daemons);

impl SpamAssassin {
    /// Starts both.
    ///
    /// # Panics
    ///
    /// As [`ClamAv::start`].
    #[must_use]
    pub fn start() -> Self {
        let mut daemons = Daemons::new();
        fs::create_dir(daemons.at("rules")).expect("a folder");
        daemons.write("rules/v320.pre", "loadplugin Mail::SpamAssassin::Plugin::Check\n");
        daemons.write(
            "rules/local.cf",
            &format!(
                "body POSTERN_SPAM /{SPAM}/\nscore POSTERN_SPAM 100\nbody POSTERN_ODD /{ODD}/\nscore POSTERN_ODD 7\n\
                 required_score 5\nutil_rb_tld org example net\nreport_safe 0\nclear_headers\n\
                 add_header all Status \"_YESNO_, score=_SCORE_ required=_REQD_\"\nadd_header spam Flag _YESNOCAPS_\n"
            ),
        );
        let rules = daemons.at("rules");
        let mut command = Command::new(program("/usr/sbin/spamd", "spamd"));
        command
            .args(["-L", "-x", "-m", "1", "-s", "stderr", "-C"])
            .arg(&rules);
        command.arg(format!("--siteconfigpath={}", rules.display()));
        command.arg(format!("--socketpath={}", daemons.at("spamd").display()));
        daemons.start(&mut command, "spamd");
        let mut command = Command::new(program("/usr/sbin/spamass-milter", "spamass-milter"));
        command
            .arg("-p")
            .arg(daemons.at("socket"))
            .args(["-r", "15", "--", "-U"]);
        command.arg(daemons.at("spamd"));
        daemons.start(&mut command, "socket");
        Self(daemons)
    }

    /// Its address, as sendmail writes it.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address()
    }
}

/// rspamd, whose proxy is the filter and scans mail itself. It rejects mail with [`SPAM`] in its subject and marks mail with
/// [`ODD`].
#[derive(Debug)]
pub struct Rspamd(Daemons);

const RSPAMD: &str = r#"
options {
  url_tld = "FOLDER/tld"; tempdir = "FOLDER"; hs_cache_dir = "FOLDER"; pidfile = "FOLDER/pid"; filters = ""; local_addrs = [];
  dns { nameserver = ["127.0.0.1:1:1"]; timeout = 100ms; retransmits = 0; }
  history_rows = 1; control_socket = "FOLDER/control mode=0600";
}
logging { type = "console"; level = "info"; }
lua = "FOLDER/rules.lua";
actions { reject = 15; add_header = 6; }
worker "rspamd_proxy" {
  bind_socket = "FOLDER/socket mode=0666"; milter = yes; timeout = 60s; count = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
"#;

const RSPAMD_RULES: &str = "\
local function found(word, score)
  return { score = score, callback = function(task)
    return (task:get_subject() or ''):find(word, 1, true) ~= nil
  end }
end
rspamd_config.POSTERN_ODD = found('WORD_ODD', 7)
rspamd_config.POSTERN_SPAM = found('WORD_SPAM', 20)
";

impl Drop for Rspamd {
    fn drop(&mut self) {
        // Its workers only end with it if it is asked to end.
        if !std::thread::panicking() {
            for server in self.0.servers.drain(..) {
                let _ = server.terminate();
            }
        }
    }
}

impl Rspamd {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// As [`ClamAv::start`].
    #[must_use]
    pub fn start() -> Self {
        let mut daemons = Daemons::new();
        daemons.write("rspamd.conf", RSPAMD);
        daemons.write(
            "rules.lua",
            &RSPAMD_RULES.replace("WORD_ODD", ODD).replace("WORD_SPAM", SPAM),
        );
        // With the list of all top-level domains, it takes a minute to start.
        daemons.write("tld", "com\norg\nexample\n");
        let mut command = Command::new(program("/usr/bin/rspamd", "rspamd"));
        command.args(["-f", "-i", "-c"]).arg(daemons.at("rspamd.conf"));
        daemons.start(&mut command, "socket");
        Self(daemons)
    }

    /// Its address, as sendmail writes it.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address()
    }
}

/// OpenDMARC, which reports its verdict in `Authentication-Results`.
#[derive(Debug)]
pub struct OpenDmarc(Daemons);

impl OpenDmarc {
    /// Starts one that acts for the server with this name, and trusts the results of that server's other filters.
    ///
    /// # Panics
    ///
    /// As [`ClamAv::start`].
    #[must_use]
    pub fn start(hostname: &str) -> Self {
        let mut daemons = Daemons::new();
        daemons.write("none", "");
        daemons.write(
            "opendmarc.conf",
            &format!(
                "AuthservID {hostname}\nTrustedAuthservIDs {hostname}\nSocket local:FOLDER/socket\nSyslog false\n\
                 Background false\nIgnoreHosts FOLDER/none\nRejectFailures false\nUserID root\n"
            ),
        );
        let mut command = Command::new(program("/usr/sbin/opendmarc", "opendmarc"));
        command.arg("-f").arg("-c").arg(daemons.at("opendmarc.conf"));
        daemons.start(&mut command, "socket");
        Self(daemons)
    }

    /// Its address, as sendmail writes it.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address()
    }
}
