//! LDAP beyond the bind: stored passwords, keys, groups, addresses, discovery, Active Directory; against a real slapd.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{check, count, denied, exists, granted, ldap, only_ldap, unavailable};
use parking_lot::Mutex;
use postern_directory::{
    Account, DenyReason, Directories, DirectorySettings, DirectoryState, Environment, Existence, FindServers,
    ForeignKeys, FoundServers, KeyKind, KeyVerdict, LdapCheck, LdapSettings, SchemeRules, ServiceRecord,
};
use postern_sasl::{DecoySecret, NtHash, ScramHash, ScramKeys, StoredKey};
use postern_testkit::slapd::{PEOPLE, ROOT_DN, ROOT_PASSWORD, SUFFIX, Slapd, SlapdOptions, person};
use tempfile::TempDir;

/// Attributes that sites get from elsewhere: Samba, Active Directory, RFC 5803.
const SCHEMA: &str = "\
attributetype ( 1.3.6.1.4.1.55555.1.1 NAME 'authPassword' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
attributetype ( 1.3.6.1.4.1.55555.1.2 NAME 'sambaNTPassword' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
attributetype ( 1.3.6.1.4.1.55555.1.3 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.55555.1.4 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.55555.1.5 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 )
attributetype ( 1.3.6.1.4.1.55555.1.6 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.55555.1.7 NAME 'mailAlternateAddress' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
objectclass ( 1.3.6.1.4.1.55555.2.1 NAME 'user' SUP top AUXILIARY MAY ( authPassword $ sambaNTPassword $ userPrincipalName $ sAMAccountName $ userAccountControl $ proxyAddresses $ mailAlternateAddress ) )
objectclass ( 1.3.6.1.4.1.55555.2.2 NAME 'computer' SUP top AUXILIARY )
";

/// Everybody reads everything except passwords, which only the service reads.
const ACCESS: &str = "access to attrs=userPassword,authPassword,sambaNTPassword by anonymous auth by * none\naccess to * by * read\n";

const SHA256: KeyKind = KeyKind::Scram(ScramHash::Sha256);

fn site(ldif: &str) -> Slapd {
    Slapd::start_with(&SlapdOptions {
        ldif: ldif.to_owned(),
        global: SCHEMA.into(),
        database: ACCESS.into(),
        ..SlapdOptions::default()
    })
}

/// A person with additional lines.
fn somebody(uid: &str, password: &str, lines: &[&str]) -> String {
    let mut ldif = person(uid, &[], password);
    ldif.push_str("objectClass: user\n");
    for line in lines {
        ldif.push_str(line);
        ldif.push('\n');
    }
    ldif
}

/// Settings that search as the administrator, who reads passwords.
fn as_service(slapd: &Slapd, folder: &TempDir) -> LdapSettings {
    let file: PathBuf = folder.path().join("ldap.pass");
    std::fs::write(&file, format!("{ROOT_PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    LdapSettings {
        bind_dn: Some(ROOT_DN.into()),
        bind_password_file: Some(file),
        ..ldap(&[slapd.url()])
    }
}

fn key(verdict: KeyVerdict) -> (Account, StoredKey) {
    match verdict {
        KeyVerdict::Found { account, key, .. } => (account, key),
        other => panic!("no key: {other:?}"),
    }
}

async fn no_key(directories: &Directories, login: &str, kind: &KeyKind) -> DenyReason {
    match directories.lookup_key(login, kind).await {
        KeyVerdict::Denied(reason) => reason,
        other => panic!("not denied: {other:?}"),
    }
}

#[tokio::test]
async fn stored_passwords_are_compared() {
    let ldif = [
        somebody("ssha", "{SSHA}S7Zac+yp9xiyCpdIMrQG0Hd45OdzYWx0", &[]),
        somebody("crypt", "{CRYPT}$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1", &[]),
        somebody(
            "several",
            "{SASL}several@REALM",
            &["userPassword: {SHA}2oguq15ANCGsJCWKX31fllwpyEk="],
        ),
        somebody("kerberos", "{SASL}kerberos@REALM", &[]),
        somebody(
            "off",
            "{SHA}2oguq15ANCGsJCWKX31fllwpyEk=",
            &["userAccountControl: 514"],
        ),
        format!("\ndn: uid=none,{PEOPLE}\nobjectClass: inetOrgPerson\nuid: none\ncn: none\nsn: none\n"),
    ];
    let (slapd, folder) = (site(&ldif.concat()), TempDir::new().unwrap());
    let settings = LdapSettings {
        check: LdapCheck::Compare,
        ..as_service(&slapd, &folder)
    };
    let directories = only_ldap(settings.clone()).await;
    for login in ["several"] {
        assert_eq!(
            granted(check(&directories, login, "pass word").await).login,
            login
        );
    }
    #[rustfmt::skip]
    let cases = [
        ("several",  "pass wort", DenyReason::WrongPassword, "wrong password"),
        ("ssha",     "x",         DenyReason::WrongPassword, "wrong password of another scheme"),
        ("crypt",    "x",         DenyReason::WrongPassword, "and another"),
        ("nobody",   "pass word", DenyReason::UnknownUser,   "unknown"),
        ("none",     "pass word", DenyReason::NoPassword,    "no password"),
        ("kerberos", "pass word", DenyReason::NoPassword,    "one that is elsewhere"),
        ("off",      "pass word", DenyReason::Disabled,      "switched off, which a bind would have found"),
        ("off",      "x",         DenyReason::WrongPassword, "which only those learn who know the password"),
        ("acaird",   "pass word", DenyReason::NoPassword,    "in the clear, which is not taken"),
    ];
    for (login, password, want, shows) in cases {
        assert_eq!(
            denied(check(&directories, login, password).await),
            want,
            "{shows}"
        );
    }
    let clear = SchemeRules {
        allow_plain: true,
        default_scheme: Some("PLAIN".into()),
    };
    let directories = only_ldap(LdapSettings {
        schemes: clear,
        ..settings
    })
    .await;
    assert_eq!(
        granted(check(&directories, "acaird", "pass word").await).login,
        "acaird"
    );
    assert_eq!(count(&slapd.log(), "BIND dn=\"uid="), 0, "nobody was bound as");
}

#[tokio::test]
async fn keys_for_mechanisms_that_hide_the_password() {
    let scram = ScramKeys::derive(ScramHash::Sha256, "pencil", b"0123456789abcdef", 4_096).unwrap();
    let text = scram.to_text().to_string();
    let rest = text.strip_prefix("SCRAM-SHA-256$").unwrap();
    let nt = NtHash::derive("pencil");
    let hex = nt.to_text()["NT$".len()..].to_uppercase();
    let ldif = [
        somebody(
            "rfc5803",
            "x",
            &[&format!("authPassword: {}", text.replace('$', " $ "))],
        ),
        somebody("braces", &format!("{{SCRAM-SHA-256}}{rest}"), &[]),
        somebody("samba", "x", &[&format!("sambaNTPassword: {hex}")]),
        somebody("clear", "{CLEAR}pencil", &[]),
        somebody(
            "off",
            &format!("{{SCRAM-SHA-256}}{rest}"),
            &["userAccountControl: 514"],
        ),
    ];
    let (slapd, folder) = (site(&ldif.concat()), TempDir::new().unwrap());
    let keys = ForeignKeys {
        kinds: vec![SHA256, KeyKind::Nt],
        ..ForeignKeys::default()
    };
    let settings = LdapSettings {
        keys,
        ..as_service(&slapd, &folder)
    };
    let directories = only_ldap(settings.clone()).await;
    assert!(directories.keeps(&SHA256) && directories.keeps(&KeyKind::Nt));
    assert!(!directories.keeps(&KeyKind::Cram) && !directories.keeps(&KeyKind::Scram(ScramHash::Sha1)));

    for login in ["rfc5803", "braces"] {
        let (account, found) = key(directories.lookup_key(login, &SHA256).await);
        assert_eq!(
            (account.login.as_str(), found),
            (login, StoredKey::Scram(scram.clone()))
        );
    }
    let (_, found) = key(directories.lookup_key("samba", &KeyKind::Nt).await);
    assert_eq!(found, StoredKey::Nt(nt));
    let shape = directories.scram_shape(ScramHash::Sha256).unwrap();
    assert_eq!(
        (shape.iterations, shape.salt_octets),
        (4_096, 16),
        "what others see"
    );
    #[rustfmt::skip]
    let cases = [
        ("nobody",  SHA256,       DenyReason::UnknownUser, "unknown"),
        ("samba",   SHA256,       DenyReason::NoKey,       "a key of another kind alone"),
        ("rfc5803", KeyKind::Nt,  DenyReason::NoKey,       "and the other way round"),
        ("off",     SHA256,       DenyReason::Disabled,    "switched off"),
        ("clear",   SHA256,       DenyReason::NoKey,       "keys are not made unless it is wanted"),
        ("*",       SHA256,       DenyReason::UnknownUser, "a pattern"),
    ];
    for (login, kind, want, shows) in cases {
        assert_eq!(no_key(&directories, login, &kind).await, want, "{shows}");
    }
    let mut before = slapd.log().len();
    for login in ["rfc5803", "nobody"] {
        let _ = directories.lookup_key(login, &SHA256).await;
        let log = slapd.log();
        assert_eq!(
            count(&log[before..], " SRCH base="),
            1,
            "{login} costs one search"
        );
        before = log.len();
    }

    let derive = ForeignKeys {
        derive: true,
        iterations: 4_096,
        ..settings.keys.clone()
    };
    let environment = Environment {
        decoy: Some(DecoySecret::new([3; 32])),
        ..Environment::default()
    };
    let list = vec![DirectorySettings::Ldap(LdapSettings {
        keys: derive,
        ..settings
    })];
    let directories = Directories::open_in(list, environment).await.unwrap();
    let (_, one) = key(directories.lookup_key("clear", &SHA256).await);
    let (_, again) = key(directories.lookup_key("clear", &SHA256).await);
    assert_eq!(one, again, "made anew, with the same salt");
    let (_, found) = key(directories.lookup_key("clear", &KeyKind::Nt).await);
    assert_eq!(found, StoredKey::Nt(NtHash::derive("pencil")));
    assert_eq!(
        no_key(&directories, "nobody", &SHA256).await,
        DenyReason::UnknownUser
    );
}

/// A user whose login contains a comma.
fn comma() -> String {
    let ldif = person("b\\2cob", &[], "x");
    ldif.replace("uid: b\\2cob", "uid: b,ob")
}

fn groups_of(name: &str, members: &[&str]) -> String {
    let members: String = members
        .iter()
        .map(|uid| format!("member: uid={uid},{PEOPLE}\n"))
        .collect();
    format!("\ndn: cn={name},ou=Groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\n{members}")
}

#[tokio::test]
async fn groups_say_who_may_log_in() {
    let ldif = [
        somebody("ann", "x", &[]),
        somebody("bob", "x", &[]),
        format!("\ndn: ou=Groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: Groups\n"),
        groups_of("mail users", &["ann"]),
        groups_of("staff", &["ann", "bob"]),
    ];
    let slapd = site(&ldif.concat());
    let base = format!("ou=Groups,{SUFFIX}");
    let settings = LdapSettings {
        group_filter: Some("(&(objectClass=groupOfNames)(member={dn}))".into()),
        group_base: Some(base.clone()),
        ..ldap(&[slapd.url()])
    };
    let directories = only_ldap(settings.clone()).await;
    let mut groups = granted(check(&directories, "ann", "x").await).groups;
    groups.sort();
    assert_eq!(groups, ["mail users", "staff"]);

    for allowed in ["Mail Users", &format!("cn=mail users, {base}")] {
        let directories = only_ldap(LdapSettings {
            allowed_groups: vec!["nobody".into(), allowed.into()],
            ..settings.clone()
        })
        .await;
        assert_eq!(
            granted(check(&directories, "ann", "x").await).login,
            "ann",
            "{allowed}"
        );
        assert_eq!(
            denied(check(&directories, "bob", "x").await),
            DenyReason::NotInGroup
        );
        assert_eq!(
            denied(check(&directories, "bob", "y").await),
            DenyReason::WrongPassword
        );
        assert_eq!(
            denied(directories.find_account("bob").await),
            DenyReason::NotInGroup
        );
        assert_eq!(granted(directories.find_account("ann").await).groups.len(), 2);
    }
    let missing = LdapSettings {
        group_base: Some(format!("ou=Missing,{SUFFIX}")),
        ..settings.clone()
    };
    let reason = unavailable(check(&only_ldap(missing).await, "ann", "x").await);
    assert!(
        reason.contains("search base"),
        "neither a pass nor a refusal: {reason}"
    );

    let keys = ForeignKeys {
        kinds: vec![SHA256],
        ..ForeignKeys::default()
    };
    let folder = TempDir::new().unwrap();
    let directories = only_ldap(LdapSettings {
        keys,
        group_filter: settings.group_filter,
        group_base: settings.group_base,
        ..as_service(&slapd, &folder)
    })
    .await;
    let mut before = slapd.log().len();
    for login in ["ann", "nobody"] {
        let _ = directories.lookup_key(login, &SHA256).await;
        let log = slapd.log();
        assert_eq!(
            count(&log[before..], " SRCH base="),
            2,
            "{login} costs two searches"
        );
        before = log.len();
    }
}

#[tokio::test]
async fn groups_that_the_entry_names() {
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif: [person("ann", &[], "x"), person("bob", &[], "x")].concat(),
        global: "moduleload memberof".into(),
        database: "overlay memberof".into(),
        ..SlapdOptions::default()
    });
    let unit = |name: &str| {
        format!("dn: ou={name},{SUFFIX}\nchangetype: add\nobjectClass: organizationalUnit\nou: {name}\n\n")
    };
    let group = |unit: &str, uid: &str| {
        format!(
            "dn: cn=mail,ou={unit},{SUFFIX}\nchangetype: add\nobjectClass: groupOfNames\ncn: mail\nmember: uid={uid},{PEOPLE}\n\n"
        )
    };
    slapd.modify(
        &[
            unit("Groups"),
            unit("Others"),
            group("Groups", "ann"),
            group("Others", "bob"),
        ]
        .concat(),
    );
    let settings = LdapSettings {
        member_of_attribute: Some("memberOf".into()),
        allowed_groups: vec!["mail".into()],
        ..ldap(&[slapd.url()])
    };
    let anywhere = only_ldap(settings.clone()).await;
    for login in ["ann", "bob"] {
        assert_eq!(
            granted(check(&anywhere, login, "x").await).groups,
            ["mail"],
            "a name alone is not much"
        );
    }
    let there = only_ldap(LdapSettings {
        group_base: Some(format!("ou=Groups,{SUFFIX}")),
        ..settings
    })
    .await;
    assert_eq!(granted(check(&there, "ann", "x").await).groups, ["mail"]);
    assert_eq!(denied(check(&there, "bob", "x").await), DenyReason::NotInGroup);
}

#[tokio::test]
async fn addresses_in_several_attributes() {
    let lines = [
        "mail: Ann@relay.test",
        "mailAlternateAddress: a.smith@relay.test",
        "proxyAddresses: SMTP:Ann@relay.test",
        "proxyAddresses: smtp:ann.smith@relay.test",
        "proxyAddresses: x500:/o=Org/cn=ann",
    ];
    let slapd = site(&somebody("ann", "x", &lines));
    let attributes = ["mail", "mailAlternateAddress", "proxyAddresses"];
    let directories = only_ldap(LdapSettings {
        mail_attributes: attributes.map(str::to_owned).to_vec(),
        ..ldap(&[slapd.url()])
    })
    .await;
    assert_eq!(
        granted(check(&directories, "ann", "x").await).addresses,
        ["ann@relay.test", "a.smith@relay.test", "ann.smith@relay.test"]
    );
    for address in ["ann@relay.test", "a.smith@relay.test", "Ann.Smith@relay.test"] {
        assert_eq!(exists(&directories, address).await, Existence::Yes, "{address}");
    }
    for address in ["/o=Org/cn=ann@relay.test", "bob@relay.test"] {
        assert_eq!(exists(&directories, address).await, Existence::No, "{address}");
    }
}

/// The client may make up the domain if the filter does not use it.
#[tokio::test]
async fn a_login_is_called_by_what_was_looked_at() {
    let slapd = site(&somebody("ann", "x", &[]));
    let by = async |filter: &str, login_attribute: &str| {
        let directories = only_ldap(LdapSettings {
            filter: filter.into(),
            login_attribute: login_attribute.into(),
            ..ldap(&[slapd.url()])
        })
        .await;
        granted(check(&directories, "ann@admin.example", "x").await).login
    };
    assert_eq!(by("(uid={local})", "uid").await, "ann");
    assert_eq!(
        by("(uid={local})", "employeeNumber").await,
        "ann",
        "the entry has none"
    );
    assert_eq!(
        by("(&(uid={local})(!(o={domain})))", "employeeNumber").await,
        "ann@admin.example"
    );
}

/// Answers like DNS, with what was put into it.
struct Dns {
    answer: Mutex<Result<Vec<ServiceRecord>, String>>,
    asked: Mutex<Vec<String>>,
}

impl FindServers for Dns {
    fn services<'a>(&'a self, name: &'a str) -> FoundServers<'a> {
        self.asked.lock().push(name.to_owned());
        let answer = self.answer.lock().clone();
        Box::pin(async move { answer })
    }
}

#[tokio::test]
async fn servers_that_dns_names() {
    let (mut first, second) = (Slapd::start(), Slapd::start());
    let record = |priority, host: &str, port| ServiceRecord {
        priority,
        weight: 0,
        port,
        host: host.into(),
    };
    let dns = Arc::new(Dns {
        answer: Mutex::new(Err("nothing yet".into())),
        asked: Mutex::default(),
    });
    let directories = || async {
        let environment = Environment {
            find_servers: Some(Arc::clone(&dns) as Arc<dyn FindServers>),
            ..Environment::default()
        };
        let settings = LdapSettings {
            discover: Some("localhost".into()),
            starttls: true,
            ca_file: Some(second.ca_file()),
            ..ldap(&[])
        };
        Directories::open_in(vec![DirectorySettings::Ldap(settings)], environment)
            .await
            .unwrap()
    };
    *dns.answer.lock() = Err("no answer".into());
    let reason = unavailable(check(&directories().await, "acaird", "pass word").await);
    assert!(
        reason.contains("discover") && reason.contains("no answer"),
        "{reason}"
    );

    *dns.answer.lock() = Ok(vec![record(0, "evil.test", second.port())]);
    let reason = unavailable(check(&directories().await, "acaird", "pass word").await);
    assert!(reason.contains("no server within localhost"), "{reason}");
    assert_eq!(count(&second.log(), "BIND"), 0);

    // The first one's certificate is from another authority, which is noticed, and the next one is asked.
    *dns.answer.lock() = Ok(vec![
        record(20, "localhost", second.port()),
        record(10, "localhost", first.port()),
    ]);
    let found = directories().await;
    assert_eq!(
        granted(check(&found, "acaird", "pass word").await).login,
        "acaird"
    );
    assert_eq!(
        dns.asked.lock().last().map(String::as_str),
        Some("_ldap._tcp.localhost")
    );
    assert_eq!(
        count(&first.log(), "BIND dn=\"uid=acaird"),
        0,
        "no password for whom was not verified"
    );
    first.stop();
    *dns.answer.lock() = Err("no answer".into());
    assert_eq!(
        granted(check(&found, "acaird", "pass word").await).login,
        "acaird",
        "they are known"
    );
}

fn active_directory(slapd: &Slapd) -> LdapSettings {
    LdapSettings {
        servers: vec![slapd.url()],
        search_base: SUFFIX.into(),
        ..LdapSettings::active_directory()
    }
}

#[tokio::test]
async fn active_directory_by_principal_name() {
    let lines = |upn: &str, account: &str| {
        [
            format!("userPrincipalName: {upn}"),
            format!("sAMAccountName: {account}"),
            format!("proxyAddresses: SMTP:{account}@relay.test"),
        ]
    };
    let one = |uid, upn, account, more: &[&str]| {
        let lines = lines(upn, account);
        let lines: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        somebody(uid, "x", &lines)
    };
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif: [
            one("1", "Ann@corp.test", "asmith", &["userAccountControl: 512"]),
            one("2", "bob@corp.test", "bob", &["userAccountControl: 514"]),
            one("3", "machine@corp.test", "MACHINE$", &["objectClass: computer"]),
            one("4", "twin@corp.test", "twin1", &[]),
            one("5", "else@corp.test", "twin@corp.test", &[]),
        ]
        .concat(),
        // Like the overlay that maintains it.
        global: format!("{SCHEMA}moduleload memberof\n"),
        database: "overlay memberof".into(),
        ..SlapdOptions::default()
    });
    let directories = only_ldap(active_directory(&slapd)).await;
    for login in ["ann@corp.test", "ASmith"] {
        let account = granted(check(&directories, login, "x").await);
        assert_eq!(account.login, "Ann@corp.test", "one name, however it was typed");
        assert_eq!(account.addresses, ["asmith@relay.test"]);
    }
    assert_eq!(
        denied(check(&directories, "machine@corp.test", "x").await),
        DenyReason::UnknownUser
    );
    assert_eq!(
        denied(check(&directories, "twin@corp.test", "x").await),
        DenyReason::Ambiguous
    );
    assert_eq!(
        granted(directories.find_account("ann@corp.test").await).login,
        "Ann@corp.test"
    );
    assert_eq!(
        denied(directories.find_account("bob").await),
        DenyReason::Disabled,
        "with a certificate or a ticket neither"
    );
}

#[tokio::test]
async fn binding_at_once_without_a_service() {
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif: [person("ann", &["ann@relay.test"], "x"), comma()].concat(),
        global: SCHEMA.into(),
        database:
            "access to attrs=userPassword by anonymous auth\naccess to * by self read by anonymous auth"
                .into(),
        ..SlapdOptions::default()
    });
    let settings = LdapSettings {
        direct_bind: Some(format!("uid={{login}},{PEOPLE}")),
        ..ldap(&[slapd.url()])
    };
    let directories = only_ldap(settings.clone()).await;
    let account = granted(check(&directories, "ann", "x").await);
    assert_eq!(
        (account.login.as_str(), account.addresses),
        ("ann", vec!["ann@relay.test".to_owned()])
    );
    assert_eq!(
        granted(check(&directories, "b,ob", "x").await).login,
        "b,ob",
        "a comma stays in its name"
    );
    assert_eq!(
        denied(check(&directories, "ann", "y").await),
        DenyReason::WrongPassword
    );
    assert!(matches!(
        denied(check(&directories, "nobody", "x").await),
        DenyReason::WrongPassword | DenyReason::UnknownUser
    ));
    assert_eq!(
        denied(directories.find_account("ann").await),
        DenyReason::UnknownUser,
        "it cannot search"
    );

    // Binding by a name that in a search is another user's login does not give access to that user.
    let crossed = only_ldap(LdapSettings {
        direct_bind: Some(format!("uid={{local}},{PEOPLE}")),
        filter: "(uid={domain}{login})".into(),
        ..settings
    })
    .await;
    assert_eq!(
        denied(check(&crossed, "ann@b", "x").await),
        DenyReason::UnknownUser
    );
}

#[tokio::test]
async fn an_account_that_its_server_has_locked() {
    let policy = format!(
        "\ndn: cn=policy,{SUFFIX}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\n\
         pwdLockout: TRUE\npwdMaxFailure: 2\n"
    );
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif: policy,
        global: "moduleload ppolicy".into(),
        database: format!("overlay ppolicy\nppolicy_default \"cn=policy,{SUFFIX}\""),
        ..SlapdOptions::default()
    });
    let directories = only_ldap(ldap(&[slapd.url()])).await;
    assert_eq!(granted(directories.find_account("acaird").await).login, "acaird");
    for _ in 0..3 {
        assert_eq!(
            denied(check(&directories, "acaird", "guess").await),
            DenyReason::WrongPassword
        );
    }
    let _ = denied(check(&directories, "acaird", "pass word").await);
    assert_eq!(
        denied(directories.find_account("acaird").await),
        DenyReason::Locked
    );
}

#[tokio::test]
async fn an_outage_is_seen_without_a_login_and_logged_once() {
    let mut slapd = Slapd::start();
    let log = common::LogCapture::start();
    let environment = Environment {
        check_after: Some(Duration::ZERO),
        observers: common::observers(),
        ..Environment::default()
    };
    let list = vec![DirectorySettings::Ldap(ldap(&[slapd.url()]))];
    let directories = Directories::open_in(list, environment).await.unwrap();
    let state = || {
        let status = directories.status();
        (status[0].state, status[0].last_error.is_some())
    };
    assert_eq!(state(), (DirectoryState::Unknown, false));
    directories.check_health().await;
    assert_eq!(state(), (DirectoryState::Up, false));

    slapd.stop();
    directories.check_health().await;
    assert_eq!(state(), (DirectoryState::Down, true));
    for _ in 0..3 {
        let _ = unavailable(check(&directories, "acaird", "pass word").await);
    }
    slapd.restart();
    let back = async {
        while state().0 != DirectoryState::Up {
            tokio::time::sleep(Duration::from_millis(100)).await;
            directories.check_health().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), back).await.unwrap();
    assert!(state().1, "the last error stays");
    let status = &directories.status()[0];
    assert_eq!(status.name, "ldap (directory 1)");
    let text = log.text();
    assert_eq!(count(&text, "directory fails"), 1, "{text}");
    assert_eq!(count(&text, "directory answers again"), 1, "{text}");
}

#[tokio::test]
async fn logins_are_remembered_for_a_short_time_if_wanted() {
    let mut slapd = Slapd::start();
    let ttl = Duration::from_secs(2);
    let directories = only_ldap(LdapSettings {
        cache_ttl: ttl,
        ..ldap(&[slapd.url()])
    })
    .await;
    let start = std::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(
            granted(check(&directories, "acaird", "pass word").await).login,
            "acaird"
        );
    }
    if start.elapsed() < ttl {
        assert_eq!(
            count(&slapd.log(), "c=US\" method=128"),
            1,
            "one bind for three logins"
        );
    }
    assert_eq!(
        denied(check(&directories, "acaird", "x").await),
        DenyReason::WrongPassword
    );
    slapd.stop();
    let forgotten = async {
        while !matches!(
            check(&directories, "acaird", "pass word").await,
            postern_directory::PasswordVerdict::Unavailable { .. }
        ) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgotten)
        .await
        .unwrap();
}
