//! Own users: the file, the directory over it, and another process that changes it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{check, denied, exists, granted, only, unavailable};
use postern_directory::users::UserError;
use postern_directory::{DenyReason, Directories, DirectorySettings, Existence, UserStore, UsersSettings};
use secrecy::SecretString;
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    store: UserStore,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = UserStore::open(&folder.path().join("users.db")).unwrap();
        Self { folder, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("users.db")
    }

    fn add(&self, login: &str, password: &str, addresses: &[&str]) -> Result<(), UserError> {
        let addresses: Vec<String> = addresses.iter().map(|&a| a.to_owned()).collect();
        self.store.add(login, &SecretString::from(password), &addresses)
    }

    async fn directory(&self) -> Directories {
        only(DirectorySettings::Users(self.settings())).await
    }

    fn settings(&self) -> UsersSettings {
        let domains = vec!["relay.test".into(), "other.test".into()];
        UsersSettings {
            database: self.path(),
            domains,
            ..UsersSettings::default()
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_file_is_for_its_owner_alone() {
    let bench = Bench::new();
    bench.add("tester@relay.test", "x", &[]).unwrap();
    for name in ["users.db", "users.db-wal", "users.db-shm"] {
        assert_eq!(mode(&bench.folder.path().join(name)), 0o600, "{name}");
    }
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let error = UserStore::open(&bench.path()).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(UserStore::open(&bench.path()).is_ok());
    let octets = fs::read(bench.path()).unwrap();
    let wal = fs::read(bench.folder.path().join("users.db-wal")).unwrap_or_default();
    assert!(
        !octets
            .windows(6)
            .chain(wal.windows(6))
            .any(|window| window == b"secret")
    );
}

#[test]
fn accounts() {
    let bench = Bench::new();
    bench
        .add(
            "Tester@Relay.Test",
            "one",
            &["Sales@relay.test", "tester@relay.test", "sales@relay.test"],
        )
        .unwrap();
    bench.add("bob", "two", &[]).unwrap();

    let user = bench.store.get("TESTER@relay.test").unwrap().unwrap();
    assert_eq!(user.login, "tester@relay.test");
    assert_eq!(
        user.addresses,
        ["sales@relay.test"],
        "lower case, once, without the login"
    );
    assert!(user.enabled);
    let names: Vec<String> = bench
        .store
        .list()
        .unwrap()
        .into_iter()
        .map(|user| user.login)
        .collect();
    assert_eq!(names, ["bob", "tester@relay.test"]);

    let verify =
        |login: &str, password: &str| bench.store.verify(login, &SecretString::from(password)).unwrap();
    assert!(verify("bob", "two") && verify("BOB", "two"));
    assert!(!verify("bob", "one") && !verify("nobody", "two"));

    bench.store.disable("bob").unwrap();
    assert!(!verify("bob", "two"));
    bench.store.enable("bob").unwrap();
    assert!(verify("bob", "two"));
    bench
        .store
        .set_password("bob", &SecretString::from("three"))
        .unwrap();
    assert!(verify("bob", "three") && !verify("bob", "two"));
    bench.store.remove("tester@relay.test").unwrap();
    assert_eq!(bench.store.get("tester@relay.test").unwrap(), None);
    bench
        .add("new@relay.test", "x", &["sales@relay.test"])
        .expect("its address went with it");
}

#[test]
fn what_cannot_be_done() {
    let bench = Bench::new();
    bench
        .add("tester@relay.test", "x", &["sales@relay.test"])
        .unwrap();
    let long = "x".repeat(1_025);
    let cases: [(&str, Result<(), UserError>, &str); 12] = [
        (
            "the same login",
            bench.add("TESTER@relay.test", "y", &[]),
            "there is a user",
        ),
        (
            "another's address as login",
            bench.add("sales@relay.test", "y", &[]),
            "belongs to another",
        ),
        (
            "another's address",
            bench.add("a@relay.test", "y", &["sales@relay.test"]),
            "belongs to another",
        ),
        (
            "another's login as address",
            bench.add("a@relay.test", "y", &["tester@relay.test"]),
            "belongs to another",
        ),
        ("no login", bench.add("", "y", &[]), "cannot be a login"),
        ("a blank in it", bench.add("a b", "y", &[]), "cannot be a login"),
        (
            "no address",
            bench.add("a@relay.test", "y", &["sales"]),
            "is not an address",
        ),
        (
            "an empty password",
            bench.add("a@relay.test", "", &[]),
            "1 to 1,024",
        ),
        ("a long one", bench.add("a@relay.test", &long, &[]), "1 to 1,024"),
        (
            "an unknown login",
            bench.store.remove("nobody"),
            "there is no user nobody",
        ),
        (
            "likewise",
            bench.store.set_password("nobody", &SecretString::from("x")),
            "there is no user nobody",
        ),
        (
            "likewise",
            bench.store.disable("nobody"),
            "there is no user nobody",
        ),
    ];
    for (shows, result, want) in cases {
        let error = result.expect_err(shows).to_string();
        assert!(error.contains(want), "{shows}: {error}");
    }
    assert_eq!(bench.store.list().unwrap().len(), 1, "nothing was half done");
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let bench = Bench::new();
    let later = rusqlite::Connection::open(bench.path()).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    drop(later);
    let error = UserStore::open(&bench.path()).unwrap_err();
    assert!(error.to_string().contains("later version"), "{error}");
}

#[tokio::test]
async fn logins() {
    let bench = Bench::new();
    bench
        .add("tester@relay.test", "pass word", &["sales@relay.test"])
        .unwrap();
    bench.add("bob", "größe", &[]).unwrap();
    let directories = bench.directory().await;
    let account = granted(check(&directories, "Tester@RELAY.test", "pass word").await);
    assert_eq!(account.login, "tester@relay.test");
    assert_eq!(account.addresses, ["tester@relay.test", "sales@relay.test"]);
    let account = granted(check(&directories, "bob", "größe").await);
    assert_eq!(
        account.addresses,
        ["bob@relay.test", "bob@other.test"],
        "at each own domain"
    );
    bench.store.disable("bob").unwrap();
    let cases = [
        (
            "wrong password",
            "tester@relay.test",
            "password",
            DenyReason::WrongPassword,
        ),
        (
            "empty password",
            "tester@relay.test",
            "",
            DenyReason::EmptyPassword,
        ),
        ("unknown", "nobody", "pass word", DenyReason::UnknownUser),
        (
            "a pattern",
            "tester@relay.%",
            "pass word",
            DenyReason::UnknownUser,
        ),
        ("a quote", "' OR 1=1 --", "pass word", DenyReason::UnknownUser),
        ("switched off", "bob", "größe", DenyReason::Disabled),
        ("switched off, and wrong", "bob", "x", DenyReason::WrongPassword),
    ];
    for (shows, login, password, want) in cases {
        assert_eq!(
            denied(check(&directories, login, password).await),
            want,
            "{shows}"
        );
    }
}

#[tokio::test]
async fn recipients() {
    let bench = Bench::new();
    bench
        .add("tester@relay.test", "x", &["sales@relay.test"])
        .unwrap();
    bench.add("bob", "x", &[]).unwrap();
    bench.store.disable("bob").unwrap();
    let directories = bench.directory().await;
    let cases = [
        ("a login", "tester@relay.test", Existence::Yes),
        ("another case", "TESTER@Relay.test", Existence::Yes),
        ("a further address", "sales@relay.test", Existence::Yes),
        ("a bare login at an own domain", "bob@other.test", Existence::Yes),
        ("and nowhere else", "bob@else.test", Existence::No),
        (
            "a login is no local part",
            "\"tester@relay.test\"@relay.test",
            Existence::No,
        ),
        ("unknown", "nobody@relay.test", Existence::No),
    ];
    for (shows, address, want) in cases {
        assert_eq!(exists(&directories, address).await, want, "{shows}");
    }
}

#[tokio::test]
async fn a_second_login_is_cheap_and_still_sees_every_change() {
    let bench = Bench::new();
    bench.add("tester@relay.test", "one", &[]).unwrap();
    let directories = bench.directory().await;
    // Another connection to the file, as `postern user` opens it.
    let elsewhere = UserStore::open(&bench.path()).unwrap();
    let login = "tester@relay.test";
    let _ = granted(check(&directories, login, "one").await);
    // A busy machine makes some rounds slow; the quickest of each kind show the difference.
    let (mut cheap, mut dear) = (Duration::MAX, Duration::MAX);
    for _ in 0..20 {
        let start = Instant::now();
        let _ = granted(check(&directories, login, "one").await);
        cheap = cheap.min(start.elapsed());
        let start = Instant::now();
        let _ = denied(check(&directories, login, "wrong").await);
        dear = dear.min(start.elapsed());
    }
    assert!(cheap * 4 < dear, "{cheap:?} remembered, {dear:?} hashed");

    elsewhere.set_password(login, &SecretString::from("two")).unwrap();
    assert_eq!(
        denied(check(&directories, login, "one").await),
        DenyReason::WrongPassword,
        "the old one, at once"
    );
    let _ = granted(check(&directories, login, "two").await);
    elsewhere.disable(login).unwrap();
    assert_eq!(
        denied(check(&directories, login, "two").await),
        DenyReason::Disabled,
        "at once"
    );
    elsewhere.enable(login).unwrap();
    let _ = granted(check(&directories, login, "two").await);
    elsewhere.remove(login).unwrap();
    assert_eq!(
        denied(check(&directories, login, "two").await),
        DenyReason::UnknownUser,
        "at once"
    );
    elsewhere.add(login, &SecretString::from("three"), &[]).unwrap();
    assert_eq!(
        denied(check(&directories, login, "two").await),
        DenyReason::WrongPassword,
        "another account"
    );
}

#[tokio::test]
async fn another_file_in_its_place_counts_at_once() {
    let bench = Bench::new();
    bench.add("tester@relay.test", "one", &[]).unwrap();
    let directories = bench.directory().await;
    let _ = granted(check(&directories, "tester@relay.test", "one").await);

    let other = Bench::new();
    other.add("tester@relay.test", "two", &[]).unwrap();
    let Bench { folder, store } = other;
    drop(store);
    for name in ["users.db-wal", "users.db-shm"] {
        let _ = fs::remove_file(bench.folder.path().join(name));
    }
    fs::rename(folder.path().join("users.db"), bench.path()).unwrap();
    assert_eq!(
        denied(check(&directories, "tester@relay.test", "one").await),
        DenyReason::WrongPassword
    );
    let _ = granted(check(&directories, "tester@relay.test", "two").await);

    fs::remove_file(bench.path()).unwrap();
    let reason = unavailable(check(&directories, "tester@relay.test", "two").await);
    assert!(reason.contains("users.db"), "gone is an outage: {reason}");
}

#[tokio::test]
async fn a_login_that_does_not_exist_takes_as_long() {
    let bench = Bench::new();
    bench.add("tester@relay.test", "one", &[]).unwrap();
    let directories = bench.directory().await;
    let mut known = Duration::MAX;
    let mut unknown = Duration::MAX;
    let alike = |known: Duration, unknown: Duration| known.max(unknown) < known.min(unknown) * 2;
    // A busy machine makes some rounds slow; the quickest of each kind are close if there is no other reason.
    for round in 0..100 {
        if round >= 5 && alike(known, unknown) {
            break;
        }
        let start = Instant::now();
        assert_eq!(
            denied(check(&directories, "nobody@relay.test", "x").await),
            DenyReason::UnknownUser
        );
        unknown = unknown.min(start.elapsed());
        let start = Instant::now();
        assert_eq!(
            denied(check(&directories, "tester@relay.test", "x").await),
            DenyReason::WrongPassword
        );
        known = known.min(start.elapsed());
    }
    assert!(alike(known, unknown), "known {known:?}, unknown {unknown:?}");
    let least = known.min(unknown);
    assert!(least > Duration::from_millis(5), "hashed each time: {least:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_logins_wait_for_their_turn_and_stall_nobody_else() {
    let bench = Bench::new();
    bench.add("tester@relay.test", "one", &[]).unwrap();
    let settings = UsersSettings {
        workers: 1,
        cache_ttl: Duration::ZERO,
        // A machine under load is slow at hashing, too.
        timeout: Duration::from_secs(60),
        ..bench.settings()
    };
    let directories = Arc::new(only(DirectorySettings::Users(settings)).await);
    let logins: Vec<_> = (0..20)
        .map(|_| {
            let directories = Arc::clone(&directories);
            tokio::spawn(async move { check(&directories, "tester@relay.test", "one").await })
        })
        .collect();
    // Look-ups do not queue behind the hashing.
    assert_eq!(exists(&directories, "tester@relay.test").await, Existence::Yes);
    assert!(
        logins.iter().any(|login| !login.is_finished()),
        "the look-up waited for all hashes"
    );
    for login in logins {
        let _ = granted(login.await.unwrap());
    }

    let hurried = UsersSettings {
        workers: 1,
        timeout: Duration::from_millis(1),
        ..bench.settings()
    };
    let hurried = only(DirectorySettings::Users(hurried)).await;
    let reason = unavailable(check(&hurried, "tester@relay.test", "one").await);
    assert!(reason.contains("within 1 ms"), "{reason}");
}
