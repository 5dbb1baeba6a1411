//! LDAP against a real slapd.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use common::{check, count, denied, exists, granted, ldap, only_ldap, unavailable};
use postern_directory::{
    DenyReason, Directories, DirectoryError, DirectorySettings, Existence, LdapSettings, SearchScope,
};
use postern_testkit::slapd::{PEOPLE, SUFFIX, Slapd, SlapdOptions, person};

const SERVICE: &str = "uid=postern,ou=People,o=Fox Chase Cancer Center,c=US";

#[tokio::test]
async fn the_login_of_the_procedure() {
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif: [
            person("nomail", &[], "x"),
            person(
                "two",
                &["Two@FCCC.example", "deux@fccc.example", "two@fccc.example"],
                "x",
            ),
            person("jürgen", &["juergen@fccc.example"], "größe"),
            person("a(b)*\\\\c", &[], "x"),
        ]
        .concat(),
        ..SlapdOptions::default()
    });
    let directories = only_ldap(ldap(&[slapd.url()])).await;
    let account = granted(check(&directories, "acaird", "pass word").await);
    assert_eq!(account.login, "acaird");
    assert_eq!(account.addresses, ["acaird@fccc.example"]);

    let account = granted(check(&directories, "ACaird", "pass word").await);
    assert_eq!(account.login, "acaird", "the name in the directory counts");
    assert_eq!(
        granted(check(&directories, "nomail", "x").await).addresses,
        Vec::<String>::new()
    );
    assert_eq!(
        granted(check(&directories, "two", "x").await).addresses,
        ["two@fccc.example", "deux@fccc.example"]
    );
    assert_eq!(
        granted(check(&directories, "jürgen", "größe").await).login,
        "jürgen"
    );

    let cases = [
        ("wrong password", "acaird", "password", DenyReason::WrongPassword),
        (
            "a blank too many",
            "acaird",
            "pass word ",
            DenyReason::WrongPassword,
        ),
        ("another case", "acaird", "Pass Word", DenyReason::WrongPassword),
        (
            "empty password: slapd would bind",
            "acaird",
            "",
            DenyReason::EmptyPassword,
        ),
        ("unknown", "nobody", "pass word", DenyReason::UnknownUser),
        (
            "as given: the filter does not know addresses",
            "acaird@fccc.example",
            "pass word",
            DenyReason::UnknownUser,
        ),
        ("a pattern", "acair*", "pass word", DenyReason::UnknownUser),
        (
            "a pattern for everybody",
            "*",
            "pass word",
            DenyReason::UnknownUser,
        ),
        (
            "more conditions",
            "x)(|(uid=acaird)",
            "pass word",
            DenyReason::UnknownUser,
        ),
        ("an escape", "\\61caird", "pass word", DenyReason::UnknownUser),
        ("a NUL", "acaird\0x", "pass word", DenyReason::Malformed),
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
async fn an_unknown_login_costs_the_same_operations_as_a_known_one() {
    let slapd = Slapd::start();
    let directories = only_ldap(ldap(&[slapd.url()])).await;
    let mut before = slapd.log();
    for login in ["acaird", "nobody"] {
        assert!(matches!(
            denied(check(&directories, login, "x").await),
            DenyReason::WrongPassword | DenyReason::UnknownUser
        ));
        let log = slapd.log();
        let new = &log[before.len()..];
        assert_eq!(
            (count(new, " SRCH base="), count(new, " BIND dn=\"uid=")),
            (1, 1),
            "{login}:\n{new}"
        );
        assert!(count(new, "err=49") == 1, "{login}");
        before = log;
    }
}

#[tokio::test]
async fn fails_over_to_the_next_server_and_back() {
    let (mut first, second) = (Slapd::start(), Slapd::start());
    let retry_primary_after = Duration::from_millis(500);
    let settings = LdapSettings {
        retry_primary_after,
        ..ldap(&[first.url(), second.url()])
    };
    let log = common::LogCapture::start();
    let directories = only_ldap(settings).await;
    let binds = |slapd: &Slapd| count(&slapd.log(), "BIND dn=\"uid=acaird");

    let _ = granted(check(&directories, "acaird", "pass word").await);
    assert_eq!(
        (binds(&first) > 0, binds(&second)),
        (true, 0),
        "the first one as long as it works"
    );

    first.stop();
    for _ in 0..3 {
        let _ = granted(check(&directories, "acaird", "pass word").await);
    }
    assert!(binds(&second) > 0);
    assert_eq!(
        denied(check(&directories, "acaird", "x").await),
        DenyReason::WrongPassword,
        "a denial is one too"
    );

    first.restart();
    let before = binds(&first);
    tokio::time::sleep(retry_primary_after).await;
    let _ = granted(check(&directories, "acaird", "pass word").await);
    assert!(binds(&first) > before, "back to the first");

    let text = log.text();
    assert_eq!(count(&text, "server fails what=\"LDAP\""), 1, "{text}");
    assert_eq!(count(&text, "server answers again what=\"LDAP\""), 1, "{text}");
    assert_eq!(
        count(&text, "directory fails"),
        0,
        "the directory as a whole never failed:\n{text}"
    );
    assert!(!text.contains("pass word"), "{text}");
}

#[tokio::test]
async fn a_server_that_hangs_leaves_time_for_the_next() {
    let (first, second) = (Slapd::start(), Slapd::start());
    let timeout = Duration::from_secs(2);
    let settings = LdapSettings {
        timeout,
        ..ldap(&[first.url(), second.url()])
    };
    let directories = only_ldap(settings).await;
    let _ = granted(check(&directories, "acaird", "pass word").await);

    first.freeze();
    // Being granted at all means within the time for all servers.
    let _ = granted(check(&directories, "acaird", "pass word").await);

    second.freeze();
    let reason = unavailable(check(&directories, "acaird", "pass word").await);
    assert!(reason.contains("no answer within"), "{reason}");
    let reason = unavailable(check(&directories, "acaird", "pass word").await);
    assert!(
        reason.contains("known to be down"),
        "nobody waits for what is known: {reason}"
    );
    first.resume();
    second.resume();
    directories.check_all().await;
    let _ = granted(check(&directories, "acaird", "pass word").await);
}

#[tokio::test]
async fn an_outage_is_no_denial_and_is_logged_once() {
    let mut slapd = Slapd::start();
    let log = common::LogCapture::start();
    let directories = only_ldap(ldap(&[slapd.url()])).await;
    let _ = granted(check(&directories, "acaird", "pass word").await);
    slapd.stop();
    for (login, password) in [("acaird", "pass word"), ("acaird", "wrong"), ("nobody", "x")] {
        let reason = unavailable(check(&directories, login, password).await);
        assert!(
            reason.contains("ldap") && reason.contains(&slapd.port().to_string()),
            "{reason}"
        );
    }
    assert!(matches!(
        exists(&directories, "acaird@fccc.example").await,
        Existence::Unknown(_)
    ));
    assert_eq!(
        denied(check(&directories, "acaird", "").await),
        DenyReason::EmptyPassword,
        "that needs no server"
    );
    slapd.restart();
    let _ = granted(check(&directories, "acaird", "pass word").await);
    let text = log.text();
    assert_eq!(count(&text, "directory fails"), 1, "{text}");
    assert_eq!(count(&text, "directory answers again"), 1, "{text}");
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced_unnoticed() {
    let mut slapd = Slapd::start();
    let directories = only_ldap(ldap(&[slapd.url()])).await;
    let log = common::LogCapture::start();
    for _ in 0..3 {
        let _ = granted(check(&directories, "acaird", "pass word").await);
        assert_eq!(exists(&directories, "acaird@fccc.example").await, Existence::Yes);
        slapd.restart();
    }
    assert_eq!(log.text(), "", "nothing to tell");
}

#[tokio::test]
async fn connections_are_kept_and_bounded() {
    let slapd = Slapd::start();
    let directories = Arc::new(
        only_ldap(LdapSettings {
            pool_size: 3,
            ..ldap(&[slapd.url()])
        })
        .await,
    );
    // Connections on which something was asked. A question is logged before it is answered; the acceptance of a connection may be
    // logged after its first answer.
    let used = |from: usize| {
        let log = slapd.log();
        let asked = log[from..]
            .lines()
            .filter(|line| line.contains(" BIND dn=") || line.contains(" SRCH base="));
        let connections = asked.filter_map(|line| line.split(' ').find(|word| word.starts_with("conn=")));
        connections.collect::<HashSet<_>>().len()
    };
    let _ = granted(check(&only_ldap(ldap(&[slapd.url()])).await, "acaird", "pass word").await);
    let start = slapd.log().len();
    for _ in 0..10 {
        let _ = granted(check(&directories, "acaird", "pass word").await);
    }
    assert_eq!(used(start), 2, "one for searches, one for binds");
    let logins = (0..40).map(|number| {
        let directories = Arc::clone(&directories);
        tokio::spawn(async move {
            if number % 2 == 0 {
                let _ = granted(check(&directories, "acaird", "pass word").await);
            } else {
                assert_eq!(
                    denied(check(&directories, "acaird", "wrong").await),
                    DenyReason::WrongPassword
                );
            }
        })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.unwrap();
    }
    assert!(used(start) <= 6, "{} connections", used(start));
}

#[tokio::test]
async fn tls_is_verified() {
    let (slapd, other) = (Slapd::start(), Slapd::start());
    let ldaps = |server: &Slapd, ca: &Slapd| LdapSettings {
        ca_file: Some(ca.ca_file()),
        ..ldap(&[server.ldaps_url()])
    };
    let starttls = |server: &Slapd, ca: &Slapd| LdapSettings {
        starttls: true,
        ca_file: Some(ca.ca_file()),
        ..ldap(&[server.url()])
    };
    for settings in [ldaps(&slapd, &slapd), starttls(&slapd, &slapd)] {
        let directories = only_ldap(settings).await;
        for _ in 0..2 {
            let _ = granted(check(&directories, "acaird", "pass word").await);
        }
        assert_eq!(
            denied(check(&directories, "acaird", "x").await),
            DenyReason::WrongPassword
        );
    }
    assert!(
        count(&slapd.log(), "TLS established") >= 4,
        "both ways, searches and binds"
    );

    let before = count(&slapd.log(), "BIND");
    for settings in [ldaps(&slapd, &other), starttls(&slapd, &other)] {
        let directories = only_ldap(settings).await;
        let reason = unavailable(check(&directories, "acaird", "pass word").await);
        assert!(reason.contains("certificate"), "another CA: {reason}");
    }
    assert_eq!(count(&slapd.log(), "BIND"), before, "no password was sent");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let slapd = Slapd::start();
    // The same server, at an address that is not in its certificate.
    let url = format!("ldaps://127.0.0.2:{}/", slapd.ldaps_port());
    let relay = relay_from_another_address(slapd.ldaps_port());
    let settings = LdapSettings {
        ca_file: Some(slapd.ca_file()),
        ..ldap(&[url])
    };
    let reason = unavailable(check(&only_ldap(settings).await, "acaird", "pass word").await);
    relay.abort();
    assert!(
        reason.contains("certificate") || reason.contains("name"),
        "{reason}"
    );
    assert_eq!(count(&slapd.log(), "BIND"), 0);
}

/// Forwards connections from 127.0.0.2 to 127.0.0.1, both at this port.
fn relay_from_another_address(port: u16) -> tokio::task::JoinHandle<()> {
    let listener = std::net::TcpListener::bind(("127.0.0.2", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    })
}

#[tokio::test]
async fn starttls_that_is_refused_is_an_outage_and_nothing_goes_in_the_clear() {
    let slapd = Slapd::start_with(&SlapdOptions {
        without_tls: true,
        ..SlapdOptions::default()
    });
    let with_tls = Slapd::start();
    let settings = LdapSettings {
        starttls: true,
        ca_file: Some(with_tls.ca_file()),
        ..ldap(&[slapd.url()])
    };
    let reason = unavailable(check(&only_ldap(settings).await, "acaird", "pass word").await);
    assert!(reason.contains(&slapd.url()), "{reason}");
    assert_eq!(count(&slapd.log(), "BIND"), 0);
}

/// With TLS 1.3, the server decides after the client considers the handshake done.
#[tokio::test]
async fn tls_that_breaks_after_the_handshake_makes_no_wrong_password() {
    let slapd = Slapd::start_with(&SlapdOptions {
        global: "TLSVerifyClient demand".to_owned(),
        ..SlapdOptions::default()
    });
    let ldaps = LdapSettings {
        ca_file: Some(slapd.ca_file()),
        ..ldap(&[slapd.ldaps_url()])
    };
    let starttls = LdapSettings {
        starttls: true,
        ca_file: Some(slapd.ca_file()),
        ..ldap(&[slapd.url()])
    };
    for settings in [ldaps, starttls] {
        let direct = LdapSettings {
            direct_bind: Some("uid={login},ou=People,o=Fox Chase Cancer Center,c=US".to_owned()),
            ..settings.clone()
        };
        for settings in [settings, direct] {
            let url = settings.servers[0].clone();
            let reason = unavailable(check(&only_ldap(settings).await, "acaird", "pass word").await);
            assert!(reason.contains(&url), "{reason}");
            assert!(
                !reason.contains("premature end") && !reason.contains("channel"),
                "{reason}"
            );
            let cause = reason.to_lowercase();
            assert!(
                cause.contains("certificate") || cause.contains("closed") || cause.contains("reset"),
                "{reason}"
            );
        }
    }
    assert_eq!(count(&slapd.log(), "BIND"), 0, "nothing goes in the clear");
}

#[tokio::test]
async fn a_server_that_wants_tls_makes_no_wrong_password() {
    let global = "security simple_bind=128".to_owned();
    let slapd = Slapd::start_with(&SlapdOptions {
        global,
        ..SlapdOptions::default()
    });
    let reason = unavailable(check(&only_ldap(ldap(&[slapd.url()])).await, "acaird", "pass word").await);
    assert!(reason.contains("confidentialityRequired"), "{reason}");
    let settings = LdapSettings {
        starttls: true,
        ca_file: Some(slapd.ca_file()),
        ..ldap(&[slapd.url()])
    };
    let _ = granted(check(&only_ldap(settings).await, "acaird", "pass word").await);
}

/// Only the service identity may search, and users may not even see themselves.
fn guarded() -> Slapd {
    let database = format!(
        "access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"{SERVICE}\" read by anonymous auth by * none"
    );
    let ldif = person("postern", &[], "service password");
    Slapd::start_with(&SlapdOptions {
        database,
        ldif,
        ..SlapdOptions::default()
    })
}

fn secret_file(folder: &tempfile::TempDir, text: &str) -> std::path::PathBuf {
    let path = folder.path().join("bind-password");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[tokio::test]
async fn searches_are_made_by_the_service_identity_and_never_by_a_user() {
    let slapd = guarded();
    let folder = tempfile::tempdir().unwrap();
    let settings = LdapSettings {
        bind_dn: Some(SERVICE.into()),
        bind_password_file: Some(secret_file(&folder, "service password\n")),
        pool_size: 1,
        ..ldap(&[slapd.url()])
    };
    let directories = only_ldap(settings.clone()).await;
    for _ in 0..5 {
        let account = granted(check(&directories, "acaird", "pass word").await);
        assert_eq!(
            account.addresses,
            ["acaird@fccc.example"],
            "a user's rights would show nothing"
        );
        assert_eq!(
            denied(check(&directories, "acaird", "wrong").await),
            DenyReason::WrongPassword
        );
        assert_eq!(
            denied(check(&directories, "nobody", "x").await),
            DenyReason::UnknownUser
        );
        assert_eq!(exists(&directories, "acaird@fccc.example").await, Existence::Yes);
    }
    assert_eq!(
        count(&slapd.log(), "BIND dn=\"uid=postern"),
        2,
        "one bind, told in two lines"
    );

    let anonymous = only_ldap(ldap(&[slapd.url()])).await;
    let verdict = check(&anonymous, "acaird", "pass word").await;
    assert!(
        !matches!(verdict, postern_directory::PasswordVerdict::Granted(_)),
        "{verdict:?}"
    );

    let wrong = LdapSettings {
        bind_password_file: Some(secret_file(&folder, "wrong\n")),
        ..settings
    };
    let reason = unavailable(check(&only_ldap(wrong).await, "acaird", "pass word").await);
    assert!(
        reason.contains("cannot bind as") && reason.contains("invalidCredentials"),
        "{reason}"
    );
}

#[tokio::test]
async fn more_than_one_entry_is_nobody() {
    let ldif: String = (1..=3)
        .map(|n| person(&format!("twin{n}"), &["twins@fccc.example"], "x"))
        .collect();
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif,
        ..SlapdOptions::default()
    });
    let settings = LdapSettings {
        filter: "(|(uid={login})(mail={login}))".into(),
        ..ldap(&[slapd.url()])
    };
    let directories = only_ldap(settings).await;
    assert_eq!(
        denied(check(&directories, "twins@fccc.example", "x").await),
        DenyReason::Ambiguous
    );
    assert_eq!(granted(check(&directories, "twin1", "x").await).login, "twin1");
    let by_address = granted(check(&directories, "ACaird@fccc.example", "pass word").await);
    assert_eq!(
        by_address.login, "acaird",
        "an address leads to the name of its entry"
    );
    assert_eq!(
        exists(&directories, "twins@fccc.example").await,
        Existence::Yes,
        "mail may reach all three"
    );
}

#[tokio::test]
async fn recipients() {
    let ldif = person("o'neil", &["o'neil+list@fccc.example", "star*@fccc.example"], "x");
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif,
        ..SlapdOptions::default()
    });
    let directories = only_ldap(ldap(&[slapd.url()])).await;
    let cases = [
        ("an address", "acaird@fccc.example", Existence::Yes),
        ("another case", "ACaird@FCCC.example", Existence::Yes),
        ("quoted without need", "\"acaird\"@fccc.example", Existence::Yes),
        (
            "letters with a meaning elsewhere",
            "o'neil+list@fccc.example",
            Existence::Yes,
        ),
        ("a star is a star", "star*@fccc.example", Existence::Yes),
        ("and no pattern", "acair*@fccc.example", Existence::No),
        ("unknown", "nobody@fccc.example", Existence::No),
        ("another domain", "acaird@other.example", Existence::No),
        ("a filter in quotes", "\"x)(mail=*\"@fccc.example", Existence::No),
    ];
    for (shows, address, want) in cases {
        assert_eq!(exists(&directories, address).await, want, "{shows}");
    }
    let recipient_filter = Some("(&(uid={local})(objectClass=inetOrgPerson))".to_owned());
    let by_local = only_ldap(LdapSettings {
        recipient_filter,
        ..ldap(&[slapd.url()])
    })
    .await;
    assert_eq!(exists(&by_local, "acaird@any.example").await, Existence::Yes);
    assert_eq!(exists(&by_local, "nobody@any.example").await, Existence::No);
}

#[tokio::test]
async fn how_far_a_search_goes() {
    let slapd = Slapd::start();
    let at = |base: &str, scope| LdapSettings {
        search_base: base.into(),
        scope,
        ..ldap(&[slapd.url()])
    };
    let entry = format!("uid=acaird,{PEOPLE}");
    let cases = [
        ("below the top", at(SUFFIX, SearchScope::Subtree), true),
        (
            "not directly below the top",
            at(SUFFIX, SearchScope::OneLevel),
            false,
        ),
        ("directly below", at(PEOPLE, SearchScope::OneLevel), true),
        ("itself", at(&entry, SearchScope::Base), true),
    ];
    for (shows, settings, found) in cases {
        let verdict = check(&only_ldap(settings).await, "acaird", "pass word").await;
        if found {
            let _ = granted(verdict);
        } else {
            assert_eq!(denied(verdict), DenyReason::UnknownUser, "{shows}");
        }
    }
    let reason = unavailable(
        check(
            &only_ldap(at(
                "ou=Nowhere,o=Fox Chase Cancer Center,c=US",
                SearchScope::Subtree,
            ))
            .await,
            "acaird",
            "x",
        )
        .await,
    );
    assert!(
        reason.contains("search base"),
        "a wrong base is the administrator's mistake: {reason}"
    );
}

#[tokio::test]
async fn entries_without_a_password_and_changes_of_it() {
    let ldif = person("keyless", &[], "x").replace("userPassword: x\n", "");
    let slapd = Slapd::start_with(&SlapdOptions {
        ldif,
        ..SlapdOptions::default()
    });
    let directories = only_ldap(ldap(&[slapd.url()])).await;
    assert_eq!(
        denied(check(&directories, "keyless", "x").await),
        DenyReason::WrongPassword
    );
    let _ = granted(check(&directories, "acaird", "pass word").await);
    slapd.modify(&format!(
        "dn: uid=acaird,{PEOPLE}\nchangetype: modify\nreplace: userPassword\nuserPassword: another\n"
    ));
    assert_eq!(
        denied(check(&directories, "acaird", "pass word").await),
        DenyReason::WrongPassword,
        "at once"
    );
    let _ = granted(check(&directories, "acaird", "another").await);
    slapd.modify(&format!("dn: uid=acaird,{PEOPLE}\nchangetype: delete\n"));
    assert_eq!(
        denied(check(&directories, "acaird", "another").await),
        DenyReason::UnknownUser
    );
}

#[tokio::test]
async fn settings_that_are_wrong_say_how_to_mend_them() {
    let folder = tempfile::tempdir().unwrap();
    let readable = folder.path().join("open");
    std::fs::write(&readable, "secret\n").unwrap();
    std::fs::set_permissions(&readable, std::fs::Permissions::from_mode(0o644)).unwrap();
    let good = ldap(&["ldap://127.0.0.1:3890/".into()]);
    let url = |text: &str| LdapSettings {
        servers: vec![text.into()],
        ..good.clone()
    };
    let cases = [
        (
            "no server",
            LdapSettings {
                servers: vec![],
                ..good.clone()
            },
            "servers has 0 servers",
        ),
        ("no scheme", url("127.0.0.1"), "ldap://host[:port]/"),
        ("another scheme", url("http://127.0.0.1/"), "is not of LDAP"),
        ("no host", url("ldap:///"), "names no host"),
        (
            "the base in the URL",
            url("ldap://h/ou=People"),
            "keys of their own",
        ),
        ("a login in the URL", url("ldap://cn=admin:x@h/"), "bind_dn"),
        ("IPv6 with TLS", url("ldaps://[::1]/"), "use a name"),
        (
            "a filter for everybody",
            LdapSettings {
                filter: "(uid=*)".into(),
                ..good.clone()
            },
            "filter",
        ),
        (
            "no filter",
            LdapSettings {
                filter: "uid {login}".into(),
                ..good.clone()
            },
            "not a valid LDAP filter",
        ),
        (
            "no password",
            LdapSettings {
                bind_dn: Some("cn=a".into()),
                ..good.clone()
            },
            "bind_dn is set without `bind_password_file`",
        ),
        (
            "a password that all may read",
            LdapSettings {
                bind_dn: Some("cn=a".into()),
                bind_password_file: Some(readable.clone()),
                ..good.clone()
            },
            "chmod 600",
        ),
        (
            "a password for nobody",
            LdapSettings {
                bind_password_file: Some(readable),
                ..good.clone()
            },
            "bind_password_file is set without `bind_dn`",
        ),
        (
            "no such CA",
            LdapSettings {
                starttls: true,
                ca_file: Some(folder.path().join("none")),
                ..good.clone()
            },
            "ca_file cannot read",
        ),
        (
            "no connections",
            LdapSettings {
                pool_size: 0,
                ..good.clone()
            },
            "from 1 to 256",
        ),
        (
            "no time",
            LdapSettings {
                timeout: Duration::ZERO,
                ..good.clone()
            },
            "timeout is zero",
        ),
    ];
    for (shows, settings, want) in cases {
        let error: DirectoryError = Directories::open(vec![DirectorySettings::Ldap(settings)])
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(want) && text.contains("ldap (directory 1)"),
            "{shows}: {text}"
        );
    }
    assert!(
        Directories::open(vec![DirectorySettings::Ldap(good)])
            .await
            .is_ok(),
        "a server that is down is no mistake"
    );
}
