//! Every mechanism over a real session: right and wrong, known and unknown, offered and withheld.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_directory::{DirectorySettings, UserStore, UsersSettings};
use postern_policy::identity::SenderRule;
use postern_policy::login::{CertificateLogin, LoginSource, LoginTrust, MechanismRule};
use postern_policy::relay::CertificateRule;
use postern_receive::{AuthRule, Plaintext};
use postern_sasl::{
    ChannelBindings, ClientContext, ClientExchange, Credentials, Layers, Mechanism, Nonce, ScramHash,
    SecurityLayer,
};
use postern_testkit::smtp::{Client, TlsOptions};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::harness::{HOST, Options, Server, key_policy};

/// All mechanisms that need a password or a key derived from it.
const WITH_PASSWORD: [Mechanism; 11] = [
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::CramMd5,
    Mechanism::DigestMd5,
    Mechanism::Scram(ScramHash::Sha1),
    Mechanism::ScramPlus(ScramHash::Sha1),
    Mechanism::Scram(ScramHash::Sha256),
    Mechanism::ScramPlus(ScramHash::Sha256),
    Mechanism::Scram(ScramHash::Sha512),
    Mechanism::ScramPlus(ScramHash::Sha512),
    Mechanism::Ntlm,
];

fn with(mechanisms: &[Mechanism]) -> Options {
    let mut options = Options::mx();
    options.listener.auth = AuthRule::Offer;
    options.settings.auth.mechanisms = mechanisms.to_vec();
    options.settings.auth.scram_iterations = 4_096;
    options.settings.throttle.free_failures = 1_000;
    options.settings.throttle.failures_max = 1_000;
    options
}

pub(crate) fn exchange(
    mechanism: Mechanism,
    login: &str,
    password: &str,
    client: &Client,
    layers: Layers,
) -> ClientExchange {
    let credentials = Credentials {
        login: login.into(),
        password: Some(SecretString::from(password)),
        certificate: mechanism == Mechanism::External,
        ..Credentials::default()
    };
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    let context = ClientContext {
        bindings: ChannelBindings {
            exporter: client.tls_exporter(),
            server_end_point: None,
        },
        plus_offered: client.tls_exporter().is_some(),
        layers,
        ..ClientContext::new(HOST, 25, Nonce::new(rand::random()), now)
    };
    mechanism.client(&credentials, &context).unwrap()
}

/// Authenticates and returns the last reply, with the security layer if it succeeded.
fn log_in_with(
    client: &mut Client,
    mechanism: Mechanism,
    (login, password): (&str, &str),
    layers: Layers,
) -> (String, Option<Box<dyn SecurityLayer>>) {
    let mut exchange = exchange(mechanism, login, password, client, layers);
    let mut line = format!("AUTH {}", mechanism.name());
    if let Some(initial) = exchange.initial() {
        line.push(' ');
        line.push_str(&match initial.as_slice() {
            [] => "=".to_owned(),
            initial => STANDARD.encode(initial),
        });
    }
    let mut reply = client.say(&line).unwrap();
    while let Some(challenge) = reply.strip_prefix("334 ") {
        let challenge = STANDARD.decode(challenge).unwrap();
        reply = match exchange.step(&challenge) {
            Ok(response) => client.say(&STANDARD.encode(response.as_slice())).unwrap(),
            Err(error) => panic!("{mechanism}: {error}"),
        };
    }
    let layer = reply
        .starts_with("235")
        .then(|| exchange.finish().unwrap().layer)
        .flatten();
    (reply, layer)
}

fn log_in(client: &mut Client, mechanism: Mechanism, login: &str, password: &str) -> String {
    log_in_with(client, mechanism, (login, password), Layers::default()).0
}

fn offered(client: &mut Client) -> String {
    let reply = client.say("EHLO helo").unwrap();
    let line = reply.lines().find_map(|line| line[4..].strip_prefix("AUTH "));
    line.unwrap_or_default().to_owned()
}

#[test]
fn every_mechanism_takes_the_right_password_and_no_other() {
    let server = with(&WITH_PASSWORD).start();
    for mechanism in WITH_PASSWORD {
        for (shows, login, password, reply) in [
            ("right", "acaird", "pass word", "235 2.0.0 OK Authenticated"),
            (
                "wrong password",
                "acaird",
                "password",
                "535 5.7.0 authentication failed",
            ),
            (
                "no such login",
                "nobody",
                "pass word",
                "535 5.7.0 authentication failed",
            ),
        ] {
            let mut client = server.connect_secured();
            let got = log_in(&mut client, mechanism, login, password);
            assert_eq!(got, reply, "{mechanism}, {shows}");
        }
    }
    let counts = server.receiver.usage();
    assert_eq!(counts.len(), WITH_PASSWORD.len());
    assert!(
        counts
            .iter()
            .all(|count| count.login == "acaird" && count.count == 1)
    );
}

/// RFC 5802 section 5.1: what a stranger sees does not depend on whether a user name exists.
#[test]
fn unknown_logins_look_like_known_ones_and_stay_the_same_after_a_restart() {
    let mechanism = Mechanism::Scram(ScramHash::Sha256);
    let salt_of = |server: &Server, login: &str| {
        let mut client = server.connect_secured();
        let first = STANDARD.encode(format!("n,,n={login},r=fyko+d2lbbFgONRv9qkxdawL"));
        let reply = client.say(&format!("AUTH SCRAM-SHA-256 {first}")).unwrap();
        let challenge = STANDARD.decode(reply.strip_prefix("334 ").unwrap()).unwrap();
        let challenge = String::from_utf8(challenge).unwrap();
        challenge.split_once(",s=").unwrap().1.to_owned()
    };
    let server = with(&[mechanism]).start();
    let again = with(&[mechanism]).start();
    let (known, unknown) = (salt_of(&server, "acaird"), salt_of(&server, "nobody"));
    assert_eq!(known.len(), unknown.len(), "{known} {unknown}");
    assert!(known.ends_with(",i=4096") && unknown.ends_with(",i=4096"));
    assert_eq!(unknown, salt_of(&server, "nobody"));
    assert_eq!(
        unknown,
        salt_of(&again, "NOBODY"),
        "another process, another case"
    );
    assert_ne!(unknown, salt_of(&server, "nobody2"));
}

/// A user name without a domain gets the default domain, for every mechanism, the throttle and the sender rule.
#[test]
fn a_login_without_a_domain_is_of_the_default_one() {
    let start = |change: fn(&mut Options)| {
        let mut options = with(&WITH_PASSWORD);
        options.settings.auth.default_domain = Some("default.example".into());
        options.settings.throttle.network_failures_max = 1_000;
        options.settings.throttle.network_lockout_failures = 1_000;
        options.settings.throttle.login_failures_max = 1_000;
        options.settings.identity.senders = SenderRule::Own;
        options.settings.relay.login_relays = true;
        change(&mut options);
        let server = options.start();
        let password = SecretString::from("her word");
        server.users().add("ann@default.example", &password, &[]).unwrap();
        server
    };
    let server = start(|_| ());
    for mechanism in WITH_PASSWORD {
        // DIGEST-MD5 uses the name as typed in the key.
        let short = match mechanism {
            Mechanism::DigestMd5 => "535 5.7.0 authentication failed",
            _ => "235 2.0.0 OK Authenticated",
        };
        #[rustfmt::skip]
        let cases = [
            ("ann",                  "her word", short),
            ("Ann@Default.Example",  "her word", short),
            ("ann@default.example",  "her word", "235 2.0.0 OK Authenticated"),
            ("ann",                  "his word", "535 5.7.0 authentication failed"),
            ("ann@other.example",    "her word", "535 5.7.0 authentication failed"),
            ("acaird",               "pass word", "535 5.7.0 authentication failed"),
        ];
        for (login, password, want) in cases {
            let mut client = server.connect_secured();
            assert_eq!(
                log_in(&mut client, mechanism, login, password),
                want,
                "{mechanism}, {login}"
            );
        }
    }
    assert!(
        server
            .receiver
            .usage()
            .iter()
            .all(|count| count.login == "ann@default.example")
    );

    // What a stranger sees of a name is the same with and without the domain, whether it exists or not.
    let salt_of = |login: &str| {
        let mut client = server.connect_secured();
        let first = STANDARD.encode(format!("n,,n={login},r=fyko+d2lbbFgONRv9qkxdawL"));
        let reply = client.say(&format!("AUTH SCRAM-SHA-256 {first}")).unwrap();
        let challenge = STANDARD.decode(reply.strip_prefix("334 ").unwrap()).unwrap();
        let challenge = String::from_utf8(challenge).unwrap();
        challenge.split_once(",s=").unwrap().1.to_owned()
    };
    for name in ["ann", "ANN", "nobody", "NoBody", "acaird", "n\u{f6}body"] {
        assert_eq!(
            salt_of(name),
            salt_of(&format!("{name}@default.example")),
            "{name}"
        );
        assert_ne!(salt_of(name), salt_of(&format!("{name}@other.example")), "{name}");
    }

    // Its own addresses are those of the complete user name.
    let mut client = server.connect_secured();
    assert!(log_in(&mut client, Mechanism::Plain, "ann", "her word").starts_with("235"));
    let mut from = |address: &str| {
        let reply = client.say(&format!("MAIL FROM:<{address}>")).unwrap();
        client.say("RSET").unwrap();
        reply
    };
    assert!(from("ann@default.example").starts_with("250"));
    assert!(from("ann@other.example").starts_with('5'));

    // Guesses count together.
    let server = start(|options| options.settings.throttle.failures_max = 3);
    let guess = |login: &str, password: &str| {
        log_in(&mut server.connect_secured(), Mechanism::Plain, login, password)
    };
    for login in ["ann", "ANN@default.example", " ann "] {
        assert!(guess(login, "guess").starts_with("535"), "{login}");
    }
    for login in ["ann", "ann@default.example"] {
        assert!(
            guess(login, "her word").starts_with("454 4.7.0"),
            "{login}: locked out"
        );
    }
    assert!(server.receiver.unlock(None, Some("ann")) > 0);
    assert!(guess("ann@default.example", "her word").starts_with("235"));
}

/// While a directory with keys is down, a user name that another one knows gets the same as an unknown one: a challenge, and in
/// the end a temporary failure. It counts as half a guess.
#[test]
fn logins_by_key_look_alike_while_a_directory_is_down() {
    for mechanism in [
        Mechanism::Scram(ScramHash::Sha256),
        Mechanism::CramMd5,
        Mechanism::Ntlm,
    ] {
        let mut options = with(&[mechanism]);
        options.settings.throttle.failures_max = 3;
        let folder = TempDir::new().unwrap();
        let keys = key_policy(&options.settings);
        let own = |name: &str| UsersSettings {
            database: folder.path().join(name),
            keys: keys.clone(),
            ..UsersSettings::default()
        };
        let (down, up) = (own("down.db"), own("up.db"));
        for users in [&down, &up] {
            let store = UserStore::open(&users.database).unwrap().with_keys(keys.clone());
            store
                .add("acaird", &SecretString::from("pass word"), &[])
                .unwrap();
        }
        let gone = down.database.clone();
        options.directories = Some(vec![DirectorySettings::Users(down), DirectorySettings::Users(up)]);
        let server = options.start();
        std::fs::remove_file(gone).unwrap();
        let mut told = Vec::new();
        for login in ["acaird", "nobody"] {
            let mut client = server.connect_secured();
            told.push(log_in(&mut client, mechanism, login, "wrong"));
            assert!(
                told.last().unwrap().starts_with("454 4.7.0"),
                "{mechanism}: {told:?}"
            );
        }
        assert_eq!(told[0], told[1], "{mechanism}");
        let mut client = server.connect_secured();
        let reply = log_in(&mut client, mechanism, "acaird", "pass word");
        assert!(reply.starts_with("235"), "{mechanism}: {reply}");
        for _ in 0..6 {
            let mut client = server.connect_secured();
            log_in(&mut client, mechanism, "acaird", "wrong");
        }
        let mut client = server.connect_secured();
        let reply = log_in(&mut client, mechanism, "acaird", "pass word");
        assert!(reply.starts_with("454"), "{mechanism}, locked out: {reply}");
    }
}

#[test]
fn guessing_with_keys_is_slowed_and_barred_as_with_passwords() {
    for mechanism in [
        Mechanism::Scram(ScramHash::Sha256),
        Mechanism::CramMd5,
        Mechanism::Ntlm,
    ] {
        let mut options = with(&[mechanism]);
        options.settings.throttle.free_failures = 1;
        options.settings.throttle.first_delay = Duration::from_millis(300);
        options.settings.throttle.failures_max = 3;
        let server = options.start();
        let guess = |password: &str| {
            let mut client = server.connect_secured();
            let begun = Instant::now();
            (
                log_in(&mut client, mechanism, "acaird", password),
                begun.elapsed(),
            )
        };
        assert!(guess("one").0.starts_with("535"), "{mechanism}");
        assert!(guess("two").0.starts_with("535"), "{mechanism}");
        let (reply, took) = guess("three");
        assert!(
            reply.starts_with("535") && took >= Duration::from_millis(300),
            "{mechanism}: {reply} {took:?}"
        );
        assert!(
            guess("pass word").0.starts_with("454 4.7.0"),
            "{mechanism}: locked out"
        );
    }
}

#[test]
fn a_directory_that_is_down_is_no_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("users.db");
    drop(UserStore::open(&database).unwrap());
    let mut options = with(&WITH_PASSWORD);
    options.directories = Some(vec![DirectorySettings::Users(UsersSettings {
        database: database.clone(),
        keys: key_policy(&options.settings),
        ..UsersSettings::default()
    })]);
    let server = options.start();
    std::fs::remove_file(&database).unwrap();
    for mechanism in WITH_PASSWORD {
        let reply = log_in(&mut server.connect_secured(), mechanism, "acaird", "pass word");
        assert!(reply.starts_with("454 4.7.0"), "{mechanism}: {reply}");
    }
}

#[test]
fn what_is_offered_where() {
    let everywhere = "CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512 NTLM";
    let server = with(&WITH_PASSWORD).start();
    let mut client = server.connect();
    assert_eq!(offered(&mut client), everywhere, "in the clear");
    let refused = client.say("AUTH SCRAM-SHA-256-PLUS").unwrap();
    assert!(refused.starts_with("504 5.3.3"), "{refused}");
    let all: Vec<&str> = WITH_PASSWORD.iter().map(|mechanism| mechanism.name()).collect();
    assert_eq!(
        offered(&mut server.connect_secured()),
        all.join(" "),
        "inside TLS"
    );

    let mut options = with(&WITH_PASSWORD);
    options.directories = Some(Vec::new());
    let server = options.start();
    assert_eq!(
        offered(&mut server.connect_secured()),
        "PLAIN LOGIN",
        "no directory keeps keys"
    );

    let mut options = with(&[
        Mechanism::Plain,
        Mechanism::Ntlm,
        Mechanism::CramMd5,
        Mechanism::External,
    ]);
    options.settings.auth.plaintext = Plaintext::Always;
    let over = MechanismRule {
        until: Some("2026-01-31".parse().unwrap()),
        ..MechanismRule::default()
    };
    let elsewhere = MechanismRule {
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        ..MechanismRule::default()
    };
    options.settings.auth.rules = vec![(Mechanism::Ntlm, over), (Mechanism::CramMd5, elsewhere)];
    let server = options.start();
    assert_eq!(
        offered(&mut server.connect()),
        "PLAIN",
        "over, elsewhere, no certificate"
    );

    let mut options = with(&[Mechanism::Plain, Mechanism::CramMd5]);
    options.listener.mechanisms = Some(vec![Mechanism::Login, Mechanism::CramMd5]);
    options.listener.least_bits = Some(128);
    options.settings.auth.plaintext = Plaintext::Always;
    let server = options.start();
    assert_eq!(offered(&mut server.connect()), "", "too few bits in the clear");
    assert_eq!(
        offered(&mut server.connect_secured()),
        "LOGIN CRAM-MD5",
        "the listener's own list"
    );
}

/// If a client supports channel binding but was told that the server does not, somebody is in the middle (RFC 5802 section 6).
#[test]
fn a_downgrade_is_noticed() {
    let server = with(&WITH_PASSWORD).start();
    let mut client = server.connect_secured();
    let first = STANDARD.encode("y,,n=acaird,r=fyko+d2lbbFgONRv9qkxdawL");
    let reply = client.say(&format!("AUTH SCRAM-SHA-256 {first}")).unwrap();
    assert!(reply.starts_with("535 5.7.0"), "{reply}");
}

#[test]
fn a_certificate_logs_in() {
    let mut options = with(&[Mechanism::External]);
    options.settings.auth.certificates = vec![CertificateLogin {
        certificate: CertificateRule {
            subject: Some("CN=laptop.example".into()),
            ..CertificateRule::default()
        },
        email: None,
        login: LoginSource::Fixed("acaird".into()),
    }];
    let server = options.start();
    let ca = server.ca();
    let (certificate, key) = server.identity();
    let secured = |identity| {
        let options = TlsOptions {
            name: HOST,
            ca: &ca,
            identity,
        };
        server.connect().starttls(options).unwrap()
    };
    let shown = Some((certificate.as_path(), key.as_path()));
    let mut client = secured(shown);
    assert_eq!(offered(&mut client), "EXTERNAL");
    assert!(client.say("AUTH EXTERNAL =").unwrap().starts_with("235"));
    assert!(
        client
            .say("MAIL FROM:<a@a.example> AUTH=boss@a.example")
            .unwrap()
            .starts_with("250")
    );
    for (shows, who, reply) in [("the login", "acaird", "235"), ("another", "root", "535")] {
        let mut client = secured(shown);
        offered(&mut client);
        let line = format!("AUTH EXTERNAL {}", STANDARD.encode(who));
        assert!(client.say(&line).unwrap().starts_with(reply), "{shows}");
    }
    let mut client = secured(None);
    assert_eq!(offered(&mut client), "", "without one it is not offered");
}

#[test]
fn a_login_that_is_not_trusted_does_not_relay() {
    let mut options = with(&[Mechanism::Plain, Mechanism::CramMd5]);
    options.settings.auth.trust = LoginTrust {
        mechanisms: vec!["CRAM-MD5".into()],
        least_bits: 128,
    };
    let server = options.start();
    for (mechanism, tls, reaches) in [
        (Mechanism::Plain, true, "550 5.7.1"),
        (Mechanism::CramMd5, true, "250 2.1.5"),
        (Mechanism::CramMd5, false, "550 5.7.1"),
    ] {
        let mut client = if tls {
            server.connect_secured()
        } else {
            server.connect()
        };
        assert!(
            log_in(&mut client, mechanism, "acaird", "pass word").starts_with("235"),
            "{mechanism}"
        );
        client.say("MAIL FROM:<a@a.example>").unwrap();
        let reply = client.say("RCPT TO:<b@outside.example>").unwrap();
        assert!(reply.starts_with(reaches), "{mechanism} {tls}: {reply}");
        let own = client.say("RCPT TO:<acaird@challenger.example>").unwrap();
        assert!(own.starts_with("250"), "{own}");
    }
}

#[test]
fn a_submitter_is_believed_from_trusted_logins_alone() {
    let (cram, plain) = (Mechanism::CramMd5, Mechanism::Plain);
    #[rustfmt::skip]
    let cases = [
        // what the case shows              own senders  login  AUTH=                             as whom it goes on
        ("trusted to name anybody",         false,       cram,  " AUTH=boss@outside.example",     Some("boss@outside.example")),
        ("a mechanism that is not trusted", false,       plain, " AUTH=boss@outside.example",     Some("")),
        ("not said at all",                 false,       plain, "",                               None),
        ("said to be nobody",               false,       cram,  " AUTH=<>",                       Some("")),
        ("its own address",                 true,        cram,  " AUTH=acaird@fccc.example",      Some("acaird@fccc.example")),
        ("somebody else's",                 true,        cram,  " AUTH=boss@fccc.example",        Some("")),
    ];
    for (shows, own, mechanism, auth, want) in cases {
        let mut options = with(&[plain, cram]);
        options.settings.auth.trust.mechanisms = vec!["CRAM-MD5".into()];
        if own {
            options.settings.identity.senders = SenderRule::Own;
        }
        let server = options.start();
        let mut client = server.connect_secured();
        assert!(log_in(&mut client, mechanism, "acaird", "pass word").starts_with("235"));
        let sender = format!("MAIL FROM:<acaird@fccc.example>{auth}");
        for line in [sender.as_str(), "RCPT TO:<acaird@challenger.example>"] {
            let reply = client.say(line).unwrap();
            assert!(reply.starts_with("250"), "{shows}: {reply}");
        }
        client.say("DATA").unwrap();
        client.send(b"Subject: x\r\n\r\n").unwrap();
        let (message, _) = server.message(&client.say(".").unwrap());
        assert_eq!(message.envelope.auth.as_deref(), want, "{shows}");
    }
}

/// One end of a layered connection: what is sent is wrapped, what is received is unwrapped.
struct Layered {
    tcp: TcpStream,
    layer: Box<dyn SecurityLayer>,
    sealed: Vec<u8>,
    plain: Vec<u8>,
}

impl Layered {
    fn send(&mut self, text: &str) {
        let mut out = Vec::new();
        self.layer.wrap(text.as_bytes(), &mut out).unwrap();
        self.tcp.write_all(&out).unwrap();
    }

    fn say(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n"));
        loop {
            let text = String::from_utf8(self.plain.clone()).unwrap();
            let mut lines = text.split_inclusive("\r\n");
            if lines.any(|line| line.ends_with("\r\n") && line.as_bytes().get(3) == Some(&b' ')) {
                self.plain.clear();
                return text;
            }
            let mut buffer = [0; 4_096];
            let count = std::io::Read::read(&mut self.tcp, &mut buffer).unwrap();
            assert!(count > 0, "closed behind {text:?}");
            self.sealed.extend(&buffer[..count]);
            let used = self.layer.unwrap(&self.sealed, &mut self.plain).unwrap();
            self.sealed.drain(..used);
        }
    }
}

fn layered(server: &Server, layers: Layers) -> Layered {
    let mut client = Client::connect(server.port).unwrap().0;
    client.say("EHLO helo").unwrap();
    let (reply, layer) = log_in_with(&mut client, Mechanism::DigestMd5, ("acaird", "pass word"), layers);
    assert!(reply.starts_with("235"), "{reply}");
    Layered {
        tcp: client.into_tcp().unwrap(),
        layer: layer.expect("a layer"),
        sealed: Vec::new(),
        plain: Vec::new(),
    }
}

#[test]
fn the_session_goes_on_inside_the_layer_and_the_trace_shows_its_bits() {
    let both = Layers {
        integrity: true,
        confidentiality: true,
    };
    let integrity = Layers {
        integrity: true,
        confidentiality: false,
    };
    let mut options = with(&[Mechanism::DigestMd5]);
    options.settings.auth.layers = both;
    options.settings.privacy.need_mail_helo = true;
    let server = options.start();
    for (layers, bits) in [
        (both, "(authenticated bits=128)"),
        (integrity, "(authenticated bits=1)"),
    ] {
        let mut client = layered(&server, layers);
        assert!(
            client.say("MAIL FROM:<a@a.example>").starts_with("503"),
            "what was said before the layer is forgotten"
        );
        let hello = client.say("EHLO helo");
        assert!(!hello.contains("STARTTLS") && !hello.contains("AUTH"), "{hello}");
        assert!(client.say("STARTTLS").starts_with("454"));
        assert!(client.say("MAIL FROM:<a@a.example>").starts_with("250"));
        assert!(client.say("RCPT TO:<b@outside.example>").starts_with("250"));
        assert!(client.say("DATA").starts_with("354"));
        client.send("Subject: sealed\r\n\r\n");
        // More than one buffer of the layer, and more than one read.
        for _ in 0..40 {
            client.send(&format!("{}\r\n", "x".repeat(900)).repeat(5));
        }
        let reply = client.say(".");
        let (_, content) = server.message(reply.trim_end());
        assert!(content.contains(bits), "{content:.400}");
        assert!(content.ends_with("x\r\n"));
        assert!(client.say("QUIT").starts_with("221"));
    }
}

#[test]
fn a_forged_buffer_ends_the_session_without_a_word() {
    let layers = Layers {
        integrity: true,
        confidentiality: false,
    };
    let mut options = with(&[Mechanism::DigestMd5]);
    options.settings.auth.layers = layers;
    let server = options.start();
    let mut client = layered(&server, layers);
    let mut out = Vec::new();
    client.layer.wrap(b"NOOP\r\n", &mut out).unwrap();
    out[5] ^= 1;
    client.tcp.write_all(&out).unwrap();
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut client.tcp, &mut rest);
    assert!(rest.is_empty(), "{rest:?}");
    // And plain text instead of a buffer.
    let mut client = layered(&server, layers);
    client.tcp.write_all(b"MAIL FROM:<a@a.example>\r\n").unwrap();
    let _ = std::io::Read::read_to_end(&mut client.tcp, &mut rest);
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn a_listener_that_wants_bits_takes_no_login_without_them() {
    let mut options = with(&[Mechanism::DigestMd5]);
    options.settings.auth.layers = Layers {
        integrity: false,
        confidentiality: true,
    };
    options.listener.least_bits = Some(128);
    let server = options.start();
    let mut client = server.connect();
    assert_eq!(
        offered(&mut client),
        "DIGEST-MD5",
        "a layer could be strong enough"
    );
    let reply = log_in(&mut client, Mechanism::DigestMd5, "acaird", "pass word");
    assert!(reply.starts_with("534 5.7.9"), "{reply}");
    assert!(client.say("MAIL FROM:<a@a.example>").unwrap().starts_with("250"));
    assert!(
        client
            .say("RCPT TO:<b@outside.example>")
            .unwrap()
            .starts_with("550"),
        "it is a stranger still"
    );
}
