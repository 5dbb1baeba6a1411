//! Sessions end when their login is no longer valid, or when an administrator ends them.

use std::time::Duration;

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use postern_directory::UserStore;
use postern_policy::login::{CertificateLogin, LoginSource, MechanismRule};
use postern_policy::relay::CertificateRule;
use postern_receive::{SessionFilter, Settings};
use postern_sasl::Mechanism;
use postern_testkit::process::wait_until;
use postern_testkit::smtp::{Client, TlsOptions};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{HOST, Options};

const OVER: &str = "421 4.7.0 Login no longer valid, log in again";

/// How a message is sent.
#[derive(Clone, Copy, Debug)]
enum By {
    Data,
    Bdat,
}

fn send(client: &mut Client, by: By) -> String {
    let reply = client.say("MAIL FROM:<acaird@challenger.example>").unwrap();
    if !reply.starts_with("250") {
        return reply;
    }
    assert!(
        client
            .say("RCPT TO:<x@outside.example>")
            .unwrap()
            .starts_with("250")
    );
    match by {
        By::Data => {
            assert!(client.say("DATA").unwrap().starts_with("354"));
            client.say("Subject: a\r\n\r\na\r\n.").unwrap()
        }
        By::Bdat => {
            client.send(b"BDAT 17 LAST\r\nSubject: a\r\n\r\na\r\n").unwrap();
            client.reply().unwrap()
        }
    }
}

fn is_closed(client: &mut Client) -> bool {
    client.say("NOOP").is_err()
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

type Change = fn(&UserStore);

#[test]
fn what_takes_a_login_away_ends_its_session_before_the_next_message() {
    let server = Options::submission().start();
    let store = server.users();
    #[rustfmt::skip]
    let cases: [(&str, By, Change); 5] = [
        ("disabled",                  By::Data, |store| store.disable("acaird").unwrap()),
        ("disabled, and BDAT",        By::Bdat, |store| store.disable("acaird").unwrap()),
        ("another password",          By::Data, |store| store.set_password("acaird", &secret("other word")).unwrap()),
        ("the same password anew",    By::Bdat, |store| store.set_password("acaird", &secret("pass word")).unwrap()),
        ("removed",                   By::Data, |store| store.remove("acaird").unwrap()),
    ];
    for (shows, by, change) in cases {
        let mut client = server.logged_in();
        assert!(send(&mut client, by).starts_with("250"), "{shows}");
        change(&store);
        assert_eq!(send(&mut client, by), OVER, "{shows}");
        assert!(is_closed(&mut client), "{shows}");
        if store.get("acaird").unwrap().is_some() {
            store.set_password("acaird", &secret("pass word")).unwrap();
            store.enable("acaird").unwrap();
        }
    }
    // The same name now belongs to a different account.
    store.add("acaird", &secret("pass word"), &[]).unwrap();
    let mut client = server.logged_in();
    store.remove("acaird").unwrap();
    store.add("acaird", &secret("pass word"), &[]).unwrap();
    assert_eq!(send(&mut client, By::Data), OVER);
}

#[test]
fn an_app_password_ends_with_its_own_sessions_alone() {
    let server = Options::submission().start();
    let store = server.users();
    let mut sessions = Vec::new();
    for label in ["phone", "laptop"] {
        let password = store.add_app_password("acaird", label, None, &[]).unwrap();
        let mut client = server.connect_secured();
        let reply = client.login("acaird", password.expose_secret()).unwrap();
        assert!(reply.starts_with("235"), "{reply}");
        sessions.push(client);
    }
    let mut by_password = server.logged_in();
    store.revoke_app_password("acaird", "phone").unwrap();
    assert_eq!(send(&mut sessions[0], By::Data), OVER);
    assert!(send(&mut sessions[1], By::Data).starts_with("250"));
    assert!(send(&mut by_password, By::Bdat).starts_with("250"));

    // Changes to other users end nothing, and neither does a new address, which can be used at once.
    store.add("bob", &secret("bob's word"), &[]).unwrap();
    store.disable("bob").unwrap();
    store.add_address("acaird", "new@challenger.example").unwrap();
    assert!(send(&mut by_password, By::Data).starts_with("250"));
    store.set_password("acaird", &secret("other word")).unwrap();
    assert_eq!(send(&mut by_password, By::Data), OVER);
    assert!(send(&mut sessions[1], By::Data).starts_with("250"));
}

#[test]
fn settings_take_logins_away() {
    let changed = |change: fn(&mut Settings)| {
        let server = Options::submission().start();
        let mut client = server.logged_in();
        assert!(send(&mut client, By::Data).starts_with("250"));
        let mut settings = Settings::clone(&server.settings.load());
        change(&mut settings);
        server.settings.store(settings.into());
        send(&mut client, By::Data)
    };
    #[rustfmt::skip]
    type Change = fn(&mut Settings);
    let cases: [(&str, Change, bool); 5] = [
        ("nothing", |_| {}, true),
        (
            "another mechanism",
            |settings| {
                settings
                    .auth
                    .mechanisms
                    .retain(|mechanism| *mechanism != Mechanism::Login)
            },
            true,
        ),
        (
            "its mechanism",
            |settings| {
                settings
                    .auth
                    .mechanisms
                    .retain(|mechanism| *mechanism != Mechanism::Plain)
            },
            false,
        ),
        (
            "its mechanism's last day",
            |settings| {
                settings.auth.rules.push((
                    Mechanism::Plain,
                    MechanismRule {
                        until: Some(date(2020, 1, 1)),
                        ..MechanismRule::default()
                    },
                ))
            },
            false,
        ),
        (
            "how old logins may become",
            |settings| settings.auth.login_lifetime = Duration::from_nanos(1),
            false,
        ),
    ];
    for (shows, change, goes_on) in cases {
        let reply = changed(change);
        assert_eq!(reply.starts_with("250"), goes_on, "{shows}: {reply}");
        assert_eq!(reply == OVER, !goes_on, "{shows}: {reply}");
    }
}

#[test]
fn sessions_are_listed_and_ended() {
    let server = Options::submission().start();
    server.users().add("bob", &secret("bob's word"), &[]).unwrap();
    let mut ann = server.logged_in();
    let mut busy = server.logged_in();
    let mut bob = server.connect_secured();
    assert!(bob.login("bob", "bob's word").unwrap().starts_with("235"));
    let mut stranger = server.connect();
    stranger.say("EHLO helo").unwrap();

    let all = server.receiver.open_sessions(&SessionFilter::default());
    let logins: Vec<_> = all.iter().map(|session| session.login.as_deref()).collect();
    assert_eq!(logins, [Some("acaird"), Some("acaird"), Some("bob"), None]);
    assert_eq!((all[0].mechanism, all[0].tls), (Some("PLAIN"), Some("TLSv1.3")));
    assert_eq!((all[3].mechanism, all[3].tls), (None, None));
    assert!(
        all.iter()
            .all(|session| session.listener == "test" && session.peer.ip().is_loopback())
    );

    let filter = |login: Option<&str>, network: Option<&str>, listener: Option<&str>| SessionFilter {
        login: login.map(str::to_owned),
        network: network.map(|network| network.parse().unwrap()),
        listener: listener.map(str::to_owned),
    };
    #[rustfmt::skip]
    let cases = [
        ("by login, in any case",     filter(Some("ACaird"), None, None),                          2),
        ("by network",                filter(None, Some("127.0.0.0/8"), None),                     4),
        ("by another network",        filter(None, Some("192.0.2.0/24"), None),                    0),
        ("by listener",               filter(None, None, Some("test")),                            4),
        ("all has to match",          filter(Some("bob"), Some("127.0.0.0/8"), Some("other")),     0),
    ];
    for (shows, filter, want) in cases {
        assert_eq!(server.receiver.open_sessions(&filter).len(), want, "{shows}");
    }

    // One is idle, one in the middle of a message: both end.
    assert!(
        busy.say("MAIL FROM:<acaird@challenger.example>")
            .unwrap()
            .starts_with("250")
    );
    assert!(
        busy.say("RCPT TO:<x@outside.example>")
            .unwrap()
            .starts_with("250")
    );
    assert!(busy.say("DATA").unwrap().starts_with("354"));
    busy.send(b"Subject: never whole\r\n").unwrap();
    assert_eq!(
        server
            .receiver
            .end_sessions(&filter(Some("acaird"), None, None), "root"),
        2
    );
    let ended = "421 4.7.0 Session ended by the administrator, log in again";
    assert_eq!(ann.reply().unwrap(), ended);
    assert_eq!(busy.reply().unwrap(), ended);
    assert!(is_closed(&mut ann) && is_closed(&mut busy));
    assert!(bob.say("NOOP").unwrap().starts_with("250"));
    assert!(stranger.say("NOOP").unwrap().starts_with("250"));
    assert_eq!(server.queued(), 0);
}

#[test]
fn a_look_at_all_logins_ends_those_that_hold_no_more() {
    let server = Options::submission().start();
    server.users().add("bob", &secret("bob's word"), &[]).unwrap();
    let mut bob = server.connect_secured();
    assert!(bob.login("bob", "bob's word").unwrap().starts_with("235"));
    let mut ann = server.logged_in();
    assert_eq!(server.recheck_logins(), 0);
    server.users().disable("acaird").unwrap();
    assert_eq!(server.recheck_logins(), 1);
    assert_eq!(ann.reply().unwrap(), OVER);
    assert!(is_closed(&mut ann));
    assert!(bob.say("NOOP").unwrap().starts_with("250"));
}

/// When a reload removes a rule, the sessions that depend on it end, and no others.
#[test]
fn a_certificate_counts_for_as_long_as_a_rule_says_so() {
    let rule = |subject: &str, login: &str| CertificateLogin {
        certificate: CertificateRule {
            subject: Some(subject.into()),
            ..CertificateRule::default()
        },
        email: None,
        login: LoginSource::Fixed(login.into()),
    };
    let ours = || rule("CN=laptop.example", "acaird");
    #[rustfmt::skip]
    let cases = [
        ("nothing changed",                vec![ours()],                                            true),
        ("another rule before it",         vec![rule("CN=other.example", "bob"), ours()],           true),
        ("it is somebody else's",          vec![rule("CN=laptop.example", "bob")],                  false),
        ("another certificate's",          vec![rule("CN=other.example", "acaird")],                false),
        ("the rule is gone",               vec![],                                                  false),
    ];
    for (shows, rules, goes_on) in cases {
        let mut options = Options::submission();
        options.settings.auth.mechanisms = vec![Mechanism::External, Mechanism::Plain];
        options.settings.auth.certificates = vec![ours()];
        let server = options.start();
        let (ca, (certificate, key)) = (server.ca(), server.identity());
        let tls = TlsOptions {
            name: HOST,
            ca: &ca,
            identity: Some((certificate.as_path(), key.as_path())),
        };
        let mut client = server.connect().starttls(tls).unwrap();
        client.say("EHLO helo").unwrap();
        assert!(
            client.say("AUTH EXTERNAL =").unwrap().starts_with("235"),
            "{shows}"
        );
        assert!(send(&mut client, By::Data).starts_with("250"), "{shows}");
        let mut by_password = server.logged_in();
        let mut settings = Settings::clone(&server.settings.load());
        settings.auth.certificates = rules;
        server.settings.store(settings.into());
        let reply = send(&mut client, By::Bdat);
        assert_eq!(reply.starts_with("250"), goes_on, "{shows}: {reply}");
        assert_eq!(reply == OVER, !goes_on, "{shows}: {reply}");
        assert!(send(&mut by_password, By::Data).starts_with("250"), "{shows}");
    }
}

/// The same for a network removed by a reload, and for the rule of a certificate that allows relaying.
#[test]
fn a_machine_relays_for_as_long_as_a_rule_says_so() {
    let network = || vec!["127.0.0.0/8".parse().unwrap()];
    let other = || vec!["127.0.0.1/32".parse().unwrap()];
    let certificate = || {
        vec![CertificateRule {
            name: "laptop".into(),
            subject: Some("CN=laptop.example".into()),
            ..CertificateRule::default()
        }]
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                          networks, certificates before   and after                       goes on
        ("nothing changed",                             (network(), vec![]),            (network(), vec![]),            true),
        ("the network is gone",                         (network(), vec![]),            (vec![], vec![]),               false),
        ("another one has it",                          (network(), vec![]),            (other(), vec![]),              true),
        ("the certificate relays in its place",         (network(), vec![]),            (vec![], certificate()),        true),
        ("the rule of the certificate is gone",         (vec![], certificate()),        (vec![], vec![]),               false),
        ("the network relays in its place",             (vec![], certificate()),        (network(), vec![]),            true),
    ];
    for (shows, before, after, goes_on) in cases {
        let mut options = Options::mx();
        (
            options.settings.relay.networks,
            options.settings.relay.certificates,
        ) = before;
        let server = options.start();
        let (ca, (certificate, key)) = (server.ca(), server.identity());
        let tls = TlsOptions {
            name: HOST,
            ca: &ca,
            identity: Some((certificate.as_path(), key.as_path())),
        };
        let mut client = server.connect().starttls(tls).unwrap();
        client.say("EHLO helo").unwrap();
        assert!(send(&mut client, By::Data).starts_with("250"), "{shows}");
        let mut settings = Settings::clone(&server.settings.load());
        (settings.relay.networks, settings.relay.certificates) = after;
        server.settings.store(settings.into());
        let reply = send(&mut client, By::Bdat);
        assert_eq!(reply.starts_with("250"), goes_on, "{shows}: {reply}");
        if !goes_on {
            assert_eq!(
                reply, "421 4.7.0 Relaying no longer allowed, connect again",
                "{shows}"
            );
            assert!(is_closed(&mut client), "{shows}");
        }
    }
}

/// An app password that expires while its session is open.
#[test]
fn an_app_password_that_expires_ends_its_session() {
    let server = Options::submission().start();
    let store = server.users();
    // On a slow machine it may expire before its login.
    let (mut client, end) = (0..6)
        .find_map(|round| {
            let label = format!("round {round}");
            let end = Timestamp::now() + SignedDuration::from_secs(2 << round);
            let password = store.add_app_password("acaird", &label, Some(end), &[]).unwrap();
            let mut client = server.connect_secured();
            let reply = client.login("acaird", password.expose_secret()).unwrap();
            reply.starts_with("235").then_some((client, end))
        })
        .unwrap();
    wait_until("the app password to expire", || Timestamp::now() > end);
    assert_eq!(send(&mut client, By::Data), OVER);
    assert!(is_closed(&mut client));
}
