//! Hosts with logins: which credentials are sent where, and what refusals mean.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::sync::Arc;

use common::{Bench, CONTENT, Host, PATIENCE, settings};
use postern_deliver::{Login, LoginSecret, Settings};
use postern_policy::DomainSet;
use postern_policy::route::{Hop, Protocol, RouteLogin, RouteRule, Target, TlsLevel, UnverifiedLogin};
use postern_sasl::{Layers, Mechanism};
use postern_testkit::process::wait_until;
use tokio::time::{Instant, sleep};

/// `\0user\0old word` and `\0user\0new word`, as in PLAIN.
const OLD: &str = "AUTH PLAIN AHVzZXIAb2xkIHdvcmQ=";
const NEW: &str = "AUTH PLAIN AHVzZXIAbmV3IHdvcmQ=";

const HELLO: &str = "S 220 mx.test\nC EHLO relay.test\nS 250-mx.test\nS 250-AUTH PLAIN\nS 250 8BITMIME\n";
const TAKE: &str = "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\n";

/// All mail goes to these ports with the login `x`.
fn with_password(password: &str, ports: &[u16]) -> Settings {
    let mut settings = settings();
    let login = Login {
        name: "x".into(),
        account: "user".into(),
        authzid: None,
        domain: None,
        secret: LoginSecret::Password(password.to_owned().into()),
        mechanisms: Some(vec![Mechanism::Plain]),
        layers: Layers::default(),
        kerberos: None,
        tls: None,
    };
    settings.logins.insert("x".into(), Arc::new(login));
    let via = ports
        .iter()
        .map(|port| Hop::parse(&format!("127.0.0.1:{port}"), 25).unwrap())
        .collect();
    let target = Target::Hosts {
        via,
        protocol: Protocol::Smtp,
    };
    settings.routes.rules = vec![RouteRule {
        tls: TlsLevel::None,
        login: Some(RouteLogin {
            name: "x".into(),
            unverified: UnverifiedLogin::Password,
        }),
        ..RouteRule::new(DomainSet::new(["*"]).unwrap(), target)
    }];
    settings
}

fn granted(login: &str) -> String {
    format!("{HELLO}C {login}\nS 235 welcome\n")
}

/// LOGIN's two prompts are identified by their order; some hosts write them without base64.
#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_logins_questions_do_not_matter() {
    for (first, second) in [
        ("Username:", "Password:"),
        ("VXNlcm5hbWU6", "Password please"),
        ("", ""),
    ] {
        let script = format!(
            "S 220 mx.test\nC EHLO relay.test\nS 250-mx.test\nS 250-AUTH LOGIN\nS 250 8BITMIME\nC AUTH LOGIN\n\
             S 334 {first}\nC dXNlcg==\nS 334 {second}\nC b2xkIHdvcmQ=\nS 235 welcome\n{TAKE}EOF"
        );
        let host = Host::start(&[&script]).await;
        let mut settings = with_password("old word", &[host.port]);
        let login = settings.logins.get_mut("x").unwrap();
        Arc::get_mut(login).unwrap().mechanisms = Some(vec![Mechanism::Login]);
        let bench = Bench::start(settings);
        let id = bench.put("", &["a@x.test"], CONTENT).await;
        let history = bench.outcomes(id, 1).await;
        assert_eq!(
            common::shown(&history),
            ["a@x.test delivered 2.0.0 250 done"],
            "{first:?}, {second:?}"
        );
    }
}

/// Mail on its way to the old host when the configuration changes: if the host refuses the connection, the message goes back; if
/// the connection breaks, another host is tried. Neither sends the new password to the old host.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_reload_the_old_host_gets_neither_mail_nor_password() {
    let busy = "WAIT 1500\nS 421 too many\n".to_owned();
    let holds = format!("{}C MAIL\nWAIT 3000\nS 421 going down\n", granted(OLD));
    // Any later connection would be accepted.
    let old = Host::start(&[&holds, &busy, &format!("{HELLO}C AUTH\nS 235 welcome\n{TAKE}EOF")]).await;
    let new = Host::start(&[&format!("{}{TAKE}{TAKE}EOF", granted(NEW))]).await;
    let bench = Bench::start(with_password("old word", &[old.port]));
    let first = bench.put("", &["a@x.test"], CONTENT).await;
    let end = Instant::now() + PATIENCE;
    while !old.lines().iter().any(|line| line.starts_with("MAIL")) {
        assert!(Instant::now() < end, "{:?}", old.lines());
        sleep(std::time::Duration::from_millis(5)).await;
    }
    let second = bench.put("", &["b@x.test"], CONTENT).await;
    while old.connections() < 2 {
        assert!(Instant::now() < end, "no second connection");
        sleep(std::time::Duration::from_millis(5)).await;
    }
    bench
        .settings
        .store(with_password("new word", &[new.port]).into());
    bench.deliverer.reloaded();
    bench.outcomes(second, 1).await;
    bench.outcomes(first, 1).await;
    assert_eq!(new.bodies().len(), 2);
    assert_eq!(old.connections(), 2, "{:?}", old.lines());
    assert!(!old.lines().iter().any(|line| line == NEW), "{:?}", old.lines());
    bench.stop().await;
}

/// A host without AUTH, or without a mechanism that the login may use, is skipped. A refusal ends the attempt, since all hosts
/// have the same accounts.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_is_asked_when_one_is_not_to_be_logged_in_to() {
    let bare = Host::start(&["S 220 mx.test\nC EHLO\nS 250 mx.test\nC QUIT\nS 221 bye"]).await;
    let other =
        Host::start(&["S 220 mx.test\nC EHLO\nS 250-mx.test\nS 250 AUTH CRAM-MD5\nC QUIT\nS 221 bye"]).await;
    let willing = Host::start(&[&format!("{}{TAKE}EOF", granted(OLD))]).await;
    let bench = Bench::start(with_password("old word", &[bare.port, other.port, willing.port]));
    let id = bench.put("", &["a@x.test"], CONTENT).await;
    bench.outcomes(id, 1).await;
    assert_eq!(willing.bodies().len(), 1);
    assert!(
        !bare
            .lines()
            .iter()
            .chain(&other.lines())
            .any(|line| line.starts_with("AUTH"))
    );
    bench.stop().await;

    let bench = Bench::start(with_password("old word", &[bare.port, other.port]));
    let id = bench.put("", &["a@x.test"], CONTENT).await;
    let detail = bench.deferral(id).await;
    let reply = detail.recipients[0].last.as_ref().unwrap().reply.clone();
    assert!(reply.contains("does not offer AUTH"), "{reply}");
    bench.stop().await;

    let refuses = Host::start(&[&format!("{HELLO}C AUTH\nS 535 5.7.8 no\nC QUIT\nS 221 bye")]).await;
    let spared = Host::start(&[&format!("{}{TAKE}EOF", granted(OLD))]).await;
    let bench = Bench::start(with_password("old word", &[refuses.port, spared.port]));
    let id = bench.put("", &["a@x.test"], CONTENT).await;
    bench.deferral(id).await;
    assert_eq!(spared.connections(), 0);
    bench.stop().await;
}

/// A host that has forgotten the login, as after a restart behind a load balancer: the mail waits, and the next attempt
/// authenticates again.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_wants_the_login_again_bounces_nothing() {
    let forgets = format!("{}C MAIL\nS 530 5.7.0 authentication required\nEOF", granted(OLD));
    let host = Host::start(&[&forgets, &format!("{}{TAKE}EOF", granted(OLD))]).await;
    let bench = Bench::start(with_password("old word", &[host.port]));
    let id = bench.put("", &["a@x.test"], CONTENT).await;
    let history = bench.outcomes(id, 1).await;
    assert_eq!(common::shown(&history), ["a@x.test delivered 2.0.0 250 done"]);
    wait_until("two connections", || host.connections() == 2);
    assert_eq!(host.lines().iter().filter(|line| *line == OLD).count(), 2);
    bench.stop().await;
}

/// Otherwise an attacker could get the password by breaking the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn tls_that_breaks_does_not_send_a_password_in_the_clear() {
    let broken = "S 220 mx.test\nC EHLO\nS 250-mx.test\nS 250-AUTH PLAIN\nS 250 STARTTLS\nC STARTTLS\nS 220 go\nS no TLS\nEOF";
    let willing = format!("{}{TAKE}EOF", granted(OLD));
    let host = Host::start(&[broken, &willing]).await;
    let mut settings = with_password("old word", &[host.port]);
    settings.routes.rules[0].tls = TlsLevel::Opportunistic;
    settings.retry.intervals = vec![std::time::Duration::from_secs(600)];
    let bench = Bench::start(settings);
    let id = bench.put("", &["b@x.test"], CONTENT).await;
    let last = bench.deferral(id).await.recipients[0].last.clone().unwrap();
    assert_eq!(last.status.unwrap().to_string(), "4.7.5", "{last:?}");
    assert_eq!(host.connections(), 1);
    assert!(
        host.lines().iter().all(|line| !line.starts_with("AUTH")),
        "{:?}",
        host.lines()
    );
    bench.stop().await;
}
