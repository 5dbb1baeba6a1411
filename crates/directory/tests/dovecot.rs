//! A real Dovecot's auth service, and servers that only pretend to be one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{check, denied, exists, granted, only, unavailable};
use postern_directory::{
    DenyReason, Directories, DirectorySettings, DovecotPlace, DovecotSettings, Existence,
};
use postern_testkit::dovecot::Dovecot;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

fn at(path: PathBuf) -> DirectorySettings {
    DirectorySettings::Dovecot(DovecotSettings {
        place: DovecotPlace::Path(path),
        ..DovecotSettings::default()
    })
}

#[tokio::test]
async fn logins() {
    let dovecot = Dovecot::start_auth("acaird:{PLAIN}pass word\nboss@fccc.example:{PLAIN}x y\n");
    let directories = only(at(dovecot.socket())).await;
    let account = granted(check(&directories, "ACaird", "pass word").await);
    assert_eq!(account.login, "acaird", "as Dovecot has it");
    assert!(account.addresses.is_empty());
    let account = granted(check(&directories, "boss@fccc.example", "x y").await);
    assert_eq!(account.addresses, ["boss@fccc.example"]);
    let cases = [
        ("wrong password", "acaird", "password", DenyReason::Refused),
        ("unknown: it does not say so", "nobody", "x", DenyReason::Refused),
        ("empty password", "acaird", "", DenyReason::EmptyPassword),
        (
            "a tab, which parts fields",
            "acaird\tsecured",
            "x",
            DenyReason::Malformed,
        ),
        (
            "a NUL, which parts PLAIN",
            "acaird",
            "pass\0word",
            DenyReason::Malformed,
        ),
    ];
    for (shows, login, password, want) in cases {
        assert_eq!(
            denied(check(&directories, login, password).await),
            want,
            "{shows}"
        );
    }
    assert_eq!(
        exists(&directories, "boss@fccc.example").await,
        Existence::No,
        "it tells nobody's address"
    );
    let by_port = only(DirectorySettings::Dovecot(DovecotSettings {
        place: DovecotPlace::Server(format!("127.0.0.1:{}", dovecot.port())),
        ..DovecotSettings::default()
    }))
    .await;
    granted(check(&by_port, "acaird", "pass word").await);
}

#[tokio::test]
async fn many_at_once_get_their_own_answers() {
    let users: Vec<String> = (0..40).map(|n| format!("u{n}:{{PLAIN}}p{n}")).collect();
    let dovecot = Dovecot::start_auth(&users.join("\n"));
    let directories = Arc::new(only(at(dovecot.socket())).await);
    let tasks: Vec<_> = (0..120)
        .map(|n| {
            let directories = Arc::clone(&directories);
            tokio::spawn(async move {
                let (user, right) = (n % 40, n % 3 != 0);
                let password = format!("p{}", if right { user } else { user + 1 });
                (
                    user,
                    right,
                    check(&directories, &format!("u{user}"), &password).await,
                )
            })
        })
        .collect();
    for task in tasks {
        let (user, right, verdict) = task.await.unwrap();
        if right {
            assert_eq!(granted(verdict).login, format!("u{user}"));
        } else {
            assert_eq!(denied(verdict), DenyReason::Refused, "u{user}");
        }
    }
}

#[tokio::test]
async fn outages_are_no_refusals() {
    let mut dovecot = Dovecot::start_auth("acaird:{PLAIN}pass word\n");
    let directories = only(at(dovecot.socket())).await;
    granted(check(&directories, "acaird", "pass word").await);
    // The auth process outlives Dovecot as long as somebody is connected: new connections find nothing.
    dovecot.stop();
    let anew = only(at(dovecot.socket())).await;
    let reason = unavailable(check(&anew, "acaird", "pass word").await);
    assert!(reason.contains("Dovecot at"), "{reason}");
    dovecot.restart();
    granted(check(&anew, "acaird", "pass word").await);
    granted(check(&directories, "acaird", "pass word").await);
}

#[tokio::test]
async fn a_connection_that_has_ended_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("auth");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let _ = write.write_all(GREETING.as_bytes()).await;
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(rest) = line.strip_prefix("AUTH\t") {
                    let id = rest.split('\t').next().unwrap();
                    let _ = write.write_all(format!("OK\t{id}\n").as_bytes()).await;
                    // One answer per connection.
                    break;
                }
            }
        }
    });
    let directories = only(at(path)).await;
    for _ in 0..5 {
        granted(check(&directories, "acaird", "pass word").await);
    }
}

/// Dovecot may grant a login from certain networks alone (`allow_nets`): a login granted from there is asked about again from
/// elsewhere.
#[tokio::test]
async fn what_is_remembered_holds_for_the_same_client() {
    let (_folder, path) = pretend_at(GREETING, |line| match line.contains("rip=192.0.2.1\t") {
        true => "OK\tID\tuser=acaird\n".into(),
        false => "FAIL\tID\tuser=acaird\n".into(),
    });
    let settings = DovecotSettings {
        place: DovecotPlace::Path(path),
        cache_ttl: Duration::from_secs(600),
        ..DovecotSettings::default()
    };
    let directories = only(DirectorySettings::Dovecot(settings)).await;
    let from = async |peer: &str| {
        let password = SecretString::from("pass word");
        let peer = Some(peer.parse().unwrap());
        directories.check_password_from("acaird", &password, peer).await
    };
    granted(from("192.0.2.1").await);
    assert_eq!(denied(from("198.51.100.1").await), DenyReason::Refused);
    granted(from("192.0.2.1").await);
}

/// A server that sends what it is given: `greeting` at once, and for each question `answer`, with `ID` filled in.
async fn pretend(greeting: &'static str, answer: &'static str) -> (TempDir, Directories) {
    let (folder, path) = pretend_at(greeting, move |_| answer.to_owned());
    let settings = DovecotSettings {
        place: DovecotPlace::Path(path),
        timeout: Duration::from_millis(700),
        ..DovecotSettings::default()
    };
    (folder, only(DirectorySettings::Dovecot(settings)).await)
}

/// The same with the answer made for each line that asks.
fn pretend_at(
    greeting: &'static str,
    answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static,
) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("auth");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let _ = write.write_all(greeting.as_bytes()).await;
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let mut fields = line.split('\t');
                    if fields.next() == Some("AUTH") {
                        let id = fields.next().unwrap();
                        let _ = write.write_all(answer(&line).replace("ID", id).as_bytes()).await;
                    }
                }
            });
        }
    });
    (folder, path)
}

const GREETING: &str = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tx\nDONE\n";

#[tokio::test]
async fn pretenders() {
    let long: &'static str = Box::leak(format!("OK\tID\tuser={}\n", "x".repeat(40_000)).into_boxed_str());
    let endless: &'static str = Box::leak("MECH\tX\n".repeat(10_000).into_boxed_str());
    #[rustfmt::skip]
    let cases = [
        // what the case shows                    greeting                               answer                              reason
        ("another protocol",                      "220 mx ESMTP\r\n",                    "",                                 "no answer within"),
        ("another version",                       "VERSION\t2\t0\nDONE\n",               "",                                 "version 2"),
        ("no PLAIN",                              "VERSION\t1\t1\nMECH\tLOGIN\nDONE\n",  "",                                 "auth_mechanisms"),
        ("a greeting without end",                endless,                               "",                                 "octets"),
        ("silence",                               GREETING,                              "",                                 "no answer within"),
        ("an answer to nobody's question",        GREETING,                              "OK\t4000000000\tuser=root\n",      "no answer within"),
        ("an answer without a number",            GREETING,                              "OK\n",                             "ended the connection"),
        ("an answer that is too long",            GREETING,                              long,                               "ended the connection"),
        ("a login that forges the log",           GREETING,                              "OK\tID\tuser=a\x01nb\n",           "cannot be one"),
        ("more than PLAIN has",                   GREETING,                              "CONT\tID\t\n",                     "more than a password"),
        ("it cannot tell",                        GREETING,                              "FAIL\tID\tuser=a\ttemp\treason=down\n", "down"),
    ];
    for (shows, greeting, answer, reason) in cases {
        let (_folder, directories) = pretend(greeting, answer).await;
        let said = unavailable(check(&directories, "acaird", "x").await);
        assert!(said.contains(reason), "{shows}: {said}");
    }
    let (_folder, directories) = pretend(GREETING, "FAIL\tID\tcode=user_disabled\n").await;
    assert_eq!(
        denied(check(&directories, "acaird", "x").await),
        DenyReason::Disabled
    );
    let (_folder, directories) = pretend(GREETING, "FAIL\tID\tuser=a\tpass_expired\n").await;
    assert_eq!(
        denied(check(&directories, "acaird", "x").await),
        DenyReason::PasswordExpired
    );
}
