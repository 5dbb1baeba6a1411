//! SQL directories: real PostgreSQL, real MariaDB, SQLite files; the same accounts and the same answers in each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{LogCapture, check, count, denied, exists, granted, only, unavailable};
use postern_directory::{
    Asker, DenyReason, Directories, DirectorySettings, Existence, ForeignKeys, KeyKind, KeyVerdict,
    PasswordVerdict, SchemeRules, SqlEngine, SqlPlace, SqlServers, SqlSettings, SqlTls,
};
use postern_sasl::{NtHash, ScramHash, ScramKeys, StoredKey};
use postern_testkit::mariadb::MariaDb;
use postern_testkit::pgbouncer::PgBouncer;
use postern_testkit::postgres::{DATABASE, PASSWORD, Postgres, USER};
use postern_testkit::process::{free_port, wait_until};
use secrecy::SecretString;
use tempfile::TempDir;

/// The hash of `pass word`.
const HASH: &str = "{SSHA512}+nL+lYwG7sMAOJ7/gWtwt/ghnLXnVckd8O82ArbyWO5yTELF4+3M9uNDy87W4YGpBUzarZhaAWhTXDgzF03H1U5hQ2wxMjM0";

const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.";

/// Tables in SQL that all engines accept.
fn tables() -> String {
    format!(
        "CREATE TABLE accounts (name VARCHAR(190) PRIMARY KEY, hash VARCHAR(300), active INTEGER NOT NULL);\
         CREATE TABLE addresses (address VARCHAR(190) PRIMARY KEY, name VARCHAR(190) NOT NULL);\
         INSERT INTO accounts VALUES ('acaird', '{HASH}', 1), ('bob', '{BCRYPT}', 1), ('größe', '{HASH}', 1),\
             ('locked', '{HASH}', 0), ('empty', NULL, 1), ('odd', '{{NTLM}}x', 1), ('clear', '{{PLAIN}}x', 1),\
             ('o''brien', '{HASH}', 1);\
         INSERT INTO addresses VALUES ('acaird@fccc.example', 'acaird'), ('Sales@fccc.example', 'acaird');"
    )
}

const PASSWORD_QUERY: &str = "SELECT hash AS password, a.name AS login, active AS enabled, address \
    FROM accounts a LEFT JOIN addresses b ON a.name = b.name WHERE a.name = :login ORDER BY address";

const RECIPIENT_QUERY: &str = "SELECT 1 FROM addresses WHERE lower(address) = :address";

fn settings(place: SqlPlace) -> SqlSettings {
    SqlSettings {
        recipient_query: Some(RECIPIENT_QUERY.into()),
        ..SqlSettings::new(place, PASSWORD_QUERY)
    }
}

async fn open(settings: SqlSettings) -> Directories {
    only(DirectorySettings::Sql(settings)).await
}

/// A folder with the database's password file.
fn secrets() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sql.pass");
    fs::write(&file, PASSWORD).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    (folder, file)
}

fn servers(engine: SqlEngine, servers: &[String], password_file: &Path) -> SqlServers {
    SqlServers {
        engine,
        servers: servers.to_vec(),
        database: DATABASE.into(),
        user: USER.into(),
        password_file: Some(password_file.to_owned()),
        tls: SqlTls::Remote,
        ca_file: None,
    }
}

fn sqlite_file(folder: &Path) -> PathBuf {
    let path = folder.join("accounts.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(&tables()).unwrap();
    path
}

/// What every engine must answer.
async fn the_same_answers(directories: &Directories, engine: &str) {
    let account = granted(check(directories, "acaird", "pass word").await);
    assert_eq!(account.login, "acaird", "{engine}");
    let mut addresses = account.addresses;
    addresses.sort();
    assert_eq!(
        addresses,
        ["acaird@fccc.example", "sales@fccc.example"],
        "{engine}"
    );
    let account = granted(check(directories, "bob", "pass word").await);
    assert!(account.addresses.is_empty(), "{engine}: {account:?}");
    let _ = granted(check(directories, "größe", "pass word").await);
    let _ = granted(check(directories, "o'brien", "pass word").await);
    let cases = [
        ("wrong", "acaird", "password", DenyReason::WrongPassword),
        ("empty", "acaird", "", DenyReason::EmptyPassword),
        ("unknown", "nobody", "pass word", DenyReason::UnknownUser),
        ("injected", "x' OR '1'='1", "pass word", DenyReason::UnknownUser),
        (
            "injected, MySQL",
            "x\\' OR 1=1 -- ",
            "pass word",
            DenyReason::UnknownUser,
        ),
        ("a pattern", "acair%", "pass word", DenyReason::UnknownUser),
        ("a parameter", ":login", "pass word", DenyReason::UnknownUser),
        ("switched off", "locked", "pass word", DenyReason::Disabled),
        ("switched off and wrong", "locked", "x", DenyReason::WrongPassword),
        ("no password", "empty", "pass word", DenyReason::Disabled),
    ];
    for (shows, login, password, want) in cases {
        assert_eq!(
            denied(check(directories, login, password).await),
            want,
            "{engine}: {shows}"
        );
    }
    let reason = unavailable(check(directories, "odd", "x").await);
    assert!(reason.contains("{NTLM} is not known"), "{engine}: {reason}");
    let reason = unavailable(check(directories, "clear", "x").await);
    assert!(reason.contains("clear text"), "{engine}: {reason}");
    let cases = [
        ("acaird@fccc.example", Existence::Yes),
        ("SALES@fccc.example", Existence::Yes),
        ("nobody@fccc.example", Existence::No),
        ("\"' OR '1'='1\"@fccc.example", Existence::No),
    ];
    for (address, want) in cases {
        assert_eq!(exists(directories, address).await, want, "{engine}: {address}");
    }
}

/// Another query of the same directory.
async fn asked(settings: &SqlSettings, query: &str, login: &str, password: &str) -> PasswordVerdict {
    let settings = SqlSettings {
        password_query: query.into(),
        ..settings.clone()
    };
    check(&open(settings).await, login, password).await
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = sqlite_file(folder.path());
    let base = settings(SqlPlace::File(path.clone()));
    let directories = open(base.clone()).await;
    the_same_answers(&directories, "SQLite").await;

    let by_parts = "SELECT hash FROM accounts WHERE name = :local AND :domain = 'fccc.example'";
    let account = granted(asked(&base, by_parts, "acaird@fccc.example", "pass word").await);
    assert_eq!(
        account.login, "acaird@fccc.example",
        "as typed, where the query does not say"
    );
    let by_name = "SELECT hash FROM accounts WHERE name = :local";
    let account = granted(asked(&base, by_name, "acaird@admin.example", "pass word").await);
    assert_eq!(account.login, "acaird", "any domain would do, so it is nobody's");
    let two = "SELECT hash FROM accounts WHERE name IN (:login, 'bob')";
    assert_eq!(
        denied(asked(&base, two, "acaird", "pass word").await),
        DenyReason::Ambiguous
    );
    let reason = unavailable(asked(&base, "SELECT x FROM none WHERE a = :login", "acaird", "x").await);
    assert!(reason.contains("no such table: none"), "{reason}");
    let reason = unavailable(
        asked(
            &base,
            "SELECT hash, name AS nick FROM accounts WHERE name = :login",
            "acaird",
            "x",
        )
        .await,
    );
    assert!(reason.contains("\"nick\""), "{reason}");
    let reason = unavailable(asked(&base, "DELETE FROM accounts WHERE name = :login", "acaird", "x").await);
    assert!(reason.contains("readonly"), "{reason}");
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
        SELECT max(i) || :login AS password FROM n";
    let hurried = SqlSettings {
        timeout: Duration::from_millis(300),
        ..base.clone()
    };
    // It ends, though the query never does.
    let reason = unavailable(asked(&hurried, endless, "acaird", "x").await);
    assert!(reason.contains("no answer within"), "{reason}");

    let allowing = SqlSettings {
        schemes: SchemeRules {
            allow_plain: true,
            default_scheme: None,
        },
        recipient_query: None,
        ..base
    };
    let directories = open(allowing).await;
    let _ = granted(check(&directories, "clear", "x").await);
    assert_eq!(
        exists(&directories, "acaird@fccc.example").await,
        Existence::No,
        "nobody is asked"
    );
}

#[tokio::test]
async fn a_change_counts_at_once_and_a_missing_file_is_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db");
    let directories = open(settings(SqlPlace::File(path.clone()))).await;
    let log = LogCapture::start();
    let reason = unavailable(check(&directories, "acaird", "pass word").await);
    assert!(reason.contains("unable to open"), "{reason}");
    let _ = unavailable(check(&directories, "acaird", "pass word").await);
    assert!(!path.exists(), "it is not made");
    let path = sqlite_file(folder.path());
    let _ = granted(check(&directories, "acaird", "pass word").await);
    let text = log.text();
    assert_eq!(count(&text, "directory fails"), 1, "{text}");
    assert_eq!(count(&text, "directory answers again"), 1, "{text}");

    let writer = rusqlite::Connection::open(&path).unwrap();
    writer
        .execute(
            "UPDATE accounts SET hash = ?1 WHERE name = 'acaird'",
            ["{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA="],
        )
        .unwrap();
    assert_eq!(
        denied(check(&directories, "acaird", "pass word").await),
        DenyReason::WrongPassword
    );
    writer
        .execute(
            "UPDATE accounts SET hash = ?1, active = 0 WHERE name = 'acaird'",
            [HASH],
        )
        .unwrap();
    assert_eq!(
        denied(check(&directories, "acaird", "pass word").await),
        DenyReason::Disabled
    );
    writer.execute("UPDATE accounts SET active = 1", []).unwrap();
    let _ = granted(check(&directories, "acaird", "pass word").await);
}

/// SQLite makes files beside a database in WAL mode, even to read it.
#[tokio::test]
async fn sqlite_in_wal_mode_where_nothing_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = sqlite_file(folder.path());
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer
        .pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| writer.execute_batch("PRAGMA wal_autocheckpoint = 0"))
        .unwrap();
    let directories = open(settings(SqlPlace::File(path.clone()))).await;
    {
        let _read_only = ReadOnly::mount(folder.path());
        let _ = granted(check(&directories, "acaird", "pass word").await);
    }
    writer
        .execute("UPDATE accounts SET active = 0 WHERE name = 'acaird'", [])
        .unwrap();
    {
        let _read_only = ReadOnly::mount(folder.path());
        assert_eq!(
            denied(check(&directories, "acaird", "pass word").await),
            DenyReason::Disabled,
            "what a writer at work has left in its log counts"
        );
    }
    drop(directories);
    writer.close().unwrap();
    assert!(
        !folder.path().join("accounts.db-wal").exists(),
        "the last writer cleans up"
    );
    let directories = open(settings(SqlPlace::File(path.clone()))).await;
    let _read_only = ReadOnly::mount(folder.path());
    for _ in 0..2 {
        let _ = granted(check(&directories, "bob", "pass word").await);
    }
    assert_eq!(
        denied(check(&directories, "acaird", "pass word").await),
        DenyReason::Disabled
    );
}

/// A folder in which nothing can be written, not even by root, until this is dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn mount(folder: &Path) -> Self {
        if is_root() {
            mount(&["-o", "bind"], &[folder, folder]);
            mount(&["-o", "remount,bind,ro"], &[folder]);
        } else {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
        }
        Self(folder.to_owned())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if is_root() {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        } else {
            let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700));
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn mount(options: &[&str], paths: &[&Path]) {
    let status = Command::new("mount").args(options).args(paths).status().unwrap();
    assert!(status.success(), "mount {options:?} {paths:?}");
}

#[tokio::test]
async fn postgresql() {
    let postgres = Postgres::start();
    postgres.sql(&tables());
    let (_folder, password_file) = secrets();
    let at = |host: &str| format!("{host}:{}", postgres.port());
    let with = |servers_: &[String], tls, ca_file| {
        settings(SqlPlace::Servers(SqlServers {
            tls,
            ca_file,
            ..servers(SqlEngine::PostgreSql, servers_, &password_file)
        }))
    };
    let base = with(&[at("127.0.0.1")], SqlTls::Remote, None);
    the_same_answers(&open(base.clone()).await, "PostgreSQL").await;

    let secured = with(&[at("localhost")], SqlTls::Always, Some(postgres.ca_file()));
    the_same_answers(&open(secured).await, "PostgreSQL over TLS").await;
    wait_until("TLS in the log", || {
        postgres.log().contains("SSL enabled (protocol=TLSv1.3")
    });
    let unverified = with(&[at("localhost")], SqlTls::Always, None);
    let reason = unavailable(check(&open(unverified).await, "acaird", "pass word").await);
    assert!(reason.contains("certificate"), "{reason}");

    // The server converts a parameter to what the query needs, and arrays and booleans are understood.
    postgres.sql(
        "CREATE TABLE typed (id integer PRIMARY KEY, hash text, mail text[], ok boolean, word char(200));\
         INSERT INTO typed SELECT 7, hash, ARRAY['A@x.example', 'b@x.example'], true, hash FROM accounts WHERE name = 'acaird'",
    );
    let typed =
        "SELECT word AS password, id AS login, mail AS addresses, ok AS enabled FROM typed WHERE id = :login";
    let account = granted(asked(&base, typed, "7", "pass word").await);
    assert_eq!(
        (account.login.as_str(), account.addresses.as_slice()),
        ("7", &["a@x.example".into(), "b@x.example".into()][..])
    );
    assert_eq!(
        denied(asked(&base, &typed.replace("ok AS", "NOT ok AS"), "7", "pass word").await),
        DenyReason::Disabled
    );
    let log = LogCapture::start();
    let reason = unavailable(asked(&base, typed, "no number", "x").await);
    assert!(reason.contains("22P02"), "{reason}");
    assert_eq!(count(&log.text(), "directory fails"), 0, "anyone can type that");
    let reason = unavailable(asked(&base, "SELECT now() WHERE '' <> :login", "x", "x").await);
    assert!(reason.contains("timestamptz"), "{reason}");
    let reason = unavailable(asked(&base, "SELECT hash FROM none WHERE name = :login", "x", "x").await);
    assert!(reason.contains("42P01") && reason.contains("none"), "{reason}");
    let reason = unavailable(
        asked(
            &base,
            "SELECT generate_series(1, 5000)::text WHERE '' <> :login",
            "x",
            "x",
        )
        .await,
    );
    assert!(reason.contains("more than 1000 rows"), "{reason}");
    let reason = unavailable(asked(&base, "SELECT pg_sleep(60)::text WHERE '' <> :login", "x", "x").await);
    assert!(
        reason.contains("no answer within") || reason.contains("57014"),
        "{reason}"
    );

    // A table that changes under a prepared query, and a wrong password of the database itself.
    let directories = open(base.clone()).await;
    let _ = granted(check(&directories, "acaird", "pass word").await);
    postgres.sql("ALTER TABLE accounts ALTER hash TYPE text, ALTER name TYPE text");
    let _ = granted(check(&directories, "acaird", "pass word").await);
    fs::write(&password_file, "wrong").unwrap();
    let reason = unavailable(check(&open(base).await, "acaird", "pass word").await);
    assert!(reason.contains("28P01"), "{reason}");
}

/// Connections to the server change hands with each transaction there, along with prepared statements and settings.
#[tokio::test]
async fn postgresql_behind_pgbouncer() {
    let postgres = Postgres::start();
    postgres.sql(&tables());
    let pooler = PgBouncer::start(&postgres);
    let (_folder, password_file) = secrets();
    let place = SqlPlace::Servers(servers(
        SqlEngine::PostgreSql,
        &[format!("127.0.0.1:{}", pooler.port())],
        &password_file,
    ));
    let base = settings(place);
    for round in ["first", "started anew", "once more"] {
        // Dropped without telling the server, as in a crash.
        the_same_answers(&open(base.clone()).await, round).await;
    }
    let plain = SqlSettings {
        schemes: SchemeRules {
            allow_plain: true,
            default_scheme: None,
        },
        ..base
    };
    let limit = "SELECT '{PLAIN}' || current_setting('statement_timeout') AS password WHERE '' <> :login";
    let _ = granted(asked(&plain, limit, "x", "5s").await);
    // What another client of the pool sees on the same connection.
    let shared = postgres.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query = 'COMMIT' AND client_addr IS NOT NULL",
    );
    assert_eq!(
        shared.trim(),
        "1",
        "the pool has one connection, and Postern used it"
    );
    assert_eq!(
        pooler.sql("SHOW statement_timeout").trim(),
        "0",
        "nothing is left behind"
    );
    assert_eq!(
        pooler.sql("SELECT count(*) FROM pg_prepared_statements").trim(),
        "0"
    );
}

#[tokio::test]
async fn postgresql_on_a_unix_socket() {
    let postgres = Postgres::start_with(false);
    postgres.sql(&tables());
    let (_folder, password_file) = secrets();
    let folder = postgres.socket_folder();
    // The socket's name contains the port, so the usual one is linked to it.
    std::os::unix::fs::symlink(
        folder.join(format!(".s.PGSQL.{}", postgres.port())),
        folder.join(".s.PGSQL.5432"),
    )
    .unwrap();
    let on_socket = servers(
        SqlEngine::PostgreSql,
        &[folder.display().to_string()],
        &password_file,
    );
    the_same_answers(
        &open(settings(SqlPlace::Servers(on_socket))).await,
        "PostgreSQL on a socket",
    )
    .await;

    let mut required = servers(
        SqlEngine::PostgreSql,
        &[format!("localhost:{}", postgres.port())],
        &password_file,
    );
    required.tls = SqlTls::Always;
    let reason = unavailable(
        check(
            &open(settings(SqlPlace::Servers(required))).await,
            "acaird",
            "pass word",
        )
        .await,
    );
    assert!(
        reason.contains("does not support TLS"),
        "never in the clear: {reason}"
    );
}

#[tokio::test]
async fn mariadb() {
    let mariadb = MariaDb::start();
    mariadb.sql(&tables());
    let (_folder, password_file) = secrets();
    let at = |host: &str| format!("{host}:{}", mariadb.port());
    let with = |servers_: &[String], tls, ca_file| {
        settings(SqlPlace::Servers(SqlServers {
            tls,
            ca_file,
            ..servers(SqlEngine::MySql, servers_, &password_file)
        }))
    };
    let base = with(&[at("127.0.0.1")], SqlTls::Remote, None);
    the_same_answers(&open(base.clone()).await, "MariaDB").await;
    let on_socket = with(&[mariadb.socket().display().to_string()], SqlTls::Always, None);
    the_same_answers(&open(on_socket).await, "MariaDB on a socket").await;

    mariadb.sql(&format!("ALTER USER {USER} REQUIRE SSL"));
    let secured = with(&[at("localhost")], SqlTls::Always, Some(mariadb.ca_file()));
    the_same_answers(&open(secured).await, "MariaDB over TLS").await;
    let _ = unavailable(check(&open(base.clone()).await, "acaird", "pass word").await);
    mariadb.sql(&format!("ALTER USER {USER} REQUIRE NONE"));
    let unverified = with(&[at("localhost")], SqlTls::Always, None);
    let reason = unavailable(check(&open(unverified).await, "acaird", "pass word").await);
    assert!(reason.to_lowercase().contains("certificate"), "{reason}");

    let reason = unavailable(asked(&base, "SELECT hash FROM none WHERE name = :login", "x", "x").await);
    assert!(reason.contains("1146"), "{reason}");
    let reason = unavailable(
        asked(
            &base,
            "SELECT seq FROM seq_1_to_5000 WHERE '' <> :login",
            "x",
            "x",
        )
        .await,
    );
    assert!(reason.contains("more than 1000 rows"), "{reason}");
    let hurried = SqlSettings {
        timeout: Duration::from_millis(500),
        ..base.clone()
    };
    let reason = unavailable(asked(&hurried, "SELECT SLEEP(60) WHERE '' <> :login", "x", "x").await);
    assert!(reason.contains("no answer within"), "{reason}");
    fs::write(&password_file, "wrong").unwrap();
    let reason = unavailable(check(&open(base).await, "acaird", "pass word").await);
    assert!(reason.contains("1045"), "{reason}");
}

#[tokio::test]
async fn without_tls_it_is_not_asked_in_the_clear() {
    let mariadb = MariaDb::start_with(false);
    let (_folder, password_file) = secrets();
    let mut required = servers(
        SqlEngine::MySql,
        &[format!("localhost:{}", mariadb.port())],
        &password_file,
    );
    required.tls = SqlTls::Always;
    required.ca_file = Some(mariadb.ca_file());
    let reason = unavailable(
        check(
            &open(settings(SqlPlace::Servers(required))).await,
            "acaird",
            "pass word",
        )
        .await,
    );
    assert!(reason.contains("offers no TLS"), "{reason}");
}

/// A server's self-signed certificate, marked as an authority, instead of one signed by an authority.
#[tokio::test]
async fn mariadb_with_its_own_certificate() {
    let mut mariadb = MariaDb::start();
    mariadb.sign_itself();
    mariadb.sql(&tables());
    mariadb.sql(&format!("ALTER USER {USER} REQUIRE SSL"));
    let (_folder, password_file) = secrets();
    let with = |host: &str, ca_file| {
        let place = SqlPlace::Servers(SqlServers {
            tls: SqlTls::Always,
            ca_file,
            ..servers(
                SqlEngine::MySql,
                &[format!("{host}:{}", mariadb.port())],
                &password_file,
            )
        });
        async { open(settings(place)).await }
    };
    let own = Some(mariadb.own_certificate());
    the_same_answers(
        &with("localhost", own.clone()).await,
        "MariaDB that signed itself",
    )
    .await;
    #[rustfmt::skip]
    let refused = [
        // host        trusted                    what the case shows
        ("127.0.0.1",  own,                       "the certificate is for another name"),
        ("localhost",  Some(mariadb.ca_file()),   "another certificate is trusted"),
        ("localhost",  None,                      "the system's authorities are trusted"),
    ];
    for (host, ca_file, shows) in refused {
        let reason = unavailable(check(&with(host, ca_file).await, "acaird", "pass word").await);
        assert!(reason.to_lowercase().contains("certificate"), "{shows}: {reason}");
    }
}

#[tokio::test]
async fn the_next_server_is_asked_and_an_outage_is_told_once() {
    let mut one = Postgres::start_with(false);
    let mut two = MariaDb::start_with(false);
    one.sql(&tables());
    two.sql(&tables());
    let (_folder, password_file) = secrets();
    let dead = format!("127.0.0.1:{}", free_port());
    for (engine, live) in [
        (SqlEngine::PostgreSql, one.port()),
        (SqlEngine::MySql, two.port()),
    ] {
        let list = [dead.clone(), format!("127.0.0.1:{live}")];
        let directories = open(settings(SqlPlace::Servers(servers(
            engine,
            &list,
            &password_file,
        ))))
        .await;
        let log = LogCapture::start();
        for _ in 0..3 {
            let _ = granted(check(&directories, "acaird", "pass word").await);
        }
        assert_eq!(count(&log.text(), "server fails"), 1, "{}", log.text());

        // Both down, then back on new connections: the pooled ones are dead.
        match engine {
            SqlEngine::PostgreSql => one.stop(),
            SqlEngine::MySql => two.stop(),
        }
        for _ in 0..3 {
            let reason = unavailable(check(&directories, "acaird", "pass word").await);
            assert!(
                reason.contains(&dead) && reason.contains(&live.to_string()),
                "{reason}"
            );
        }
        assert_eq!(count(&log.text(), "directory fails"), 1, "{}", log.text());
        match engine {
            SqlEngine::PostgreSql => one.restart(),
            SqlEngine::MySql => two.restart(),
        }
        let _ = granted(check(&directories, "acaird", "pass word").await);
        assert_eq!(count(&log.text(), "directory answers again"), 1, "{}", log.text());
    }
}

#[tokio::test]
async fn a_server_that_hangs_leaves_time_for_the_next() {
    let (port, connections) = hangs();
    let server = Postgres::start_with(false);
    server.sql(&tables());
    let (_folder, password_file) = secrets();
    let list = [
        format!("127.0.0.1:{port}"),
        format!("127.0.0.1:{}", server.port()),
    ];
    let settings = SqlSettings {
        timeout: Duration::from_secs(2),
        ..settings(SqlPlace::Servers(servers(
            SqlEngine::PostgreSql,
            &list,
            &password_file,
        )))
    };
    let directories = open(settings).await;
    let start = Instant::now();
    let _ = granted(check(&directories, "acaird", "pass word").await);
    assert!(
        start.elapsed() >= Duration::from_millis(900),
        "{:?}",
        start.elapsed()
    );
    let asked = connections.load(Ordering::Relaxed);
    assert!(asked > 0);
    let _ = granted(check(&directories, "acaird", "pass word").await);
    assert_eq!(connections.load(Ordering::Relaxed), asked, "it is asked last now");
}

/// A server that accepts connections and stays silent: its port, and how many it has accepted.
fn hangs() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            held.push(stream.unwrap());
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, connections)
}

#[tokio::test]
async fn many_logins_at_once_share_few_connections() {
    let postgres = Postgres::start_with(false);
    postgres.sql(&tables());
    let (_folder, password_file) = secrets();
    let list = [format!("127.0.0.1:{}", postgres.port())];
    let settings = SqlSettings {
        pool_size: 3,
        ..settings(SqlPlace::Servers(servers(
            SqlEngine::PostgreSql,
            &list,
            &password_file,
        )))
    };
    let directories = Arc::new(open(settings).await);
    let before = count(&postgres.log(), "connection authorized");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let directories = Arc::clone(&directories);
        tasks.spawn(async move {
            let _ = granted(check(&directories, "acaird", "pass word").await);
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    let connections = count(&postgres.log(), "connection authorized") - before;
    assert!((1..=3).contains(&connections), "{connections}");
}

#[tokio::test]
async fn settings_that_cannot_work() {
    let (_folder, password_file) = secrets();
    let list = ["db.example.org".to_owned()];
    let place = SqlPlace::Servers(servers(SqlEngine::PostgreSql, &list, &password_file));
    let base = settings(place.clone());
    let none = SqlPlace::Servers(servers(SqlEngine::PostgreSql, &[], &password_file));
    let odd = SqlPlace::Servers(servers(SqlEngine::MySql, &["mysql://x/".into()], &password_file));
    let scheme = SchemeRules {
        allow_plain: false,
        default_scheme: Some("ROT13".into()),
    };
    let cases = [
        (
            "no server",
            SqlSettings {
                place: none,
                ..base.clone()
            },
            "servers names 0 servers",
        ),
        (
            "a URL",
            SqlSettings {
                place: odd,
                ..base.clone()
            },
            "servers \"mysql://x/\"",
        ),
        (
            "no parameter",
            SqlSettings {
                password_query: "SELECT 1".into(),
                ..base.clone()
            },
            "password_query would find",
        ),
        (
            "none here either",
            SqlSettings {
                recipient_query: Some("SELECT 1".into()),
                ..base.clone()
            },
            "recipient_query would",
        ),
        (
            "no such scheme",
            SqlSettings {
                schemes: scheme,
                ..base.clone()
            },
            "default_scheme \"ROT13\"",
        ),
        (
            "no connections",
            SqlSettings {
                pool_size: 0,
                ..base.clone()
            },
            "pool_size is 0",
        ),
        (
            "no time",
            SqlSettings {
                timeout: Duration::ZERO,
                ..base.clone()
            },
            "timeout is zero",
        ),
        ("no workers", SqlSettings { workers: 0, ..base }, "workers is 0"),
    ];
    for (shows, settings, want) in cases {
        let error = Directories::open(vec![DirectorySettings::Sql(settings)])
            .await
            .expect_err(shows)
            .to_string();
        assert!(error.contains(want), "{shows}: {error}");
        assert!(error.starts_with("directory sql (directory 1): "), "{error}");
    }
}

/// Tables of keys and groups in SQL that all engines accept. The keys are for `pencil`.
fn key_tables() -> String {
    let scram = scram().to_text().to_string();
    let nt = NtHash::derive("pencil").to_text()["NT$".len()..].to_owned();
    let braces = scram.replacen("SCRAM-SHA-256$", "{SCRAM-SHA-256}", 1);
    format!(
        "CREATE TABLE auth_keys (name VARCHAR(190), mechanism VARCHAR(40), value VARCHAR(400));\
         CREATE TABLE members (name VARCHAR(190), grp VARCHAR(190));\
         INSERT INTO auth_keys VALUES ('acaird', 'SCRAM-SHA-256', '{scram}'), ('acaird', 'NTLM', '{nt}'),\
             ('locked', 'SCRAM-SHA-256', '{scram}'), ('bob', 'SCRAM-SHA-256', '{scram}');\
         INSERT INTO accounts VALUES ('scram', '{braces}', 1);\
         INSERT INTO members VALUES ('acaird', 'mail users'), ('acaird', 'staff'), ('bob', 'staff'),\
             ('locked', 'mail users'), ('scram', 'mail users');"
    )
}

fn scram() -> ScramKeys {
    ScramKeys::derive(ScramHash::Sha256, "pencil", b"0123456789abcdef", 4_096).unwrap()
}

/// What every engine must answer about keys, accounts and groups.
async fn the_same_keys(base: &SqlSettings, engine: &str) {
    let kind = KeyKind::Scram(ScramHash::Sha256);
    let with_query = SqlSettings {
        key_query: Some(
            "SELECT value AS key_text, a.name AS login, active AS enabled FROM accounts a \
             LEFT JOIN auth_keys k ON k.name = a.name AND k.mechanism = :mechanism WHERE a.name = :login"
                .into(),
        ),
        account_query: Some(
            "SELECT name AS login, active AS enabled FROM accounts WHERE name = :login".into(),
        ),
        group_query: Some("SELECT grp FROM members WHERE name = :login ORDER BY grp".into()),
        allowed_groups: vec!["mail users".into()],
        keys: ForeignKeys {
            kinds: vec![kind.clone(), KeyKind::Nt],
            ..ForeignKeys::default()
        },
        ..base.clone()
    };
    let directories = open(with_query.clone()).await;
    assert!(
        directories.keeps(&kind) && !directories.keeps(&KeyKind::Cram),
        "{engine}"
    );
    for (kind, want) in [
        (&kind, StoredKey::Scram(scram())),
        (&KeyKind::Nt, StoredKey::Nt(NtHash::derive("pencil"))),
    ] {
        match directories.lookup_key("acaird", kind).await {
            KeyVerdict::Found { account, key, .. } => {
                assert_eq!((account.login.as_str(), key), ("acaird", want), "{engine}");
                assert_eq!(account.groups, ["mail users", "staff"], "{engine}");
            }
            other => panic!("{engine}: {other:?}"),
        }
    }
    let cases = [
        ("nobody", DenyReason::UnknownUser),
        ("locked", DenyReason::Disabled),
        ("bob", DenyReason::NotInGroup),
        ("scram", DenyReason::NoKey),
        ("x' OR '1'='1", DenyReason::UnknownUser),
    ];
    for (login, want) in cases {
        let verdict = directories.lookup_key(login, &kind).await;
        assert_eq!(verdict, KeyVerdict::Denied(want), "{engine}: {login}");
    }
    assert_eq!(
        granted(directories.find_account("acaird").await).groups.len(),
        2,
        "{engine}"
    );
    assert_eq!(
        denied(directories.find_account("locked").await),
        DenyReason::Disabled,
        "{engine}"
    );
    assert_eq!(
        denied(directories.find_account("bob").await),
        DenyReason::NotInGroup,
        "{engine}"
    );
    assert_eq!(
        denied(directories.find_account("nobody").await),
        DenyReason::UnknownUser,
        "{engine}"
    );
    assert_eq!(
        denied(check(&directories, "bob", "pass word").await),
        DenyReason::NotInGroup,
        "{engine}"
    );

    // One column for both: a SCRAM key in place of the hash.
    let one_column = SqlSettings {
        key_query: None,
        ..with_query
    };
    let directories = open(one_column).await;
    assert_eq!(
        granted(check(&directories, "scram", "pencil").await).login,
        "scram",
        "{engine}"
    );
    let found = directories.lookup_key("scram", &kind).await;
    assert!(matches!(found, KeyVerdict::Found { .. }), "{engine}: {found:?}");
}

#[tokio::test]
async fn keys_accounts_and_groups_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = sqlite_file(folder.path());
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(&key_tables())
        .unwrap();
    the_same_keys(&settings(SqlPlace::File(path)), "SQLite").await;
}

#[tokio::test]
async fn keys_accounts_and_groups_in_postgresql() {
    let postgres = Postgres::start();
    postgres.sql(&tables());
    postgres.sql(&key_tables());
    let (_folder, password_file) = secrets();
    let at = format!("127.0.0.1:{}", postgres.port());
    let place = SqlPlace::Servers(servers(SqlEngine::PostgreSql, &[at], &password_file));
    the_same_keys(&settings(place), "PostgreSQL").await;
}

#[tokio::test]
async fn keys_accounts_and_groups_in_mariadb() {
    let mariadb = MariaDb::start();
    mariadb.sql(&tables());
    mariadb.sql(&key_tables());
    let (_folder, password_file) = secrets();
    let at = format!("127.0.0.1:{}", mariadb.port());
    let place = SqlPlace::Servers(servers(SqlEngine::MySql, &[at], &password_file));
    the_same_keys(&settings(place), "MariaDB").await;
}

/// A collation that folds accents finds one row by many spellings: for a password, the row's own name is used; a key is not
/// returned.
#[tokio::test]
async fn a_collation_folds_more_than_a_name_may() {
    let mariadb = MariaDb::start();
    mariadb.sql(&tables().replace(
        "VARCHAR(190)",
        "VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    ));
    mariadb.sql(&format!(
        "INSERT INTO accounts VALUES ('scram', '{}', 1)",
        scram().to_text().as_str()
    ));
    let (_folder, password_file) = secrets();
    let at = format!("127.0.0.1:{}", mariadb.port());
    let place = SqlPlace::Servers(servers(SqlEngine::MySql, &[at], &password_file));
    let kind = KeyKind::Scram(ScramHash::Sha256);
    let directories = open(SqlSettings {
        keys: ForeignKeys {
            kinds: vec![kind.clone()],
            ..ForeignKeys::default()
        },
        ..settings(place)
    })
    .await;
    #[rustfmt::skip]
    let cases = [
        ("as it is",              "acaird",              "acaird"),
        ("in capitals",           "ACaird",              "acaird"),
        ("an accent too many",    "\u{e1}ca\u{ef}rd",    "acaird"),
        ("another accent",        "gr\u{f3}\u{df}e",     "gr\u{f6}\u{df}e"),
        ("a sharp s spelled out", "gr\u{f6}sse",         "gr\u{f6}\u{df}e"),
    ];
    for (shows, typed, name) in cases {
        for (password, right) in [("pass word", true), ("wrong", false)] {
            let password = SecretString::from(password);
            let checked = directories.check(typed, &password, &Asker::default()).await;
            assert_eq!(
                checked.account.as_deref(),
                Some(name),
                "{shows}: {:?}",
                checked.verdict
            );
            assert_eq!(
                matches!(checked.verdict, PasswordVerdict::Granted(_)),
                right,
                "{shows}"
            );
        }
    }
    #[rustfmt::skip]
    let cases = [
        ("its name",               "scram",           None),
        ("in capitals",            "SCRAM",           None),
        ("wide",                   "\u{ff53}cram",    None),
        ("an accent",              "scr\u{e1}m",      Some(DenyReason::OtherSpelling)),
        ("what cannot be seen",    "scr\u{ad}am",     Some(DenyReason::Malformed)),
        ("nobody, with an accent", "scr\u{f3}m",      Some(DenyReason::UnknownUser)),
    ];
    for (shows, typed, reason) in cases {
        match (directories.lookup_key(typed, &kind).await, reason) {
            (KeyVerdict::Found { .. }, None) => {}
            (verdict, Some(reason)) => assert_eq!(verdict, KeyVerdict::Denied(reason), "{shows}"),
            (verdict, None) => panic!("{shows}: {verdict:?}"),
        }
    }
}
