//! Own users beyond their passwords: files of an earlier layout, imports, hashes that are upgraded, app passwords.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{check, denied, exists, granted, only};
use jiff::{Timestamp, ToSpan};
use postern_directory::users::UserError;
use postern_directory::users::import::{self, Entry, Format, Imported, Password};
use postern_directory::{
    DenyReason, Directories, DirectorySettings, Existence, PasswordVerdict, UserStore, UsersSettings,
};
use postern_testkit::process::{program, wait_until};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

const MD5: &str = "$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1";

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    (folder, path)
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

async fn directory(path: &Path) -> Directories {
    only(DirectorySettings::Users(UsersSettings {
        database: path.to_owned(),
        ..UsersSettings::default()
    }))
    .await
}

async fn check_from(directories: &Directories, login: &str, password: &str, peer: &str) -> PasswordVerdict {
    let peer = peer.parse().unwrap();
    directories
        .check_password_from(login, &secret(password), Some(peer))
        .await
}

fn entry(login: &str, password: Password) -> Entry {
    Entry {
        login: login.into(),
        password,
        enabled: true,
    }
}

fn stored(path: &Path, login: &str) -> String {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT password FROM users WHERE login = ?1";
    connection.query_row(sql, [login], |row| row.get(0)).unwrap()
}

/// The file as version 0.1.0 first created it.
const FIRST_LAYOUT: &str = "\
CREATE TABLE users (
    login           TEXT    NOT NULL PRIMARY KEY,
    password        TEXT    NOT NULL,
    enabled         INTEGER NOT NULL DEFAULT 1,
    created_at      INTEGER NOT NULL,
    password_set_at INTEGER NOT NULL
) STRICT;
CREATE TABLE addresses (
    address TEXT NOT NULL PRIMARY KEY,
    login   TEXT NOT NULL REFERENCES users (login) ON DELETE CASCADE
) STRICT;
CREATE INDEX addresses_by_login ON addresses (login);
INSERT INTO users VALUES ('tester@relay.test', '$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA', 1, 100, 200),
    ('bob', '$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1', 0, 300, 400);
INSERT INTO addresses VALUES ('sales@relay.test', 'tester@relay.test');
PRAGMA user_version = 1;
";

#[tokio::test]
async fn a_file_of_the_first_layout_keeps_all_it_had() {
    let (_folder, path) = place();
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(FIRST_LAYOUT).unwrap();
    drop(old);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

    let store = UserStore::open(&path).unwrap();
    let users = store.list().unwrap();
    let told: Vec<String> = users
        .iter()
        .map(|user| {
            let (made, set) = (user.created_at.as_second(), user.password_set_at.as_second());
            format!(
                "{} {:?} {} {made} {set} {}",
                user.login, user.addresses, user.enabled, user.scheme
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "bob [] false 300 400 MD5-CRYPT",
            "tester@relay.test [\"sales@relay.test\"] true 100 200 ARGON2ID"
        ]
    );
    let version: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 6);
    assert!(UserStore::open(&path).is_ok(), "a second time");
    store.enable("bob").unwrap();
    let shown = store.add_app_password("bob", "phone", None, &[]).unwrap();
    let directories = directory(&path).await;
    let _ = granted(check(&directories, "bob", shown.expose_secret()).await);
    let _ = granted(check(&directories, "bob", "pass word").await);
    assert_eq!(exists(&directories, "sales@relay.test").await, Existence::Yes);
}

#[tokio::test]
async fn a_damaged_file_is_left_as_it_is() {
    let (_folder, path) = place();
    let old = rusqlite::Connection::open(&path).unwrap();
    // Its second step fails: the table already exists.
    old.execute_batch(&format!("{FIRST_LAYOUT} CREATE TABLE app_passwords (x INTEGER);"))
        .unwrap();
    drop(old);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(UserStore::open(&path), Err(UserError::Database(_))));
    let old = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = old
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    let users: i64 = old
        .query_row("SELECT count(*) FROM users", [], |row| row.get(0))
        .unwrap();
    assert_eq!((version, users), (1, 2));
}

#[tokio::test]
async fn an_imported_hash_is_upgraded_at_the_next_login() {
    let (_folder, path) = place();
    let store = UserStore::open(&path).unwrap();
    let hash = |login| entry(login, Password::Hash(MD5.into()));
    store
        .import(&[hash("ann@relay.test"), hash("bob@relay.test")], false)
        .unwrap();
    let directories = directory(&path).await;

    assert_eq!(
        denied(check(&directories, "ann@relay.test", "wrong").await),
        DenyReason::WrongPassword
    );
    assert_eq!(
        stored(&path, "ann@relay.test"),
        MD5,
        "a wrong password changes nothing"
    );
    let set_at = store.get("ann@relay.test").unwrap().unwrap().password_set_at;
    let _ = granted(check(&directories, "ann@relay.test", "pass word").await);
    wait_until("the new hash", || {
        stored(&path, "ann@relay.test").starts_with("$argon2id$")
    });
    let _ = granted(check(&directories, "ann@relay.test", "pass word").await);
    assert_eq!(
        denied(check(&directories, "ann@relay.test", "wrong").await),
        DenyReason::WrongPassword
    );
    let user = store.get("ann@relay.test").unwrap().unwrap();
    assert_eq!(
        (user.scheme, user.password_set_at),
        ("ARGON2ID", set_at),
        "it is the same password"
    );
    assert_eq!(stored(&path, "bob@relay.test"), MD5, "and nobody else's");
    let upgraded = stored(&path, "ann@relay.test");
    let _ = granted(check(&directories, "ann@relay.test", "pass word").await);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(stored(&path, "ann@relay.test"), upgraded, "once");

    store.disable("bob@relay.test").unwrap();
    assert_eq!(
        denied(check(&directories, "bob@relay.test", "pass word").await),
        DenyReason::Disabled
    );
    store.enable("bob@relay.test").unwrap();
    let kept = only(DirectorySettings::Users(UsersSettings {
        database: path.clone(),
        upgrade_hashes: false,
        ..UsersSettings::default()
    }))
    .await;
    let _ = granted(check(&kept, "bob@relay.test", "pass word").await);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        stored(&path, "bob@relay.test"),
        MD5,
        "neither while disabled nor where it is switched off"
    );
}

/// Makes an LMDB file from `db_dump` output.
fn load_lmdb(dump: &[u8], file: &Path) {
    let text = String::from_utf8(dump.to_vec()).unwrap();
    let records = text.split_once("HEADER=END").unwrap().1;
    let mut child = Command::new(program("/usr/bin/mdb_load", "lmdb-utils"))
        .arg("-n")
        .arg(file)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let input = format!("VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END{records}");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn clear(password: &Password) -> String {
    match password {
        Password::Clear(password) => password.expose_secret().to_owned(),
        Password::Hash(hash) => panic!("a hash: {hash}"),
    }
}

#[tokio::test]
async fn imports_of_a_real_sasldb_and_of_crypt() {
    let (folder, path) = place();
    let sasldb = folder.path().join("sasldb2");
    // The last one is too long for the page of its key.
    let long = "x".repeat(1_024);
    let users = [("ann", "pass word"), ("bob", "größe \\ x"), ("dora", &long)];
    for (user, password) in users {
        let mut child = Command::new(program("/usr/sbin/saslpasswd2", "sasl2-bin"))
            .args(["-p", "-c", "-u", "relay.test", "-f"])
            .arg(&sasldb)
            .arg(user)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(password.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success());
    }
    let store = UserStore::open(&path).unwrap();
    let dumped = |form: &[&str]| {
        let dump = Command::new(program("/usr/bin/db_dump", "db-util"))
            .args(form)
            .arg(&sasldb)
            .output();
        dump.unwrap().stdout
    };
    let lmdb = folder.path().join("sasldb2.lmdb");
    load_lmdb(&dumped(&[]), &lmdb);
    let files = [
        fs::read(&sasldb).unwrap(),
        fs::read(&lmdb).unwrap(),
        dumped(&["-p"]),
        dumped(&[]),
    ];
    for (index, file) in files.iter().enumerate() {
        let lines = import::read(Format::Sasldb, file, None, Timestamp::now());
        let entries: Vec<Entry> = lines.into_iter().map(|line| line.entry.unwrap()).collect();
        let mut found: Vec<(String, String)> = entries
            .iter()
            .map(|entry| (entry.login.clone(), clear(&entry.password)))
            .collect();
        found.sort();
        let expected = users.map(|(user, password)| (format!("{user}@relay.test"), password.to_owned()));
        assert_eq!(found, expected, "file {index}");
        for result in store.import(&entries, true).unwrap() {
            assert!(matches!(result, Ok(Imported::Added | Imported::Replaced)));
        }
        assert!(
            stored(&path, "ann@relay.test").starts_with("$argon2id$"),
            "never in the clear"
        );
    }
    let openssl = Command::new(program("/usr/bin/openssl", "openssl"))
        .args(["passwd", "-6", "secret of carl"])
        .output()
        .unwrap();
    let shadow = format!(
        "carl:{}:19000:0:99999:7:::\n",
        String::from_utf8(openssl.stdout).unwrap().trim()
    );
    let lines = import::read(
        Format::Shadow,
        shadow.as_bytes(),
        Some("relay.test"),
        Timestamp::now(),
    );
    let entries: Vec<Entry> = lines.into_iter().map(|line| line.entry.unwrap()).collect();
    store.import(&entries, false).unwrap();
    let directories = directory(&path).await;
    for (login, password) in [
        ("ann", "pass word"),
        ("bob", "größe \\ x"),
        ("carl", "secret of carl"),
    ] {
        let _ = granted(check(&directories, &format!("{login}@relay.test"), password).await);
    }
}

#[test]
fn what_an_import_does_to_those_who_are_there() {
    let (_folder, path) = place();
    let store = UserStore::open(&path).unwrap();
    store
        .add("ann@relay.test", &secret("one"), &["sales@relay.test".into()])
        .unwrap();
    store
        .add_app_password("ann@relay.test", "phone", None, &[])
        .unwrap();
    let entries = [
        entry("Ann@relay.test", Password::Hash(MD5.into())),
        entry("sales@relay.test", Password::Hash(MD5.into())),
        entry("bob", Password::Clear(secret("two"))),
    ];
    let told = |results: Vec<Result<Imported, UserError>>| -> Vec<String> {
        results
            .into_iter()
            .map(|result| result.map_or_else(|error| error.to_string(), |done| format!("{done:?}")))
            .collect()
    };
    let taken = "the address sales@relay.test belongs to another user";
    assert_eq!(
        told(store.import(&entries, false).unwrap()),
        ["Kept", taken, "Added"]
    );
    assert!(store.verify("ann@relay.test", &secret("one")).unwrap());
    assert_eq!(
        told(store.import(&entries, true).unwrap()),
        ["Replaced", taken, "Replaced"]
    );
    assert!(store.verify("ann@relay.test", &secret("pass word")).unwrap());
    assert!(store.verify("bob", &secret("two")).unwrap());
    let user = store.get("ann@relay.test").unwrap().unwrap();
    assert_eq!(
        (user.addresses.len(), user.scheme),
        (1, "MD5-CRYPT"),
        "its addresses stay"
    );
    assert_eq!(
        store.app_passwords("ann@relay.test").unwrap().len(),
        1,
        "and its app passwords"
    );
}

#[tokio::test]
async fn app_passwords() {
    let (_folder, path) = place();
    let store = UserStore::open(&path).unwrap();
    let login = "tester@relay.test";
    store.add(login, &secret("pass word"), &[]).unwrap();
    store.add("bob", &secret("x"), &[]).unwrap();
    let phone = store.add_app_password(login, "phone", None, &[]).unwrap();
    let printer = store
        .add_app_password(
            "Tester@relay.test",
            " printer ",
            None,
            &["192.0.2.0/24".parse().unwrap()],
        )
        .unwrap();
    let (phone, printer) = (phone.expose_secret(), printer.expose_secret());
    let directories = directory(&path).await;

    let account = granted(check_from(&directories, login, phone, "203.0.113.9").await);
    assert_eq!(
        (account.login.as_str(), account.addresses.as_slice()),
        (login, &[login.to_owned()][..])
    );
    let _ = granted(check(&directories, login, &phone.to_uppercase().replace('-', "")).await);
    let _ = granted(check(&directories, login, "pass word").await);
    let _ = granted(check_from(&directories, login, printer, "192.0.2.77").await);
    let cases = [
        (
            "from elsewhere",
            login,
            printer,
            "203.0.113.9",
            DenyReason::WrongNetwork,
        ),
        (
            "another's",
            "bob",
            phone,
            "203.0.113.9",
            DenyReason::WrongPassword,
        ),
        (
            "nobody's",
            "nobody",
            phone,
            "203.0.113.9",
            DenyReason::UnknownUser,
        ),
        (
            "a letter short",
            login,
            &phone[1..],
            "203.0.113.9",
            DenyReason::WrongPassword,
        ),
    ];
    for (shows, login, password, peer, want) in cases {
        assert_eq!(
            denied(check_from(&directories, login, password, peer).await),
            want,
            "{shows}"
        );
    }
    assert_eq!(
        denied(check(&directories, login, printer).await),
        DenyReason::WrongNetwork,
        "from nowhere known"
    );

    wait_until("the uses written down", || {
        let list = store.app_passwords(login).unwrap();
        list.iter().all(|one| one.last_used_at.is_some())
    });
    let list = store.app_passwords(login).unwrap();
    let labels: Vec<&str> = list.iter().map(|one| one.label.as_str()).collect();
    assert_eq!(labels, ["phone", "printer"]);
    assert_eq!(list[1].last_used_from, Some("192.0.2.77".parse().unwrap()));
    assert_eq!(list[1].networks, ["192.0.2.0/24".parse().unwrap()]);

    store.set_password(login, &secret("another")).unwrap();
    let _ = granted(check_from(&directories, login, phone, "203.0.113.9").await);
    store.disable(login).unwrap();
    assert_eq!(
        denied(check_from(&directories, login, phone, "203.0.113.9").await),
        DenyReason::Disabled
    );
    store.enable(login).unwrap();
    store.revoke_app_password(login, "phone").unwrap();
    assert_eq!(
        denied(check_from(&directories, login, phone, "203.0.113.9").await),
        DenyReason::WrongPassword,
        "at once"
    );
    store.remove(login).unwrap();
    store.add(login, &secret("x"), &[]).unwrap();
    assert_eq!(
        denied(check_from(&directories, login, printer, "192.0.2.77").await),
        DenyReason::WrongPassword,
        "gone with the user"
    );
}

#[tokio::test]
async fn an_app_password_expires() {
    let (_folder, path) = place();
    let store = UserStore::open(&path).unwrap();
    store.add("bob", &secret("x"), &[]).unwrap();
    let soon = Timestamp::now() + 2.seconds();
    let shown = store.add_app_password("bob", "guest", Some(soon), &[]).unwrap();
    let directories = directory(&path).await;
    let _ = granted(check(&directories, "bob", shown.expose_secret()).await);
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match check(&directories, "bob", shown.expose_secret()).await {
            PasswordVerdict::Granted(_) => assert!(Instant::now() < end, "it never expires"),
            verdict => {
                assert_eq!(denied(verdict), DenyReason::AppPasswordExpired);
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn app_passwords_that_cannot_be() {
    let (_folder, path) = place();
    let store = UserStore::open(&path).unwrap();
    store.add("bob", &secret("x"), &[]).unwrap();
    let past = Timestamp::now() - 1.second();
    let long = "x".repeat(65);
    for number in 0..100 {
        store
            .add_app_password("bob", &number.to_string(), None, &[])
            .unwrap();
    }
    let add =
        |login: &str, label: &str, expires| store.add_app_password(login, label, expires, &[]).map(drop);
    let cases = [
        (
            "nobody's",
            add("nobody", "phone", None),
            "there is no user nobody",
        ),
        ("no label", add("bob", " ", None), "cannot be a label"),
        ("a long label", add("bob", &long, None), "cannot be a label"),
        ("a line feed", add("bob", "a\nb", None), "cannot be a label"),
        (
            "the same label",
            add("bob", "7", None),
            "has an app password \"7\" already",
        ),
        (
            "one too many",
            add("bob", "phone", None),
            "bob has 100 app passwords",
        ),
        ("expired", add("bob", "phone", Some(past)), "in the past"),
        (
            "revoked twice",
            store.revoke_app_password("bob", "phone"),
            "has no app password \"phone\"",
        ),
        (
            "nobody's",
            store.revoke_app_password("nobody", "phone"),
            "there is no user nobody",
        ),
        (
            "nobody's",
            store.app_passwords("nobody").map(drop),
            "there is no user nobody",
        ),
    ];
    for (shows, result, want) in cases {
        let error = result.expect_err(shows).to_string();
        assert!(error.contains(want), "{shows}: {error}");
    }
    let octets = fs::read(&path).unwrap();
    let shown = store
        .revoke_app_password("bob", "7")
        .and_then(|()| store.add_app_password("bob", "7", None, &[]))
        .unwrap();
    let letters = shown.expose_secret().replace('-', "");
    assert!(
        !octets
            .windows(letters.len())
            .any(|window| window == letters.as_bytes())
    );
}

/// A damaged file is not a file without users: nobody is told that a password is wrong, and a restored backup counts at once.
#[tokio::test]
async fn a_damaged_file_is_an_outage_until_a_backup_is_put_in_its_place() {
    let (folder, path) = place();
    UserStore::open(&path)
        .unwrap()
        .add("ann", &secret("right"), &[])
        .unwrap();
    let backup = folder.path().join("backup.db");
    let whole = rusqlite::Connection::open(&path).unwrap();
    whole
        .execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    drop(whole);
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o600)).unwrap();
    let octets = fs::read(&backup).unwrap();
    type Damage = fn(&mut Vec<u8>);
    let cases: &[(&str, Damage)] = &[
        ("its header is gone", |octets| octets[..100].fill(0)),
        ("it is a text", |octets| *octets = b"hello\n".repeat(1_000)),
        ("its first page is gone", |octets| octets[100..4096].fill(0xff)),
    ];
    for (shows, damage) in cases {
        for end in ["users.db-wal", "users.db-shm"] {
            let _ = fs::remove_file(folder.path().join(end));
        }
        let mut damaged = octets.clone();
        damage(&mut damaged);
        fs::write(&path, damaged).unwrap();
        let directories = directory(&path).await;
        for (login, password) in [("ann", "right"), ("ann", "wrong"), ("nobody", "right")] {
            let verdict = check(&directories, login, password).await;
            assert!(
                matches!(verdict, PasswordVerdict::Unavailable { .. }),
                "{shows}: {login} {verdict:?}"
            );
        }
        let error = UserStore::open(&path).unwrap_err();
        assert!(error.is_damage(), "{shows}: {error}");
        let restored = folder.path().join("restored.db");
        fs::write(&restored, &octets).unwrap();
        fs::set_permissions(&restored, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&restored, &path).unwrap();
        granted(check(&directories, "ann", "right").await);
    }
}

/// What can be read of a damaged file stays in use; missing users are neither granted nor refused until an administrator
/// declares the file complete.
#[tokio::test]
async fn what_can_be_read_of_a_damaged_file_goes_on() {
    let (folder, path) = place();
    let store = UserStore::open(&path).unwrap();
    store.add("ann", &secret("right"), &[]).unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    for number in 0..300 {
        let (login, group) = (format!("user{number:03}@x.test"), format!("group{number:03}"));
        connection
            .execute(
                "INSERT INTO users SELECT ?1, password, 1, created_at, password_set_at FROM users WHERE login = 'ann'",
                [&login],
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO addresses VALUES (?1, ?2)",
                [format!("alias{number:03}@x.test"), login.clone()],
            )
            .unwrap();
        connection
            .execute("INSERT INTO memberships VALUES (?1, ?2)", [login, group])
            .unwrap();
    }
    connection
        .execute("UPDATE users SET enabled = 0 WHERE login = 'user000@x.test'", [])
        .unwrap();
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(connection);
    assert_eq!(
        UserStore::rescue(&path).unwrap(),
        None,
        "a sound file is left as it is"
    );

    let mut octets = fs::read(&path).unwrap();
    let has = |page: &[u8], text: &str| page.windows(text.len()).any(|window| window == text.as_bytes());
    let lost = octets
        .chunks_mut(4096)
        .find(|page| page[0] == 0x0d && has(page, "user150@x.test") && has(page, "$argon2id$"))
        .unwrap();
    lost[..2_000].fill(0xff);
    fs::write(&path, &octets).unwrap();

    let rescued = UserStore::rescue(&path).unwrap().unwrap();
    assert!((250..300).contains(&rescued.users), "{rescued:?}");
    // Rows of missing users: an address and a group membership each.
    assert_eq!(rescued.left_out, 2 * (301 - rescued.users), "{rescued:?}");
    assert_eq!(fs::read(rescued.aside.join("users.db")).unwrap(), octets, "kept");
    assert_eq!(UserStore::rescue(&path).unwrap(), None, "done");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let store = UserStore::open(&path).unwrap();
    let one = store.get("user299@x.test").unwrap().unwrap();
    assert_eq!(
        (&one.addresses[..], &one.groups[..]),
        (&["alias299@x.test".to_owned()][..], &["group299".to_owned()][..])
    );
    assert!(store.get("user150@x.test").unwrap().is_none());
    let directories = directory(&path).await;
    granted(check(&directories, "user299@x.test", "right").await);
    for (login, password) in [("user299@x.test", "wrong"), ("user000@x.test", "right")] {
        let verdict = check(&directories, login, password).await;
        assert!(
            matches!(verdict, PasswordVerdict::Denied { .. }),
            "{login}: {verdict:?}"
        );
    }
    for login in ["user150@x.test", "whoever@x.test", "ann#phone"] {
        let verdict = check(&directories, login, "right").await;
        assert!(
            matches!(verdict, PasswordVerdict::Unavailable { .. }),
            "{login}: {verdict:?}"
        );
    }

    assert!(store.incomplete_since().unwrap().is_some());
    store.add("user150@x.test", &secret("anew"), &[]).unwrap();
    store.declare_complete().unwrap();
    granted(check(&directories, "user150@x.test", "anew").await);
    let verdict = check(&directories, "whoever@x.test", "right").await;
    assert!(matches!(verdict, PasswordVerdict::Denied { .. }), "{verdict:?}");
    drop(folder);
}

/// A crash between the steps leaves either the damaged file or the new one, never none.
#[tokio::test]
async fn a_rescue_that_was_cut_short_is_ended() {
    let (folder, path) = place();
    let store = UserStore::open(&path).unwrap();
    store.add("ann", &secret("right"), &[]).unwrap();
    drop(store);
    fs::rename(&path, folder.path().join("users.db.salvaged")).unwrap();
    fs::write(&path, b"damaged").unwrap();
    fs::write(folder.path().join("users.db-wal"), b"its log").unwrap();
    assert_eq!(UserStore::rescue(&path).unwrap(), None);
    granted(check(&directory(&path).await, "ann", "right").await);
}
