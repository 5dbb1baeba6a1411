//! Who may log in, what a login allows, and what slows guessing.

use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use postern_directory::{DirectorySettings, LdapSettings, UserStore, UsersSettings};
use postern_policy::identity::SenderRule;
use postern_policy::relay::CertificateRule;
use postern_receive::{AuthRule, Plaintext};
use postern_testkit::smtp::TlsOptions;
use secrecy::SecretString;
use tempfile::TempDir;

use crate::harness::{HOST, Options};

fn open() -> Options {
    let mut options = Options::mx();
    options.listener.auth = AuthRule::Offer;
    options.settings.auth.plaintext = Plaintext::Always;
    options
}

#[test]
fn commands_behind_starttls_are_never_heard() {
    let server = Options::mx().start();
    let ca = server.ca();
    let mut client = server.connect();
    client
        .send(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<forged@bank.example>\r\n")
        .unwrap();
    assert_eq!(client.reply().unwrap(), "220 2.0.0 Ready to start TLS");
    let mut client = client
        .after_starttls(TlsOptions {
            name: HOST,
            ca: &ca,
            identity: None,
        })
        .unwrap();
    assert_eq!(
        client.say("RCPT TO:<acaird@challenger.example>").unwrap(),
        "503 5.0.0 Need MAIL before RCPT"
    );
}

#[test]
fn a_directory_that_is_down_is_no_refusal() {
    let mut options = open();
    options.directories = Some(vec![DirectorySettings::Ldap(LdapSettings {
        servers: vec!["ldap://127.0.0.1:1/".to_owned()],
        search_base: "o=none".to_owned(),
        timeout: Duration::from_secs(2),
        ..LdapSettings::default()
    })]);
    let server = options.start();
    let mut client = server.connect();
    assert!(
        client
            .login("acaird", "pass word")
            .unwrap()
            .starts_with("454 4.7.0")
    );
    client.say("MAIL FROM:<a@a.example>").unwrap();
    assert!(
        client
            .say("RCPT TO:<acaird@challenger.example>")
            .unwrap()
            .starts_with("451 4.4.3")
    );
    assert!(
        client
            .say("RCPT TO:<postmaster@challenger.example>")
            .unwrap()
            .starts_with("250")
    );
    assert!(
        client
            .say("RCPT TO:<staff@challenger.example>")
            .unwrap()
            .starts_with("451 4.4.3"),
        "whether a user behind an alias exists is not known now either"
    );
}

#[test]
fn guessing_is_slowed_and_then_barred_for_that_login_alone() {
    let mut options = open();
    options.settings.throttle.free_failures = 1;
    options.settings.throttle.first_delay = Duration::from_millis(300);
    options.settings.throttle.failures_max = 3;
    let server = options.start();
    let guess = |password: &str| server.connect().login("acaird", password).unwrap();
    let timed = |password: &str| {
        let begun = Instant::now();
        (guess(password), begun.elapsed())
    };
    assert!(guess("one").starts_with("535 5.7.0"));
    assert!(guess("two").starts_with("535 5.7.0"));
    let (reply, took) = timed("three");
    assert!(
        reply.starts_with("535 5.7.0") && took >= Duration::from_millis(300),
        "{reply} {took:?}"
    );
    assert!(
        guess("pass word").starts_with("454 4.7.0"),
        "locked out, though the password is right"
    );
    assert!(
        server.connect().login("nobody", "x").unwrap().starts_with("535"),
        "others are not"
    );
}

/// While one directory is down it is not certain that the password is wrong, but a guess at the other still counts.
#[test]
fn guessing_is_barred_while_a_directory_is_down() {
    for login in ["acaird", "nobody"] {
        let folder = TempDir::new().unwrap();
        let database = folder.path().join("users.db");
        let store = UserStore::open(&database).unwrap();
        store
            .add("acaird", &SecretString::from("pass word"), &[])
            .unwrap();
        let mut options = open();
        options.settings.throttle.free_failures = 1;
        options.settings.throttle.first_delay = Duration::from_millis(300);
        options.settings.throttle.failures_max = 3;
        options.directories = Some(vec![
            DirectorySettings::Ldap(LdapSettings {
                servers: vec!["ldap://127.0.0.1:1/".to_owned()],
                search_base: "o=none".to_owned(),
                ..LdapSettings::default()
            }),
            DirectorySettings::Users(UsersSettings {
                database,
                ..UsersSettings::default()
            }),
        ]);
        let server = options.start();
        let guess = |password: &str| server.connect().login(login, password).unwrap();
        // Each weighs half: the other directory may know the user name.
        for password in ["one", "two", "three", "four", "five"] {
            assert!(guess(password).starts_with("454 4.7.0"), "{login}");
        }
        let begun = Instant::now();
        assert!(guess("six").starts_with("454 4.7.0"), "{login}");
        assert!(begun.elapsed() >= Duration::from_millis(300), "{login}");
        let reply = guess("pass word");
        assert!(
            reply.starts_with("454 4.7.0"),
            "{login}, locked out with the right password: {reply}"
        );
    }
}

/// A guesser with many connections gets no more guesses than one with a single connection.
#[test]
fn guesses_at_the_same_time_are_barred_like_those_in_turn() {
    let mut options = open();
    options.settings.throttle.free_failures = 100;
    options.settings.throttle.failures_max = 5;
    let server = options.start();
    let start = Barrier::new(30);
    let guess = || {
        let mut client = server.connect();
        start.wait();
        client.login("acaird", "wrong").unwrap()
    };
    let replies: Vec<String> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..30).map(|_| scope.spawn(guess)).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let checked = replies.iter().filter(|reply| reply.starts_with("535")).count();
    assert_eq!(checked, 5, "{replies:?}");
    assert!(
        replies
            .iter()
            .all(|reply| reply.starts_with("535") || reply.starts_with("454"))
    );
}

#[test]
fn logins_at_the_same_time_all_succeed() {
    let mut options = open();
    options.settings.throttle.failures_max = 2;
    let server = options.start();
    let login = || server.connect().login("acaird", "pass word").unwrap();
    std::thread::scope(|scope| {
        let logins: Vec<_> = (0..20).map(|_| scope.spawn(login)).collect();
        for login in logins {
            assert!(login.join().unwrap().starts_with("235"));
        }
    });
}

#[test]
fn one_session_may_not_guess_on() {
    let mut options = open();
    options.settings.throttle.free_failures = 100;
    options.settings.throttle.failures_max = 100;
    let server = options.start();
    let mut client = server.connect();
    for _ in 0..3 {
        assert!(client.login("acaird", "wrong").unwrap().starts_with("535"));
    }
    assert!(client.login("acaird", "wrong").unwrap().starts_with("421 4.7.0"));
    assert!(client.reply().is_err(), "closed");
}

#[test]
fn a_login_may_be_held_to_its_own_addresses() {
    let mut options = Options::submission();
    options.settings.identity.senders = SenderRule::Own;
    let server = options.start();
    let mut client = server.logged_in();
    assert!(
        client
            .say("MAIL FROM:<boss@fccc.example>")
            .unwrap()
            .starts_with("553 5.7.1")
    );
    assert!(
        client
            .say("MAIL FROM:<ACaird@fccc.example>")
            .unwrap()
            .starts_with("250")
    );
}

#[test]
fn relaying_by_certificate_and_by_network() {
    let mut options = Options::mx();
    options.settings.relay.certificates = vec![CertificateRule {
        name: "laptop".into(),
        subject: Some("CN=laptop.example".into()),
        ..CertificateRule::default()
    }];
    let server = options.start();
    let ca = server.ca();
    let (certificate, key) = server.identity();
    let reaches_outside = |identity| {
        let mut client = server
            .connect()
            .starttls(TlsOptions {
                name: HOST,
                ca: &ca,
                identity,
            })
            .unwrap();
        client.say("EHLO c").unwrap();
        client.say("MAIL FROM:<a@a.example>").unwrap();
        client
            .say("RCPT TO:<b@outside.example>")
            .unwrap()
            .starts_with("250")
    };
    assert!(reaches_outside(Some((certificate.as_path(), key.as_path()))));
    assert!(!reaches_outside(None));

    let mut options = Options::mx();
    options.settings.relay.networks = vec!["127.0.0.0/8".parse().unwrap()];
    let server = options.start();
    let mut client = server.connect();
    client.say("MAIL FROM:<a@a.example>").unwrap();
    assert!(
        client
            .say("RCPT TO:<b@outside.example>")
            .unwrap()
            .starts_with("250")
    );
}

/// A third-party client, with its own TLS and its own idea of SMTP.
#[test]
fn pythons_smtplib_logs_in_and_sends() {
    const SCRIPT: &str = r#"
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
for mechanism in ("auth_login", "auth_plain"):
    server = smtplib.SMTP("localhost", int(sys.argv[1]), local_hostname="helo")
    server._host = "challenger.example"
    server.starttls(context=context)
    server.ehlo()
    server.user, server.password = "acaird", "pass word"
    server.auth(mechanism[5:].upper(), getattr(server, mechanism))
    server.sendmail("acaird@fccc.example", ["someone@outside.example"], "Subject: x\r\n\r\n.dot\r\n")
    server.quit()
print("sent")
"#;
    let server = Options::submission().start();
    let output = Command::new("python3")
        .args(["-c", SCRIPT, &server.port.to_string()])
        .arg(server.ca())
        .output()
        .expect("python3 is needed: Debian package python3");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "sent\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(server.spool.counts().messages, 2);
}
