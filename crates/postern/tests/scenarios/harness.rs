//! A running Postern in a scratch folder.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use postern_testkit::kdc::Kdc;
use postern_testkit::process::{Server, free_port, wait_for_port, wait_until};
use postern_testkit::smtp::{Client, TlsOptions};
use tempfile::TempDir;

/// Postern's binary.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("POSTERN_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_postern")), PathBuf::from)
}

/// The acceptance files are outside the repository, next to it; the copies in `tests/acceptance` work everywhere.
pub(crate) fn acceptance(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/acceptance")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// A folder with a configuration, certificates from its own CA, and perhaps a running server.
pub(crate) struct Site {
    folder: TempDir,
    server: Option<Server>,
    /// Further environment of the server and of subcommands.
    environment: Vec<(&'static str, PathBuf)>,
    pub(crate) mx: u16,
    pub(crate) submission: u16,
    pub(crate) submissions: u16,
}

impl Site {
    /// Creates the folder with certificates for `names` under `certs/NAME.{crt,key}` and the CA under `certs/ca.*`.
    pub(crate) fn new(config: &str, stem: &str, names: &[&str]) -> Self {
        let site = Self {
            folder: TempDir::new().unwrap(),
            server: None,
            environment: Vec::new(),
            mx: 2525,
            submission: 2587,
            submissions: 2465,
        };
        fs::write(site.path("postern.toml"), config).unwrap();
        fs::create_dir(site.path("certs")).unwrap();
        site.ok(&["cert", "ca", "--dir", "certs"]);
        site.issue(stem, names);
        site
    }

    /// A site on free ports whose mail goes to a next hop on `hop`; `extra` is added to the configuration.
    ///
    /// It accepts mail for `relay.test` from anyone, has `tester@relay.test` with the password `test word` as a user, and
    /// retries after a second.
    pub(crate) fn relay(hop: u16, extra: &str) -> Self {
        Self::relay_with(hop, "", extra)
    }

    /// As [`Site::relay`], also with lines for the top of the file.
    pub(crate) fn relay_with(hop: u16, top: &str, extra: &str) -> Self {
        Self::relay_as(hop, top, extra, "")
    }

    /// As [`Site::relay_with`], also with lines for `[tls]`.
    pub(crate) fn relay_as(hop: u16, top: &str, extra: &str, in_tls: &str) -> Self {
        let (mx, submission, submissions) = (free_port(), free_port(), free_port());
        let tls = if extra.contains("[[route]]") {
            String::new()
        } else {
            format!("[[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{hop}\"]\ntls = \"none\"\n")
        };
        let retry = if extra.contains("[retry]") {
            ""
        } else {
            "[retry]\nintervals = [\"1s\"]\n"
        };
        let config = format!(
            "hostname = \"mx.relay.test\"\n\
             state_dir = \"state\"\n\
             relay_domains = [\"relay.test\"]\n\
             {top}\n\
             [[listener]]\nname = \"mx\"\naddress = \"127.0.0.1:{mx}\"\nrole = \"mx\"\n\
             [[listener]]\nname = \"submission\"\naddress = \"127.0.0.1:{submission}\"\nrole = \"submission\"\n\
             [[listener]]\nname = \"submissions\"\naddress = \"127.0.0.1:{submissions}\"\nrole = \"submission\"\n\
             tls = \"implicit\"\n\
             [tls]\ncertificate = \"certs/relay.crt\"\nkey = \"certs/relay.key\"\n\
             {in_tls}\
             [[directory]]\nkind = \"users\"\n\
             {retry}\n{tls}\n{extra}\n"
        );
        let mut site = Self::new(&config, "relay", &["mx.relay.test", "localhost"]);
        (site.mx, site.submission, site.submissions) = (mx, submission, submissions);
        site.add_user("tester@relay.test", "test word");
        site
    }

    /// Makes the server and subcommands use a Kerberos server.
    pub(crate) fn use_kdc(&mut self, kdc: &Kdc) {
        self.use_environment(&[("KRB5_CONFIG", &kdc.config())]);
    }

    /// Adds to the environment of the server and of subcommands.
    pub(crate) fn use_environment(&mut self, variables: &[(&'static str, &Path)]) {
        let variables = variables.iter().map(|(name, value)| (*name, value.to_path_buf()));
        self.environment.extend(variables);
    }

    /// Issues another certificate from the site's CA.
    pub(crate) fn issue(&self, stem: &str, names: &[&str]) {
        let mut arguments = vec!["cert", "issue", "--dir", "certs", "--out", stem];
        arguments.extend(names);
        self.ok(&arguments);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn add_user(&self, login: &str, password: &str) {
        let output = self.with_input(&["user", "add", login, "--password-stdin"], password.as_bytes());
        assert!(output.status.success(), "user add: {output:?}");
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_by(Command::new(binary()));
    }

    /// Starts it through a program that gets its arguments, and waits until it answers.
    pub(crate) fn start_by(&mut self, mut command: Command) {
        command
            .args(["serve", "--config"])
            .arg(self.path("postern.toml"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path());
        let mut server = Server::start(&mut command, &self.path("log"));
        wait_until("the server's first port", || {
            assert!(server.runs(), "the server ended: {}", server.log());
            std::net::TcpStream::connect(("127.0.0.1", self.mx)).is_ok()
        });
        self.server = Some(server);
        for port in [self.mx, self.submission, self.submissions] {
            wait_for_port(port);
        }
        // Its ports are open shortly before it can be controlled.
        wait_until("an answer on the control socket", || {
            // A full disk is also an answer.
            String::from_utf8_lossy(&self.run(&["status"]).stdout).contains(" runs as process ")
        });
    }

    pub(crate) fn server(&mut self) -> &mut Server {
        self.server.as_mut().unwrap()
    }

    /// Takes the server, to crash or terminate it.
    pub(crate) fn take_server(&mut self) -> Server {
        self.server.take().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits for a log line that contains all these words. The log is written asynchronously: a reply, a message or a
    /// command's answer can be there some milliseconds before its line.
    pub(crate) fn wait_for_log(&self, words: &[&str]) {
        wait_until(&format!("{words:?} in the log"), || {
            self.log()
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
        });
    }

    /// The output of `explain`, and each of its steps as `rule: reason`.
    pub(crate) fn explained(&self, arguments: &[&str]) -> (serde_json::Value, String) {
        let output = self.run(&[&["explain", "--json"], arguments].concat());
        let said: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let steps = said["steps"].as_array().unwrap().iter();
        let line = |step: &serde_json::Value| {
            let text = |key: &str| step[key].as_str().unwrap().to_owned();
            format!("{}: {}\n", text("rule"), text("reason"))
        };
        let steps = steps.map(line).collect();
        (said, steps)
    }

    /// Runs a subcommand in the site's folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.with_input(arguments, b"")
    }

    /// Runs a subcommand that reads `input`.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        self.with_input(arguments, input.as_bytes())
    }

    fn with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(binary())
            .args(arguments)
            .current_dir(self.folder.path())
            .env("POSTERN_CONFIG", self.path("postern.toml"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs a subcommand that must succeed and returns what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "postern {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn queue_is_empty(&self) -> bool {
        self.ok(&["queue", "list", "--json"]).trim() == "[]"
    }

    /// A new connection to the mx listener, after the greeting.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.mx).unwrap().0
    }

    /// A connection to the submission listener inside STARTTLS, after EHLO.
    pub(crate) fn tls_client(&self, port: u16) -> Client {
        let mut client = Client::connect(port).unwrap().0;
        client.say("EHLO helo").unwrap();
        let ca = self.path("certs/ca.crt");
        let mut client = client
            .starttls(TlsOptions {
                name: "localhost",
                ca: &ca,
                identity: None,
            })
            .unwrap();
        client.say("EHLO helo").unwrap();
        client
    }

    /// A connection logged in as the tester.
    pub(crate) fn tester(&self) -> Client {
        let mut client = self.tls_client(self.submission);
        let reply = client.login("tester@relay.test", "test word").unwrap();
        assert!(reply.starts_with("235"), "{reply}");
        client
    }
}

/// The resident memory of a process.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Number of log lines shown by a failed test.
const SHOWN: usize = 60;

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(SHOWN)..];
            eprintln!("log of {}:\n{}", self.folder.path().display(), tail.join("\n"));
        }
    }
}

/// Creates a file that only its owner may read.
pub(crate) fn private(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
