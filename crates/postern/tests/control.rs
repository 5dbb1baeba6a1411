//! The running server under its control socket and signals: adding and removing listeners, moving the log, refusing
//! nonsense.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use postern_testkit::process::{Server, free_port, wait_until};
use postern_testkit::smtp::Client;
use tempfile::TempDir;

fn binary() -> PathBuf {
    std::env::var_os("POSTERN_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_postern")), PathBuf::from)
}

struct Site {
    folder: TempDir,
}

impl Site {
    /// A folder whose path is too long for the address of a Unix socket.
    fn new() -> Self {
        let site = Self {
            folder: TempDir::new().unwrap(),
        };
        fs::create_dir(site.deep()).unwrap();
        site
    }

    fn deep(&self) -> PathBuf {
        self.folder.path().join("a-long-name-".repeat(10))
    }

    fn config(&self, ports: &[u16], more: &str) {
        let listeners: String = ports
            .iter()
            .map(|port| format!("[[listener]]\naddress = \"127.0.0.1:{port}\"\n"))
            .collect();
        let state = self.deep();
        let text = format!(
            "hostname = \"mx.example.org\"\nstate_dir = \"{}\"\nrelay_domains = [\"example.org\"]\n{listeners}{more}",
            state.display()
        );
        fs::write(self.path("postern.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("POSTERN_CONFIG");
        command
    }

    fn start(&self) -> Server {
        Server::start(&mut self.command(&["serve"]), &self.path("log"))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// The ports are open before the server is ready; the greeting is only sent then.
fn wait_for_greeting(port: u16) {
    wait_until("a greeting", || Client::connect(port).is_ok());
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn listeners_come_and_go_and_the_others_stay() {
    let site = Site::new();
    let (stays, goes, comes) = (free_port(), free_port(), free_port());
    site.config(&[stays, goes], "");
    let server = site.start();
    wait_for_greeting(goes);
    let mut session = Client::connect(stays).unwrap().0;
    session.say("EHLO helo").unwrap();
    let mut left = Client::connect(goes).unwrap().0;
    left.say("EHLO helo").unwrap();

    site.config(&[stays, comes], "");
    assert!(site.run(&["reload"]).status.success());
    wait_for_greeting(comes);
    wait_until("the end of a listener", || Client::connect(goes).is_err());
    assert!(
        session.say("NOOP").unwrap().starts_with("250"),
        "the session goes on"
    );
    for command in ["NOOP", "MAIL FROM:<a@b.example>", "RSET", "NOOP"] {
        let reply = left.say(command).unwrap();
        assert!(reply.starts_with("250"), "of the removed listener too: {reply}");
    }

    // A port that is in use: nothing changes.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    site.config(&[stays, taken.local_addr().unwrap().port()], "");
    let refused = site.run(&["reload"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("another program listens there"),
        "{refused:?}"
    );
    assert!(Client::connect(comes).is_ok());
    assert!(server.terminate().success());
    assert!(
        left.say("NOOP").is_ok_and(|reply| reply.starts_with("421")),
        "a stop ends the session of a removed listener as well"
    );
}

#[test]
fn a_bad_configuration_is_logged_whole_and_changes_nothing() {
    let site = Site::new();
    let port = free_port();
    site.config(&[port], "");
    let server = site.start();
    wait_for_greeting(port);
    site.config(&[port], "[limts]\n[log]\nlevel = \"loud\"\n");
    server.signal(Signal::SIGHUP);
    wait_until("the refusal", || server.log().contains("not reloaded"));
    let log = server.log();
    assert!(
        log.contains("unknown key `limts` (did you mean `limits`?)"),
        "{log}"
    );
    assert!(log.contains("`level` in [log]"), "{log}");
    assert!(Client::connect(port).is_ok());
    assert!(server.terminate().success());
}

#[test]
fn the_log_goes_to_a_file_and_is_rotated() {
    let site = Site::new();
    let port = free_port();
    site.config(&[port], "[log]\nfile = \"mail.log\"\nformat = \"json\"\n");
    let server = site.start();
    wait_for_greeting(port);
    wait_until("a line", || read(&site.path("mail.log")).contains("started"));
    for line in read(&site.path("mail.log")).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            value["time"].is_string() && value["message"].is_string(),
            "{line}"
        );
    }
    fs::rename(site.path("mail.log"), site.path("mail.log.1")).unwrap();
    assert!(site.run(&["reload"]).status.success());
    wait_until("a line in the new file", || {
        read(&site.path("mail.log")).contains("reloaded")
    });
    assert!(server.terminate().success());
    assert!(
        read(&site.path("mail.log")).contains("\"stopped\""),
        "the last line is written"
    );
}

#[test]
fn what_is_in_force_is_what_the_server_has_read() {
    let site = Site::new();
    let (first, second) = (free_port(), free_port());
    let include = |more: &str| {
        site.config(&[first], more);
        let text = read(&site.path("postern.toml"));
        fs::write(site.path("postern.toml"), format!("include = \"conf.d\"\n{text}")).unwrap();
    };
    fs::create_dir(site.path("conf.d")).unwrap();
    include("");
    let server = site.start();
    wait_for_greeting(first);
    let show = || {
        let output = site.run(&["config", "show", "--changed"]);
        assert!(output.status.success(), "{output:?}");
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (shown, differs) = show();
    assert!(shown.starts_with("# in force in the running server"), "{shown}");
    assert_eq!(differs, "");

    // A new fragment, a changed limit, and a key that only a restart changes.
    let listener = format!("[[listener]]\naddress = \"127.0.0.1:{second}\"\n");
    fs::write(site.path("conf.d/more.toml"), listener).unwrap();
    include("[limits]\nrecipients = 200\n[spool]\nreaders = 2\n");
    let (shown, differs) = show();
    assert!(!shown.contains("recipients"), "not in force yet: {shown}");
    for line in [
        "+ [limits] recipients = 200",
        "+ [spool] readers = 2",
        "+ [[listener]] 2: address",
    ] {
        assert!(differs.contains(line), "{line}: {differs}");
    }
    assert!(site.run(&["reload"]).status.success());
    wait_for_greeting(second);
    let (shown, differs) = show();
    assert!(
        shown.contains("recipients = 200") && shown.contains("more.toml:2"),
        "{shown}"
    );
    assert!(
        differs.contains("+ [spool] readers = 2") && !differs.contains("recipients"),
        "{differs}"
    );

    // A mistake in a fragment is reported with its place, and changes nothing.
    fs::write(site.path("conf.d/wrong.toml"), "\n[lmits]\n").unwrap();
    let refused = site.run(&["reload"]);
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("unknown key `lmits`") && told.contains("conf.d/wrong.toml:2:2"),
        "{told}"
    );
    assert!(Client::connect(second).is_ok());
    assert!(server.terminate().success());
}

#[test]
fn a_change_that_needs_a_restart_is_said() {
    let site = Site::new();
    let port = free_port();
    site.config(&[port], "");
    let server = site.start();
    wait_for_greeting(port);
    site.config(&[port], "[spool]\nreaders = 2\n");
    let output = site.run(&["reload"]);
    assert!(output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("[spool] has changed"),
        "{output:?}"
    );
    let text = read(&site.path("postern.toml"));
    let moved = site.path("moved");
    fs::write(
        site.path("postern.toml"),
        text.replace(&site.deep().display().to_string(), &moved.display().to_string()),
    )
    .unwrap();
    server.signal(Signal::SIGHUP);
    wait_until("the refusal of another state directory", || {
        server
            .log()
            .contains("`state_dir` has changed, which takes a restart")
    });
    assert!(!moved.exists());
    assert!(server.terminate().success());
}

#[test]
fn two_servers_do_not_share_a_state_directory() {
    let site = Site::new();
    let port = free_port();
    site.config(&[port], "");
    let server = site.start();
    wait_for_greeting(port);
    site.config(&[free_port()], "");
    let second = site.run(&["serve"]);
    assert_eq!(second.status.code(), Some(75), "{second:?}");
    assert!(Client::connect(port).is_ok());
    assert!(server.terminate().success());
}

#[test]
fn the_socket_is_private_and_refuses_nonsense() {
    let site = Site::new();
    let port = free_port();
    site.config(&[port], "");
    let server = site.start();
    wait_for_greeting(port);
    let socket = site.deep().join("control.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // The path is too long to connect to from here.
    let short = site.path("s");
    std::os::unix::fs::symlink(&socket, &short).unwrap();

    #[rustfmt::skip]
    let cases = [
        // what the case shows   what is sent                                         what comes back
        ("no JSON",              "hello\n".to_owned(),                                "cannot understand the request"),
        ("no such request",      "{\"do\":\"dance\"}\n".to_owned(),                   "cannot understand the request"),
        ("too long",             format!("{}\n", "x".repeat(2 << 20)),                "too long"),
        ("no such message",      "{\"do\":\"queue\",\"operation\":\"show\",\"id\":\"x\"}\n".to_owned(), "not-found"),
        ("a good one",           "{\"do\":\"destinations\"}\n".to_owned(),            "{\"done\":[]}"),
    ];
    for (shows, sent, want) in cases {
        let mut stream = UnixStream::connect(&short).unwrap();
        // The server may have hung up before the end of what is too long.
        let _ = stream.write_all(sent.as_bytes());
        let mut reply = String::new();
        let _ = BufReader::new(stream).read_line(&mut reply);
        assert!(reply.contains(want), "{shows}: {reply}");
    }
    assert!(server.terminate().success());
    assert!(!socket.exists(), "removed at the end");
}

#[test]
fn the_service_manager_is_told() {
    let site = Site::new();
    let port = free_port();
    site.config(&[port], "");
    let socket = UnixDatagram::bind(site.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let mut command = site.command(&["serve"]);
    command.env("NOTIFY_SOCKET", site.path("notify"));
    let server = Server::start(&mut command, &site.path("log"));
    assert!(told().starts_with("READY=1\n"));
    assert!(
        Client::connect(port).is_ok(),
        "ready means that the greeting comes"
    );
    server.signal(Signal::SIGHUP);
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(told().starts_with("READY=1\n"));
    assert!(server.terminate().success());
    assert!(told().starts_with("STOPPING=1\n"));
}
