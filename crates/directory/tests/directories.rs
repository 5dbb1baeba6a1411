//! Several directories in order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{check, denied, exists, granted, ldap, unavailable};
use postern_directory::PasswordVerdict;
use postern_directory::{
    DenyReason, Directories, DirectorySettings, Existence, SaslauthdSettings, UserStore, UsersSettings,
};
use postern_testkit::process::free_port;
use postern_testkit::slapd::Slapd;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn users(folder: &Path, accounts: &[(&str, &str)]) -> DirectorySettings {
    let database = folder.join("users.db");
    let store = UserStore::open(&database).unwrap();
    for (login, password) in accounts {
        store.add(login, &SecretString::from(*password), &[]).unwrap();
    }
    DirectorySettings::Users(UsersSettings {
        database,
        ..UsersSettings::default()
    })
}

fn dead_ldap() -> DirectorySettings {
    DirectorySettings::Ldap(ldap(&[format!("ldap://127.0.0.1:{}/", free_port())]))
}

#[tokio::test]
async fn none_at_all_knows_nobody() {
    let directories = Directories::open(Vec::new()).await.unwrap();
    assert_eq!(
        denied(check(&directories, "a", "x").await),
        DenyReason::UnknownUser
    );
    assert_eq!(exists(&directories, "a@b.example").await, Existence::No);
}

#[tokio::test]
async fn the_first_that_knows_the_login_decides() {
    let slapd = Slapd::start();
    let folder = tempfile::tempdir().unwrap();
    let own = users(
        folder.path(),
        &[("acaird", "own password"), ("tester@relay.test", "x")],
    );
    let directories = Directories::open(vec![own, DirectorySettings::Ldap(ldap(&[slapd.url()]))])
        .await
        .unwrap();
    let _ = granted(check(&directories, "acaird", "own password").await);
    let reason = denied(check(&directories, "acaird", "pass word").await);
    assert_eq!(
        reason,
        DenyReason::WrongPassword,
        "right in the second, which is not asked"
    );
    let _ = granted(check(&directories, "tester@relay.test", "x").await);
    UserStore::open(&folder.path().join("users.db"))
        .unwrap()
        .remove("acaird")
        .unwrap();
    let _ = granted(check(&directories, "acaird", "pass word").await);
    assert_eq!(
        denied(check(&directories, "nobody", "x").await),
        DenyReason::UnknownUser
    );
    assert_eq!(
        exists(&directories, "acaird@fccc.example").await,
        Existence::Yes,
        "in the second"
    );
    assert_eq!(
        exists(&directories, "tester@relay.test").await,
        Existence::Yes,
        "in the first"
    );
}

#[tokio::test]
async fn one_that_is_down_is_passed_over_but_never_counts_as_a_no() {
    let folder = tempfile::tempdir().unwrap();
    let own = users(folder.path(), &[("tester@relay.test", "x")]);
    let directories = Directories::open(vec![dead_ldap(), own.clone()]).await.unwrap();
    let _ = granted(check(&directories, "tester@relay.test", "x").await);
    let reason = unavailable(check(&directories, "tester@relay.test", "wrong").await);
    assert!(
        reason.starts_with("ldap (directory 1): "),
        "the first one might have granted: {reason}"
    );
    let _ = unavailable(check(&directories, "nobody", "x").await);
    assert_eq!(
        denied(check(&directories, "tester@relay.test", "").await),
        DenyReason::EmptyPassword
    );
    assert_eq!(exists(&directories, "tester@relay.test").await, Existence::Yes);
    assert!(matches!(
        exists(&directories, "nobody@relay.test").await,
        Existence::Unknown(_)
    ));

    let directories = Directories::open(vec![own, dead_ldap()]).await.unwrap();
    let reason = denied(check(&directories, "tester@relay.test", "wrong").await);
    assert_eq!(
        reason,
        DenyReason::WrongPassword,
        "the one that knows the login comes first"
    );
    let _ = unavailable(check(&directories, "nobody", "x").await);
}

/// A denial by those that answer is a guess, whatever else is down; if none answers, nothing is known.
#[tokio::test]
async fn guesses_count_while_another_one_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let own = users(folder.path(), &[("acaird", "pass word")]);
    let nobody = Directories::open(vec![dead_ldap()]).await.unwrap();
    let some = Directories::open(vec![dead_ldap(), own]).await.unwrap();
    let cases = [
        (&some, "acaird", true, "a wrong password"),
        (&some, "nobody", true, "a login that is unknown must not differ"),
        (&nobody, "acaird", false, "nobody said anything"),
    ];
    for (directories, login, want, shows) in cases {
        let verdict = check(directories, login, "wrong").await;
        let PasswordVerdict::Unavailable { wrong, .. } = verdict else {
            panic!("{shows}: {verdict:?}");
        };
        assert_eq!(wrong, want, "{shows}");
    }
    let _ = granted(check(&some, "acaird", "pass word").await);
}

/// The second directory delays its refusals, as PAM does behind saslauthd.
#[tokio::test]
async fn a_login_that_the_first_one_knows_is_denied_as_late_as_others() {
    let folder = tempfile::tempdir().unwrap();
    let own = users(folder.path(), &[("acaird", "pass word")]);
    let socket = folder.path().join("mux");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let late = Duration::from_secs(2);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                let _ = stream.write_all(b"\0\x02NO").await;
                // The question is read before closing, or the answer would be lost.
                let _ = stream.read(&mut [0; 1_024]).await;
            });
        }
    });
    let slow = DirectorySettings::Saslauthd(SaslauthdSettings {
        socket,
        timeout: Duration::from_secs(60),
        ..SaslauthdSettings::default()
    });
    let directories = Directories::open(vec![own, slow]).await.unwrap();
    assert_eq!(
        denied(check(&directories, "nobody", "x").await),
        DenyReason::Refused
    );
    let start = Instant::now();
    assert_eq!(
        denied(check(&directories, "acaird", "wrong").await),
        DenyReason::WrongPassword,
        "by the first one, at once"
    );
    assert!(start.elapsed() >= late, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_no_from_saslauthd_leaves_the_question_to_the_next() {
    let slapd = Slapd::start();
    let saslauthd = postern_testkit::saslauthd::Saslauthd::start(&slapd.url());
    let folder = tempfile::tempdir().unwrap();
    let settings = SaslauthdSettings {
        socket: saslauthd.socket(),
        ..SaslauthdSettings::default()
    };
    let own = users(folder.path(), &[("tester@relay.test", "x")]);
    let directories = Directories::open(vec![DirectorySettings::Saslauthd(settings), own])
        .await
        .unwrap();
    let _ = granted(check(&directories, "acaird", "pass word").await);
    let _ = granted(check(&directories, "tester@relay.test", "x").await);
    assert_eq!(
        denied(check(&directories, "nobody", "x").await),
        DenyReason::Refused
    );
    assert_eq!(
        denied(check(&directories, "tester@relay.test", "y").await),
        DenyReason::WrongPassword
    );
}

#[tokio::test]
async fn it_fits_into_tasks_and_shows_no_secret() {
    fn shareable<T: Send + Sync + 'static>(value: &T) -> &T {
        value
    }
    let folder = tempfile::tempdir().unwrap();
    let directories = Directories::open(vec![users(folder.path(), &[]), dead_ldap()])
        .await
        .unwrap();
    let shown = format!("{:?}", shareable(&directories));
    assert!(
        shown.contains("users (directory 1)") && shown.contains("ldap (directory 2)"),
        "{shown}"
    );
}
