//! What a new user does: start from nothing, paste the printed line into a shell, find the mail.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use postern_testkit::process::{FixedPorts, Server, program, wait_until};
use tempfile::TempDir;

fn binary() -> PathBuf {
    std::env::var_os("POSTERN_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_postern")), PathBuf::from)
}

fn serve(folder: &Path, log: &str) -> Server {
    let mut command = Command::new(binary());
    command
        .arg("serve")
        .current_dir(folder)
        .env_remove("POSTERN_CONFIG");
    Server::start(&mut command, &folder.join(log))
}

fn shell(line: &str) -> Output {
    Command::new("sh").args(["-c", line]).output().unwrap()
}

fn mails(folder: &Path) -> Vec<String> {
    let new = folder.join("postern-data/mail/you/new");
    let entries = fs::read_dir(new).into_iter().flatten().flatten();
    entries
        .map(|entry| fs::read_to_string(entry.path()).unwrap())
        .collect()
}

#[test]
fn the_printed_line_sends_a_mail_and_a_second_start_finds_everything() {
    let _ports = FixedPorts::hold();
    let _ = program("/usr/bin/curl", "curl");
    let folder = TempDir::with_prefix("first minute ").unwrap();

    let server = serve(folder.path(), "first.log");
    wait_until("the announcement", || server.log().contains("It arrives in"));
    let announced = server.log();
    let line = announced
        .lines()
        .find(|line| line.contains("curl"))
        .unwrap()
        .to_owned();
    let sent = shell(&line);
    assert!(
        sent.status.success(),
        "{line}\n{}",
        String::from_utf8_lossy(&sent.stderr)
    );
    wait_until("the mail", || !mails(folder.path()).is_empty());
    let mail = &mails(folder.path())[0];
    assert!(
        mail.contains("Subject: First mail") && mail.contains("It works."),
        "{mail}"
    );
    assert!(mail.contains("with ESMTPSA id"), "{mail}");
    assert!(mail.contains("(authenticated bits=0)"), "{mail}");

    // A wrong password is refused: the line works because of the login.
    let password = announced
        .lines()
        .find_map(|line| line.trim().strip_prefix("password "))
        .unwrap();
    let password = password.split_whitespace().next().unwrap();
    let refused = shell(&line.replace(password, "wrong-password"));
    assert!(!refused.status.success());
    assert!(server.terminate().success());

    // The first user can log in by every mechanism of the first configuration.
    let shown = Command::new(binary())
        .args(["user", "show", "you@postern.localhost", "--config"])
        .arg(folder.path().join("postern-data/postern.toml"))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
        assert!(shown.contains(&format!("{mechanism}: works")), "{shown}");
    }

    // Keys and users are accessible only by the owner.
    for secret in ["certs/ca.key", "certs/host.key", "state/users.db"] {
        use std::os::unix::fs::MetadataExt;
        let mode = fs::metadata(folder.path().join("postern-data").join(secret))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }

    let server = serve(folder.path(), "second.log");
    wait_until("the reminder", || {
        let log = server.log();
        log.contains("uses the existing configuration")
            && log.contains("user passwd you@postern.localhost --generate")
    });
    assert!(!server.log().contains(password), "no password is kept");
    assert!(
        shell(&line).status.success(),
        "the password of the first start still holds"
    );
    wait_until("the second mail", || mails(folder.path()).len() == 2);
    assert!(server.terminate().success());
}

#[test]
fn a_port_that_is_taken_is_said_before_anything_is_made() {
    let _ports = FixedPorts::hold();
    let folder = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:2587").unwrap();
    let mut server = serve(folder.path(), "log");
    wait_until("the end", || !server.runs());
    let said = server.log();
    assert!(
        said.contains("127.0.0.1:2587") && said.contains("ss -ltnp"),
        "{said}"
    );
    assert!(said.contains("nothing was made"), "{said}");
    assert!(!folder.path().join("postern-data").exists());
    drop(taken);
    let server = serve(folder.path(), "log");
    wait_until("the announcement", || server.log().contains("not shown again"));
    // A second one in the same folder is told about the first.
    let mut second = serve(folder.path(), "second.log");
    wait_until("the end of the second", || !second.runs());
    assert!(second.log().contains("postern reload"), "{}", second.log());
    assert!(server.terminate().success());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let _ports = FixedPorts::hold();
    let folder = TempDir::new().unwrap();
    let first = serve(folder.path(), "log");
    wait_until("the announcement", || first.log().contains("It arrives in"));
    assert!(first.terminate().success());
    // Far longer than anybody waits for a test: it ends by the second signal, or not at all.
    let config = folder.path().join("postern-data/postern.toml");
    let written = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{written}\n[shutdown]\ngrace = \"1h\"\n")).unwrap();
    let server = serve(folder.path(), "second.log");
    wait_until("the announcement", || server.log().contains("started "));
    let mut client = postern_testkit::smtp::Client::connect(2525).unwrap().0;
    client.say("EHLO helo").unwrap();
    client.say("MAIL FROM:<a@b.example>").unwrap();
    server.signal(Signal::SIGTERM);
    wait_until("the first signal", || server.log().contains("stopping"));
    server.signal(Signal::SIGINT);
    let status = server.wait().unwrap();
    assert!(status.success(), "all that was accepted is on disk");
}
