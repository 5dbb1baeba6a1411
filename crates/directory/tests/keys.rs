//! Stored keys of own users: made, found, upgraded, and gone with the password.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::PathBuf;

use common::{check, denied, granted, only};
use postern_directory::{
    Account, DenyReason, Directories, DirectorySettings, KeyKind, KeyPolicy, KeyVerdict, PasswordVerdict,
    UserStore, UsersSettings,
};
use postern_sasl::{CramSecret, DigestSecret, NtHash, ScramHash, StoredKey};
use secrecy::SecretString;
use tempfile::TempDir;

const LOGIN: &str = "acaird";

fn digest() -> KeyKind {
    KeyKind::Digest {
        realm: "relay.test".into(),
    }
}

fn policy() -> KeyPolicy {
    KeyPolicy {
        kinds: vec![
            KeyKind::Cram,
            digest(),
            KeyKind::Scram(ScramHash::Sha1),
            KeyKind::Scram(ScramHash::Sha256),
            KeyKind::Scram(ScramHash::Sha512),
            KeyKind::Nt,
        ],
        iterations: 4_096,
    }
}

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("users.db")
    }

    fn store(&self, keys: KeyPolicy) -> UserStore {
        UserStore::open(&self.path()).unwrap().with_keys(keys)
    }

    async fn directory(&self, upgrade: bool) -> Directories {
        only(DirectorySettings::Users(UsersSettings {
            database: self.path(),
            keys: policy(),
            upgrade_keys: upgrade,
            ..UsersSettings::default()
        }))
        .await
    }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn account() -> Account {
    Account {
        login: LOGIN.into(),
        ..Account::default()
    }
}

#[tokio::test]
async fn every_kind_is_found_and_goes_with_its_password() {
    let bench = Bench::new();
    let store = bench.store(policy());
    store.add(LOGIN, &secret("pass word"), &[]).unwrap();
    let directory = bench.directory(false).await;
    let plain = [
        (KeyKind::Cram, StoredKey::Cram(CramSecret::derive("pass word"))),
        (
            digest(),
            StoredKey::Digest(DigestSecret::derive(LOGIN, "relay.test", "pass word")),
        ),
        (KeyKind::Nt, StoredKey::Nt(NtHash::derive("pass word"))),
    ];
    for (kind, key) in plain {
        let found = KeyVerdict::Found {
            account: account(),
            key,
        };
        assert_eq!(directory.lookup_key("ACaird", &kind).await, found);
    }
    for hash in ScramHash::ALL {
        let KeyVerdict::Found { key, .. } = directory.lookup_key(LOGIN, &KeyKind::Scram(hash)).await else {
            panic!("no key for {hash:?}");
        };
        assert_eq!(KeyKind::of(&key), KeyKind::Scram(hash));
    }
    let mut kinds = store.get(LOGIN).unwrap().unwrap().keys;
    kinds.sort_by_key(KeyKind::name);
    let mut wanted = policy().kinds;
    wanted.sort_by_key(KeyKind::name);
    assert_eq!(kinds, wanted);

    // Somebody sets the password with an older configuration: the old password's keys must not survive it.
    bench
        .store(KeyPolicy::default())
        .set_password(LOGIN, &secret("new word"))
        .unwrap();
    for kind in policy().kinds {
        assert_eq!(
            directory.lookup_key(LOGIN, &kind).await,
            KeyVerdict::Denied(DenyReason::NoKey)
        );
    }
}

#[tokio::test]
async fn who_has_no_key() {
    let bench = Bench::new();
    let store = bench.store(policy());
    store.add(LOGIN, &secret("pass word"), &[]).unwrap();
    let directory = bench.directory(false).await;
    let other_realm = KeyKind::Digest {
        realm: "other.test".into(),
    };
    assert!(directory.keeps(&KeyKind::Cram) && !directory.keeps(&other_realm));
    #[rustfmt::skip]
    let cases = [
        ("nobody",            "nobody",   KeyKind::Cram, DenyReason::UnknownUser),
        ("no name",           "",         KeyKind::Cram, DenyReason::Malformed),
        ("a control",         "a\nb",     KeyKind::Cram, DenyReason::Malformed),
        ("a kind not kept",   LOGIN,      other_realm,   DenyReason::UnknownUser),
    ];
    for (shows, login, kind, reason) in cases {
        assert_eq!(
            directory.lookup_key(login, &kind).await,
            KeyVerdict::Denied(reason),
            "{shows}"
        );
    }
    assert_eq!(
        directory.find_account(LOGIN).await,
        PasswordVerdict::Granted(account())
    );
    store.disable(LOGIN).unwrap();
    assert_eq!(
        directory.lookup_key(LOGIN, &KeyKind::Cram).await,
        KeyVerdict::Denied(DenyReason::Disabled)
    );
    assert_eq!(
        directory.find_account(LOGIN).await,
        PasswordVerdict::Denied(DenyReason::Disabled)
    );
    store.remove(LOGIN).unwrap();
    assert_eq!(
        directory.find_account(LOGIN).await,
        PasswordVerdict::Denied(DenyReason::UnknownUser)
    );
}

#[tokio::test]
async fn a_right_password_brings_the_keys_that_lack() {
    let bench = Bench::new();
    let store = bench.store(KeyPolicy::default());
    store.add(LOGIN, &secret("pass word"), &[]).unwrap();
    let kinds = || store.get(LOGIN).unwrap().unwrap().keys.len();

    let never = bench.directory(false).await;
    granted(check(&never, LOGIN, "pass word").await);
    assert_eq!(kinds(), 0, "upgrades are off");

    let directory = bench.directory(true).await;
    denied(check(&directory, LOGIN, "wrong").await);
    assert_eq!(kinds(), 0, "a wrong password brings none");
    granted(check(&directory, LOGIN, "pass word").await);
    assert_eq!(kinds(), policy().kinds.len());
    assert!(matches!(
        directory.lookup_key(LOGIN, &KeyKind::Nt).await,
        KeyVerdict::Found { .. }
    ));
}

#[tokio::test]
async fn a_file_that_is_gone_is_no_refusal() {
    let bench = Bench::new();
    drop(bench.store(policy()));
    let directory = bench.directory(false).await;
    std::fs::remove_file(bench.path()).unwrap();
    assert!(matches!(
        directory.lookup_key(LOGIN, &KeyKind::Cram).await,
        KeyVerdict::Unavailable(_)
    ));
    assert!(matches!(
        directory.find_account(LOGIN).await,
        PasswordVerdict::Unavailable(_)
    ));
}

/// The file as the version before stored keys made it.
#[tokio::test]
async fn a_file_of_the_layout_before_loses_nothing() {
    let bench = Bench::new();
    let made = bench.store(KeyPolicy::default());
    made.add(LOGIN, &secret("pass word"), &["acaird@relay.test".into()])
        .unwrap();
    drop(made);
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    connection
        .execute_batch(
            "DROP TABLE keys; DROP TABLE memberships; DROP TABLE delegates; PRAGMA user_version = 2;",
        )
        .unwrap();
    drop(connection);
    let store = bench.store(policy());
    let user = store.get(LOGIN).unwrap().unwrap();
    assert_eq!(user.addresses, ["acaird@relay.test"]);
    assert_eq!(user.keys, []);
    let directory = bench.directory(true).await;
    granted(check(&directory, LOGIN, "pass word").await);
    assert_eq!(
        store.get(LOGIN).unwrap().unwrap().keys.len(),
        policy().kinds.len()
    );
}
