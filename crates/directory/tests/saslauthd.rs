//! saslauthd as a real process, in front of a real slapd, as in the acceptance procedure.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{check, count, denied, exists, granted, only, unavailable};
use postern_directory::{DenyReason, Directories, DirectorySettings, Existence, SaslauthdSettings};
use postern_testkit::process::wait_until;
use postern_testkit::saslauthd::Saslauthd;
use postern_testkit::slapd::{PEOPLE, Slapd};

/// With ample time for a loaded machine: saslauthd in turn asks slapd.
fn settings(saslauthd: &Saslauthd) -> SaslauthdSettings {
    SaslauthdSettings {
        socket: saslauthd.socket(),
        timeout: Duration::from_secs(60),
        ..SaslauthdSettings::default()
    }
}

#[tokio::test]
async fn logins() {
    let slapd = Slapd::start();
    let saslauthd = Saslauthd::start(&slapd.url());
    let directories = only(DirectorySettings::Saslauthd(settings(&saslauthd))).await;
    let account = granted(check(&directories, "acaird", "pass word").await);
    assert_eq!((account.login.as_str(), account.addresses.len()), ("acaird", 0));
    // The realm is split off, and the back end does not check it: anyone could use any realm.
    let account = granted(check(&directories, "acaird@fccc.example", "pass word").await);
    assert_eq!((account.login.as_str(), account.addresses.len()), ("acaird", 0));
    let told = only(DirectorySettings::Saslauthd(SaslauthdSettings {
        realms: vec!["fccc.example".into()],
        ..settings(&saslauthd)
    }))
    .await;
    let account = granted(check(&told, "acaird@fccc.example", "pass word").await);
    assert_eq!(account.addresses, ["acaird@fccc.example"]);
    let reason = denied(check(&told, "acaird@admin.example", "pass word").await);
    assert_eq!(reason, DenyReason::Refused, "with the right password");
    wait_until("the realm in the log", || {
        saslauthd
            .log()
            .contains("[user=acaird] [service=smtp] [realm=fccc.example]")
    });
    let long = "x".repeat(257);
    let cases = [
        ("wrong password", "acaird", "password", DenyReason::Refused),
        ("unknown: it does not say so", "nobody", "x", DenyReason::Refused),
        ("empty password", "acaird", "", DenyReason::EmptyPassword),
        ("longer than it takes", "acaird", &long, DenyReason::Refused),
        (
            "a NUL, at which it would cut",
            "acaird\0x",
            "pass word",
            DenyReason::Malformed,
        ),
    ];
    for (shows, login, password, want) in cases {
        assert_eq!(
            denied(check(&directories, login, password).await),
            want,
            "{shows}"
        );
    }
    assert_eq!(
        denied(check(&directories, "acaird", &long[1..]).await),
        DenyReason::Refused,
        "just not too long"
    );
    assert_eq!(
        exists(&directories, "acaird@fccc.example").await,
        Existence::No,
        "it knows no addresses"
    );
}

#[tokio::test]
async fn realms_not_split_and_joined_again() {
    let slapd = Slapd::start();
    let configuration = format!(
        "ldap_servers: {}\nldap_search_base: {PEOPLE}\nldap_filter: mail=%u\n",
        slapd.url()
    );
    let joins = Saslauthd::start_ldap(&configuration, &["-r"]);
    let directories = only(DirectorySettings::Saslauthd(settings(&joins))).await;
    let _ = granted(check(&directories, "acaird@fccc.example", "pass word").await);

    let plain = Saslauthd::start_ldap(&configuration, &[]);
    let whole = SaslauthdSettings {
        split_realm: false,
        ..settings(&plain)
    };
    let directories = only(DirectorySettings::Saslauthd(whole)).await;
    let _ = granted(check(&directories, "acaird@fccc.example", "pass word").await);
}

#[tokio::test]
async fn down_or_hanging_is_an_outage() {
    let slapd = Slapd::start();
    let mut saslauthd = Saslauthd::start(&slapd.url());
    let log = common::LogCapture::start();
    let directories = only(DirectorySettings::Saslauthd(settings(&saslauthd))).await;
    let _ = granted(check(&directories, "acaird", "pass word").await);

    // The short time limit is only for the server that hangs: a login that should succeed could exceed it
    // on a loaded machine.
    saslauthd.freeze();
    let hurried = only(DirectorySettings::Saslauthd(SaslauthdSettings {
        timeout: Duration::from_millis(600),
        ..settings(&saslauthd)
    }))
    .await;
    for _ in 0..2 {
        let reason = unavailable(check(&hurried, "acaird", "pass word").await);
        assert!(reason.contains("no answer within 600 ms"), "{reason}");
    }
    let text = log.text();
    assert_eq!(count(&text, "directory fails"), 1, "{text}");
    saslauthd.resume();
    saslauthd.stop();
    let reason = unavailable(check(&directories, "acaird", "pass word").await);
    assert!(reason.contains("mux"), "{reason}");
    saslauthd.restart();
    let _ = granted(check(&directories, "acaird", "pass word").await);
    let text = log.text();
    assert_eq!(count(&text, "directory fails"), 2, "{text}");
    assert_eq!(count(&text, "directory answers again"), 1, "{text}");
    assert!(!text.contains("pass word"), "{text}");
}

#[tokio::test]
async fn many_at_once() {
    let slapd = Slapd::start();
    let saslauthd = Saslauthd::start(&slapd.url());
    let directories = Arc::new(only(DirectorySettings::Saslauthd(settings(&saslauthd))).await);
    let logins: Vec<_> = (0..60)
        .map(|_| {
            let directories = Arc::clone(&directories);
            tokio::spawn(async move { granted(check(&directories, "acaird", "pass word").await) })
        })
        .collect();
    for login in logins {
        let _ = login.await.unwrap();
    }
}

#[tokio::test]
async fn settings_that_are_wrong() {
    let base = SaslauthdSettings::default();
    let cases = [
        (
            "not absolute",
            SaslauthdSettings {
                socket: PathBuf::from("mux"),
                ..base.clone()
            },
            "absolute path",
        ),
        (
            "a long service",
            SaslauthdSettings {
                service: "x".repeat(300),
                ..base.clone()
            },
            "service",
        ),
        (
            "a NUL in the realm",
            SaslauthdSettings {
                realm: "a\0b".into(),
                ..base
            },
            "realm",
        ),
    ];
    for (shows, settings, want) in cases {
        let error = Directories::open(vec![DirectorySettings::Saslauthd(settings)])
            .await
            .unwrap_err();
        assert!(error.to_string().contains(want), "{shows}: {error}");
    }
}
