//! Whether a login of LDAP or SQL would be granted again: accounts that are disabled, removed, or have another password.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{check, granted, ldap, only};
use postern_directory::{
    Account, DenyReason, Directories, DirectorySettings, ForeignKeys, KeyKind, KeyVerdict, LdapCheck,
    LdapSettings, SchemeRules, SqlPlace, SqlSettings, Standing,
};
use postern_sasl::ScramHash;
use postern_testkit::slapd::{PEOPLE, ROOT_DN, ROOT_PASSWORD, Slapd, SlapdOptions, person};

const SHA256: KeyKind = KeyKind::Scram(ScramHash::Sha256);

/// As in Active Directory, but without its rule that only the server may write it.
const SCHEMA: &str = "\
attributetype ( 1.3.6.1.4.1.55555.1.8 NAME 'pwdLastSet' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 )
objectclass ( 1.3.6.1.4.1.55555.2.3 NAME 'dated' SUP top AUXILIARY MAY pwdLastSet )
";

/// The password `x`, stored as a digest, which a bind accepts as well.
const X: &str = "{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=";

const HIDDEN: &str = "access to attrs=userPassword by anonymous auth by * none\naccess to * by * read\n";

/// Why a login no longer holds: `None` while it does.
async fn gone(directories: &Directories, account: &Account) -> Option<DenyReason> {
    match directories.standing(&account.proof, None).await {
        Standing::Holds(_) => None,
        Standing::Gone(reason) => Some(reason),
        Standing::Unknown => panic!("unknown"),
    }
}

async fn by_key(directories: &Directories, login: &str) -> Account {
    match directories.lookup_key(login, &SHA256).await {
        KeyVerdict::Found { account, .. } => account,
        other => panic!("no key: {other:?}"),
    }
}

#[tokio::test]
async fn sql() {
    const BY_NAME: &str =
        "SELECT hash AS password, name AS login, active AS enabled FROM accounts WHERE name = :login";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    let run = |sql: &str| database.execute_batch(sql).unwrap();
    run("CREATE TABLE accounts (name TEXT PRIMARY KEY, hash TEXT, active INTEGER NOT NULL, note TEXT)");
    let plain = || SqlSettings {
        keys: ForeignKeys {
            kinds: vec![SHA256],
            derive: true,
            iterations: 4_096,
        },
        schemes: SchemeRules {
            allow_plain: true,
            ..SchemeRules::default()
        },
        ..SqlSettings::new(SqlPlace::File(path.clone()), BY_NAME)
    };
    let with_account_query = SqlSettings {
        account_query: Some(
            "SELECT name AS login, active AS enabled FROM accounts WHERE name = :login".into(),
        ),
        ..plain()
    };
    #[rustfmt::skip]
    let cases = [
        // what changes               how                                               by password or key                  otherwise
        ("nothing",                   "UPDATE accounts SET hash = hash",                None,                               None),
        ("something else",            "UPDATE accounts SET note = 'x'",                 None,                               None),
        ("the password",              "UPDATE accounts SET hash = '{PLAIN}y'",          Some(DenyReason::PasswordChanged),  None),
        ("the account is off",        "UPDATE accounts SET active = 0",                 Some(DenyReason::Disabled),         Some(DenyReason::Disabled)),
        ("the account is gone",       "DELETE FROM accounts",                           Some(DenyReason::UnknownUser),      Some(DenyReason::UnknownUser)),
    ];
    for settings in [plain(), with_account_query] {
        let directories = only(DirectorySettings::Sql(settings)).await;
        for (shows, change, by_password, otherwise) in cases {
            run("DELETE FROM accounts; INSERT INTO accounts VALUES ('ann', '{PLAIN}x', 1, NULL)");
            let password = granted(check(&directories, "ann", "x").await);
            let key = by_key(&directories, "ann").await;
            let certificate = granted(directories.find_account("ann").await);
            assert_eq!(gone(&directories, &password).await, None, "{shows}, before");
            run(change);
            assert_eq!(
                gone(&directories, &password).await,
                by_password,
                "{shows}, by password"
            );
            assert_eq!(gone(&directories, &key).await, by_password, "{shows}, by key");
            assert_eq!(
                gone(&directories, &certificate).await,
                otherwise,
                "{shows}, by certificate"
            );
        }
        // A removed password no longer grants anything.
        run("DELETE FROM accounts; INSERT INTO accounts VALUES ('ann', '{PLAIN}x', 1, NULL)");
        let password = granted(check(&directories, "ann", "x").await);
        run("UPDATE accounts SET hash = NULL");
        assert_eq!(
            gone(&directories, &password).await,
            Some(DenyReason::PasswordChanged)
        );
    }
}

/// A second check compares with the login, not with the previous check.
#[tokio::test]
async fn two_looks_are_of_one_login() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch("CREATE TABLE a (name TEXT, hash TEXT); INSERT INTO a VALUES ('ann', '{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=')")
        .unwrap();
    let query = "SELECT hash AS password, name AS login FROM a WHERE name = :login";
    let directories = only(DirectorySettings::Sql(SqlSettings::new(
        SqlPlace::File(path),
        query,
    )))
    .await;
    let account = granted(check(&directories, "ann", "x").await);
    let Standing::Holds(again) = directories.standing(&account.proof, None).await else {
        panic!("gone");
    };
    database
        .execute_batch("UPDATE a SET hash = '{SHA}lcsL/Sl3x2EpjZYk5LTUxyo5l0o='")
        .unwrap();
    assert_eq!(
        gone(&directories, &again).await,
        Some(DenyReason::PasswordChanged)
    );
}

#[tokio::test]
async fn ldap_entries() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ldap.pass");
    std::fs::write(&file, ROOT_PASSWORD).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let dated = "objectClass: dated\npwdLastSet: 1\n";
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif: ["bind", "compare", "undated", "off"]
            .map(|uid| person(uid, &[], X) + if uid == "undated" { "" } else { dated })
            .concat(),
        global: SCHEMA.into(),
        database: HIDDEN.into(),
        ..SlapdOptions::default()
    });
    let binds = ldap(&[slapd.url()]);
    let compares = LdapSettings {
        check: LdapCheck::Compare,
        bind_dn: Some(ROOT_DN.into()),
        bind_password_file: Some(file),
        ..ldap(&[slapd.url()])
    };
    let replace = |uid: &str, lines: &str| {
        slapd.modify(&format!("dn: uid={uid},{PEOPLE}\nchangetype: modify\n{lines}\n"));
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows              who        by what     what is changed                                                             outcome
        ("the time of the password",        "bind",    &binds,     "replace: userPassword\nuserPassword: y\n-\nreplace: pwdLastSet\npwdLastSet: 2",  Some(DenyReason::PasswordChanged)),
        ("the password itself",             "compare", &compares,  "replace: userPassword\nuserPassword: y",                                     Some(DenyReason::PasswordChanged)),
        ("a password that cannot be seen",  "undated", &binds,     "replace: userPassword\nuserPassword: y",                                     None),
        ("something else",                  "off",     &binds,     "replace: sn\nsn: other",                                                     None),
    ];
    for (shows, uid, settings, change, want) in cases {
        let directories = only(DirectorySettings::Ldap(settings.clone())).await;
        let account = granted(check(&directories, uid, "x").await);
        let certificate = granted(directories.find_account(uid).await);
        assert_eq!(gone(&directories, &account).await, None, "{shows}, before");
        replace(uid, change);
        assert_eq!(gone(&directories, &account).await, want, "{shows}");
        assert_eq!(
            gone(&directories, &certificate).await,
            None,
            "{shows}, by certificate"
        );
    }
    let directories = only(DirectorySettings::Ldap(binds)).await;
    let account = granted(check(&directories, "off", "x").await);
    slapd.modify(&format!("dn: uid=off,{PEOPLE}\nchangetype: delete\n"));
    assert_eq!(gone(&directories, &account).await, Some(DenyReason::UnknownUser));
}
