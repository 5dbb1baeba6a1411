//! Stored keys of own users: made, found, upgraded, and gone with the password.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{check, denied, granted, only};
use jiff::Timestamp;
use postern_directory::users::import::{Format, read};
use postern_directory::{
    Account, DenyReason, Directories, DirectorySettings, KeyKind, KeyPolicy, KeyVerdict, PasswordVerdict,
    UserStore, UsersSettings,
};
use postern_sasl::{CramSecret, DigestSecret, NtHash, ScramHash, StoredKey};
use secrecy::{ExposeSecret, SecretString};
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
        directory: Some(Arc::new("users (directory 1)".to_owned())),
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
            outage: None,
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
        KeyVerdict::Unavailable { answered: false, .. }
    ));
    assert!(matches!(
        directory.find_account(LOGIN).await,
        PasswordVerdict::Unavailable { wrong: false, .. }
    ));
}

/// The file as the version before stored keys created it.
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
            "DROP TABLE keys; DROP TABLE app_password_keys; DROP TABLE memberships; DROP TABLE delegates; \
             ALTER TABLE app_passwords DROP COLUMN scope; PRAGMA user_version = 2;",
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

#[tokio::test]
async fn app_passwords_have_keys_of_their_own() {
    let bench = Bench::new();
    let store = bench.store(policy());
    store.add(LOGIN, &secret("pass word"), &[]).unwrap();
    let made = store.add_app_password(LOGIN, "phone", None, &[]).unwrap();
    let inside = ["192.0.2.0/24".parse().unwrap()];
    store.add_app_password(LOGIN, "office", None, &inside).unwrap();
    let directories = bench.directory(true).await;
    let scram = KeyKind::Scram(ScramHash::Sha256);
    let name = format!("{LOGIN}#phone");
    for kind in policy().kinds {
        let KeyVerdict::Found { account, key, .. } = directories.lookup_key(&name, &kind).await else {
            panic!("no key for {kind:?}");
        };
        assert_eq!(account.login, LOGIN, "the user's own account");
        assert_eq!(KeyKind::of(&key), kind);
    }
    let KeyVerdict::Found { key, .. } = directories.lookup_key(&name, &KeyKind::Nt).await else {
        panic!("no key");
    };
    assert_eq!(
        key,
        StoredKey::Nt(NtHash::derive(made.expose_secret())),
        "of the password as it was shown"
    );
    assert!(
        matches!(
            directories.lookup_key("ACAIRD#Phone", &scram).await,
            KeyVerdict::Found { .. }
        ),
        "whatever the case"
    );
    let of = |peer: Option<&str>| peer.map(|peer| peer.parse().unwrap());
    let office = format!("{LOGIN}#office");
    for (peer, want) in [
        (Some("192.0.2.7"), true),
        (Some("203.0.113.1"), false),
        (None, false),
    ] {
        let found = directories.lookup_key_from(&office, &scram, of(peer)).await;
        assert_eq!(matches!(found, KeyVerdict::Found { .. }), want, "{peer:?}");
    }
    for unknown in ["acaird#none", "nobody#phone", "#phone", "acaird#"] {
        let verdict = directories.lookup_key(unknown, &scram).await;
        assert_eq!(verdict, KeyVerdict::Denied(DenyReason::UnknownUser), "{unknown}");
    }

    // The login with a label accepts this password and no other.
    let _ = granted(check(&directories, &name, made.expose_secret()).await);
    for (login, password) in [(&name, "pass word"), (&office, made.expose_secret())] {
        assert_eq!(
            denied(check(&directories, login, password).await),
            DenyReason::UnknownUser,
            "{login}"
        );
    }

    assert_eq!(
        store.app_passwords(LOGIN).unwrap()[0].last_used_at,
        None,
        "not by looking"
    );
    directories.note_key_login(&office, of(Some("192.0.2.7"))).await;
    let list = store.app_passwords(LOGIN).unwrap();
    assert_eq!(list[0].last_used_from, of(Some("192.0.2.7")), "{list:?}");
    assert_eq!(list[0].keys.len(), policy().kinds.len());

    store.disable(LOGIN).unwrap();
    let verdict = directories.lookup_key(&name, &scram).await;
    assert_eq!(verdict, KeyVerdict::Denied(DenyReason::Disabled));
    store.enable(LOGIN).unwrap();
    store.revoke_app_password(LOGIN, "phone").unwrap();
    let verdict = directories.lookup_key(&name, &scram).await;
    assert_eq!(
        verdict,
        KeyVerdict::Denied(DenyReason::UnknownUser),
        "its keys are gone with it"
    );
}

#[tokio::test]
async fn an_app_password_gets_keys_when_it_is_shown() {
    let bench = Bench::new();
    let store = bench.store(KeyPolicy::default());
    store.add(LOGIN, &secret("pass word"), &[]).unwrap();
    let made = store.add_app_password(LOGIN, "phone", None, &[]).unwrap();
    let directories = bench.directory(true).await;
    let (name, kind) = (format!("{LOGIN}#phone"), KeyKind::Nt);
    let verdict = directories.lookup_key(&name, &kind).await;
    assert_eq!(verdict, KeyVerdict::Denied(DenyReason::NoKey));
    let typed = made.expose_secret().replace('-', "").to_uppercase();
    let _ = granted(check(&directories, LOGIN, &typed).await);
    let got = async {
        loop {
            if let KeyVerdict::Found { key, .. } = directories.lookup_key(&name, &kind).await {
                return key;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let got = tokio::time::timeout(std::time::Duration::from_secs(60), got)
        .await
        .unwrap();
    assert_eq!(
        got,
        StoredKey::Nt(NtHash::derive(made.expose_secret())),
        "as shown, not as typed"
    );
}

#[tokio::test]
async fn imported_passwords_in_the_clear_make_keys() {
    let bench = Bench::new();
    let store = bench.store(policy());
    let lines = read(
        Format::Dovecot,
        b"ann:{PLAIN}pencil\nbob:{SHA}2oguq15ANCGsJCWKX31fllwpyEk=\n\
         cat:{SCRAM-SHA-256}4096,TmFDbDEyMzQ=,SnSc1n+GWwi0YT31QmWlTBrfdNorP7c2U7JKP8YQ4Ms=,7AOsKR6mflbQm0K5OMjrns6mF8SyIg3G2qOt+06SpaI=\n",
        None,
        Timestamp::now(),
    );
    let entries: Vec<_> = lines.into_iter().map(|line| line.entry.unwrap()).collect();
    for result in store.import(&entries, false).unwrap() {
        let _ = result.unwrap();
    }
    let directories = bench.directory(false).await;
    for kind in policy().kinds {
        assert!(
            matches!(
                directories.lookup_key("ann", &kind).await,
                KeyVerdict::Found { .. }
            ),
            "{kind:?}"
        );
        let verdict = directories.lookup_key("bob", &kind).await;
        assert_eq!(
            verdict,
            KeyVerdict::Denied(DenyReason::NoKey),
            "a hash gives none"
        );
        let verdict = directories.lookup_key("cat", &kind).await;
        assert_eq!(
            matches!(verdict, KeyVerdict::Found { .. }),
            kind == KeyKind::Scram(ScramHash::Sha256),
            "what SCRAM stores is its key: {kind:?}"
        );
    }
    let _ = granted(check(&directories, "ann", "pencil").await);
    let again = read(Format::Dovecot, b"ann:{PLAIN}crayon\n", None, Timestamp::now());
    let entries: Vec<_> = again.into_iter().map(|line| line.entry.unwrap()).collect();
    let _ = store.import(&entries, true).unwrap();
    let KeyVerdict::Found { key, .. } = directories.lookup_key("ann", &KeyKind::Nt).await else {
        panic!("no key");
    };
    assert_eq!(
        key,
        StoredKey::Nt(NtHash::derive("crayon")),
        "of the new password"
    );
}
