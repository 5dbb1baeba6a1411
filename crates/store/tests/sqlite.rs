//! The engine on SQLite: what was written is still there after a restart.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use postern_store::{Change, Record, Space, SqliteStore, Store, StoreError};

fn open(path: &Path) -> SqliteStore {
    let (store, damaged) = SqliteStore::open(path).unwrap();
    assert_eq!(damaged, None);
    store
}

fn put(key: &str, value: &str) -> Change {
    Change::Put(Record {
        key: key.into(),
        value: value.into(),
        expires_at: None,
    })
}

async fn keys(store: &SqliteStore, space: Space) -> Vec<String> {
    let all = store.all(space).await.unwrap();
    all.into_iter().map(|record| record.key).collect()
}

#[tokio::test]
async fn records_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = open(&path);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let changes = vec![put("b", "1"), put("a", "2"), put("b", "3"), put("c", "4")];
    store.apply(Space::KnownLogins, changes).await.unwrap();
    store
        .apply(Space::LoginFailures, vec![put("a", "other")])
        .await
        .unwrap();
    store
        .apply(Space::KnownLogins, vec![Change::Remove("c".into())])
        .await
        .unwrap();
    drop(store);

    let store = open(&path);
    assert_eq!(keys(&store, Space::KnownLogins).await, ["a", "b"]);
    let found = store.get(Space::KnownLogins, "b").await.unwrap().unwrap();
    assert_eq!(found.value, "3");
    assert!(store.get(Space::KnownLogins, "c").await.unwrap().is_none());
    let changes = vec![Change::Clear, put("z", "5")];
    store.apply(Space::KnownLogins, changes).await.unwrap();
    assert_eq!(keys(&store, Space::KnownLogins).await, ["z"]);
    assert_eq!(
        keys(&store, Space::LoginFailures).await,
        ["a"],
        "another space is another's"
    );
}

#[tokio::test]
async fn what_has_expired_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state.db"));
    let at = |seconds| {
        Change::Put(Record {
            key: format!("at {seconds}"),
            value: String::new(),
            expires_at: Some(Timestamp::now() + SignedDuration::from_secs(seconds)),
        })
    };
    store
        .apply(Space::LoginFailures, vec![at(-1), at(3600)])
        .await
        .unwrap();
    assert_eq!(keys(&store, Space::LoginFailures).await, ["at 3600"]);
    assert!(store.get(Space::LoginFailures, "at -1").await.unwrap().is_none());
    assert_eq!(store.tidy().await.unwrap(), 1);
    assert_eq!(store.tidy().await.unwrap(), 0);
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_a_newer_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    std::fs::write(
        &path,
        "no database at all, and long enough to be taken for one".repeat(100),
    )
    .unwrap();
    let (store, damaged) = SqliteStore::open(&path).unwrap();
    let aside = damaged.unwrap();
    assert!(std::fs::read_to_string(aside).unwrap().starts_with("no database"));
    store
        .apply(Space::LoginFailures, vec![put("a", "1")])
        .await
        .unwrap();
    drop(store);

    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 1000).unwrap();
    drop(newer);
    assert!(matches!(
        SqliteStore::open(&path),
        Err(StoreError::TooNew { found: 1000, .. })
    ));
}

#[tokio::test]
async fn it_is_read_while_another_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    assert!(SqliteStore::read(&path).unwrap().is_none());
    assert!(!path.exists(), "a reader makes nothing");
    let store = open(&path);
    store
        .apply(Space::LoginCounts, vec![put("a", "1")])
        .await
        .unwrap();
    let reader = SqliteStore::read(&path).unwrap().unwrap();
    assert_eq!(keys(&reader, Space::LoginCounts).await, ["a"]);
    let refused = reader.apply(Space::LoginCounts, vec![put("b", "1")]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    drop((reader, store));
    let alone = SqliteStore::read(&path).unwrap().unwrap();
    assert_eq!(keys(&alone, Space::LoginCounts).await, ["a"]);
}

#[tokio::test]
async fn what_an_earlier_version_has_written_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let earlier = rusqlite::Connection::open(&path).unwrap();
    earlier
        .execute_batch(
            "CREATE TABLE record (space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, expires_at INTEGER,
                                  PRIMARY KEY (space, key)) WITHOUT ROWID;
             INSERT INTO record VALUES ('login-bars', 'a', '1', NULL), ('known-logins', 'b', '2', NULL);
             PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(earlier);
    let store = open(&path);
    assert_eq!(keys(&store, Space::LoginFailures).await, ["a"]);
    assert_eq!(keys(&store, Space::KnownLogins).await, ["b"]);
}
