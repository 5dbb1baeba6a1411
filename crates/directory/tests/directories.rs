//! Several directories in order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;
use std::time::Instant;

use common::{check, denied, exists, granted, ldap, unavailable};
use postern_directory::{
    DenyReason, Directories, DirectorySettings, Existence, SaslauthdSettings, UserStore, UsersSettings,
};
use postern_testkit::process::free_port;
use postern_testkit::slapd::Slapd;
use secrecy::SecretString;
use tempfile::TempDir;

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

#[tokio::test(flavor = "multi_thread")]
async fn the_first_denial_tells_nothing_by_its_time() {
    let folder = TempDir::new().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    std::fs::create_dir(&one).unwrap();
    std::fs::create_dir(&other).unwrap();
    let list = [
        users(&one, &[("acaird", "pass word")]),
        users(&other, &[("boss", "x")]),
    ];
    // Fresh ones: nothing is known of how long a check takes. Only an unknown login costs a hash in both.
    let denial = async |login: &str| {
        let mut shortest = f64::MAX;
        for _ in 0..3 {
            let directories = Directories::open(list.to_vec()).await.unwrap();
            let start = Instant::now();
            denied(check(&directories, login, "wrong").await);
            shortest = shortest.min(start.elapsed().as_secs_f64());
        }
        shortest
    };
    let known = denial("acaird").await;
    let unknown = denial("nobody").await;
    assert!(
        known > 0.6 * unknown,
        "{known} s for a known login, {unknown} s for an unknown one"
    );
}
