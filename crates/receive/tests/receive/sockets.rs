//! The protocols on sockets, word by word, and how violations are handled.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use postern_policy::login::MechanismRule;
use postern_receive::{HomePattern, MailAccounts, SocketProtocol, SocketSettings};
use postern_sasl::Mechanism;

use crate::harness::{Options, Server};

/// `\0acaird\0pass word` in base64.
const RIGHT: &str = "AGFjYWlyZABwYXNzIHdvcmQ=";
/// `\0acaird\0password`.
const WRONG: &str = "AGFjYWlyZABwYXNzd29yZA==";

/// Another server.
struct Neighbour {
    stream: UnixStream,
    read: BufReader<UnixStream>,
    pid: String,
    cookie: String,
    mechanisms: Vec<String>,
}

impl Neighbour {
    /// Connects, and reads the greeting without one of its own.
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let read = BufReader::new(stream.try_clone().unwrap());
        let mut one = Self {
            stream,
            read,
            pid: String::new(),
            cookie: String::new(),
            mechanisms: Vec::new(),
        };
        loop {
            let line = one.hear();
            let mut fields = line.split('\t');
            match fields.next().unwrap() {
                "MECH" => one.mechanisms.push(fields.next().unwrap().to_owned()),
                "SPID" => one.pid = fields.next().unwrap().to_owned(),
                "COOKIE" => one.cookie = fields.next().unwrap().to_owned(),
                "DONE" => return one,
                _ => {}
            }
        }
    }

    fn greeted(path: &Path) -> Self {
        let mut one = Self::connect(path);
        one.say("VERSION\t1\t1\nCPID\t4242");
        one
    }

    fn say(&mut self, lines: &str) {
        self.stream.write_all(format!("{lines}\n").as_bytes()).unwrap();
    }

    /// The next line; empty at the end.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        // A reset also ends the connection.
        let _ = self.read.read_line(&mut line);
        line.trim_end_matches('\n').to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }
}

fn dovecot() -> SocketSettings {
    SocketSettings::new("door", SocketProtocol::Dovecot)
}

fn plain(id: u32, fields: &str, response: &str) -> String {
    format!("AUTH\t{id}\tPLAIN\tservice=smtp\tnologin\tsecured{fields}\tresp={response}")
}

fn server() -> Server {
    let mut options = Options::submission();
    options.settings.auth.mechanisms = vec![
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::External,
        Mechanism::from_wire("SCRAM-SHA-256").unwrap(),
        Mechanism::from_wire("SCRAM-SHA-256-PLUS").unwrap(),
    ];
    options.settings.throttle.failures_max = 3;
    options.settings.throttle.first_delay = Duration::from_millis(10);
    options.settings.throttle.delay_max = Duration::from_millis(50);
    options.start()
}

#[test]
fn exchanges() {
    let server = server();
    let path = server.open_socket(dovecot());
    let mut one = Neighbour::greeted(&path);
    assert_eq!(
        one.mechanisms,
        ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"],
        "nothing that needs a channel or a certificate"
    );
    assert_eq!(one.ask(&plain(1, "\trip=192.0.2.1", RIGHT)), "OK\t1\tuser=acaird");
    assert_eq!(
        one.ask(&plain(2, "\trip=192.0.2.1", WRONG)),
        "FAIL\t2\tuser=acaird"
    );
    let said = one.ask("AUTH\t3\tLOGIN\tservice=smtp\tsecured");
    assert!(said.starts_with("CONT\t3\t"), "{said}");
    assert!(one.ask("CONT\t3\tYWNhaXJk").starts_with("CONT\t3\t"));
    assert_eq!(one.ask("CONT\t3\tcGFzcyB3b3Jk"), "OK\t3\tuser=acaird");
    let said = one.ask("AUTH\t4\tCRAM-MD5\tservice=smtp\trip=unknown");
    assert!(said.starts_with("CONT\t4\tP"), "keys need no TLS: {said}");
    one.say("CANCEL\t4");
    one.say("NEW-WORD\tof a later version");
    // Two at once, each with its own id.
    one.say(&format!("{}\n{}", plain(5, "", RIGHT), plain(6, "", WRONG)));
    let mut both = [one.hear(), one.hear()];
    both.sort();
    assert_eq!(both, ["FAIL\t6\tuser=acaird", "OK\t5\tuser=acaird"]);
    let cases = [
        (
            "in the clear",
            "AUTH\t7\tPLAIN\tservice=smtp\tresp=x",
            "Encryption needed",
        ),
        (
            "a mechanism that binds",
            "AUTH\t7\tSCRAM-SHA-256-PLUS\tservice=smtp\tsecured",
            "not available",
        ),
        (
            "a certificate by hearsay",
            "AUTH\t7\tEXTERNAL\tservice=smtp\tsecured\tvalid-client-cert\tcert_username=acaird",
            "not available",
        ),
        (
            "none of ours",
            "AUTH\t7\tANONYMOUS\tservice=smtp\tsecured",
            "not available",
        ),
        ("no base64", &plain(7, "", "!"), "not valid"),
        (
            "a made-up address",
            &plain(7, "\trip=nowhere", RIGHT),
            "Address is not valid",
        ),
        (
            "another's name",
            &plain(7, "", "Ym9zcwBhY2FpcmQAcGFzcyB3b3Jk"),
            "FAIL\t7",
        ),
    ];
    for (shows, line, words) in cases {
        let said = one.ask(line);
        assert!(
            said.starts_with("FAIL\t7") && said.contains(words),
            "{shows}: {said}"
        );
    }
    assert_eq!(one.ask(&plain(7, "", RIGHT)), "OK\t7\tuser=acaird", "it goes on");
}

#[test]
fn the_throttle_knows_the_client_behind_the_neighbour() {
    let server = server();
    let path = server.open_socket(dovecot());
    let mut one = Neighbour::greeted(&path);
    for id in 1..=3 {
        assert!(one.ask(&plain(id, "\trip=192.0.2.1", WRONG)).starts_with("FAIL"));
    }
    let said = one.ask(&plain(4, "\trip=192.0.2.1", RIGHT));
    assert!(
        said.contains("\ttemp\t") && said.contains("Too many failed logins"),
        "{said}"
    );
    assert_eq!(
        one.ask(&plain(5, "\trip=198.51.100.1", RIGHT)),
        "OK\t5\tuser=acaird",
        "not elsewhere"
    );
    // Guesses without an address: never locked out.
    for id in 6..=10 {
        assert_eq!(one.ask(&plain(id, "", WRONG)), format!("FAIL\t{id}\tuser=acaird"));
    }
    assert_eq!(one.ask(&plain(11, "", RIGHT)), "OK\t11\tuser=acaird");
}

#[test]
fn who_talks_nonsense_is_left() {
    let server = server();
    let path = server.open_socket(dovecot());
    let long = "x".repeat(20_000);
    let twice =
        "VERSION\t1\t1\nCPID\t1\nAUTH\t1\tCRAM-MD5\tservice=x\nAUTH\t1\tCRAM-MD5\tservice=x".to_owned();
    let cases = [
        ("another version", "VERSION\t2\t0\nCPID\t1".to_owned()),
        ("no version", "CPID\t1".to_owned()),
        ("a question before the greeting", plain(1, "", RIGHT)),
        ("a second greeting", "VERSION\t1\t1\nCPID\t1\nCPID\t2".to_owned()),
        ("a number under way", twice),
        ("an endless line", format!("VERSION\t1\t1\nCPID\t1\n{long}")),
        ("no service", "VERSION\t1\t1\nCPID\t1\nAUTH\t1\tPLAIN".to_owned()),
    ];
    for (shows, said) in cases {
        let mut one = Neighbour::connect(&path);
        one.say(&said);
        let mut rest = String::new();
        let _ = one.read.read_to_string(&mut rest);
        assert!(!rest.contains("OK"), "{shows}: {rest}");
    }
    let mut one = Neighbour::greeted(&path);
    assert_eq!(
        one.ask(&plain(1, "", RIGHT)),
        "OK\t1\tuser=acaird",
        "others are served"
    );
}

#[test]
fn networks_and_certificates() {
    let server = server();
    let path = server.open_socket(SocketSettings {
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        trust_certificates: true,
        mechanisms: Some(vec![Mechanism::External, Mechanism::Plain]),
        ..dovecot()
    });
    let mut one = Neighbour::greeted(&path);
    assert_eq!(one.mechanisms, ["EXTERNAL", "PLAIN"]);
    assert_eq!(one.ask(&plain(1, "\trip=192.0.2.9", RIGHT)), "OK\t1\tuser=acaird");
    for (id, address) in [(2, "\trip=198.51.100.1"), (3, "\trip=unknown"), (4, "")] {
        let said = one.ask(&plain(id, address, RIGHT));
        assert!(said.contains("Not from this network"), "{address}: {said}");
    }
    let external = |id: u32, fields: &str, response: &str| {
        format!("AUTH\t{id}\tEXTERNAL\tservice=smtp\tsecured\trip=192.0.2.9{fields}\tresp={response}")
    };
    let told = "\tvalid-client-cert\tcert_username=acaird";
    assert_eq!(one.ask(&external(5, told, "=")), "OK\t5\tuser=acaird");
    assert!(
        one.ask(&external(6, told, "Ym9zcw==")).starts_with("FAIL"),
        "not as another"
    );
    assert!(
        one.ask(&external(7, "\tcert_username=acaird", "="))
            .starts_with("FAIL"),
        "not verified"
    );
    let nobody = "\tvalid-client-cert\tcert_username=nobody";
    assert!(one.ask(&external(8, nobody, "=")).starts_with("FAIL"), "nobody's");
}

#[test]
fn masters_learn_whose_login_it_was_once() {
    let server = server();
    let path = server.open_socket(dovecot());
    let master = server.open_socket(SocketSettings {
        accounts: Some(MailAccounts {
            uid: 5_000,
            gid: 5_001,
            home: HomePattern::new("/mail/{login}").unwrap(),
        }),
        ..SocketSettings::new("master", SocketProtocol::DovecotMaster)
    });
    let mut login = Neighbour::greeted(&path);
    let auth = |id: u32| format!("AUTH\t{id}\tPLAIN\tservice=imap\tsecured\trip=192.0.2.1\tresp={RIGHT}");
    assert_eq!(login.ask(&auth(1)), "OK\t1\tuser=acaird");
    assert_eq!(login.ask(&plain(2, "", RIGHT)), "OK\t2\tuser=acaird");
    let stream = UnixStream::connect(&master).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut mail = Neighbour {
        read: BufReader::new(stream.try_clone().unwrap()),
        stream,
        pid: String::new(),
        cookie: String::new(),
        mechanisms: Vec::new(),
    };
    assert_eq!(mail.hear(), "VERSION\t1\t1");
    assert_eq!(
        mail.hear(),
        format!("SPID\t{}", login.pid),
        "the same server, or Dovecot gives up"
    );
    mail.say("VERSION\t1\t1");
    let account = "acaird\tuid=5000\tgid=5001\thome=/mail/acaird";
    let other = "0".repeat(32);
    let cases = [
        (
            "another's cookie",
            format!("REQUEST\t1\t4242\t1\t{other}"),
            "FAIL\t1".to_owned(),
        ),
        (
            "another process",
            format!("REQUEST\t2\t4243\t1\t{}", login.cookie),
            "FAIL\t2".to_owned(),
        ),
        (
            "it knows",
            format!("REQUEST\t3\t4242\t1\t{}\tsession_pid=9", login.cookie),
            format!("USER\t3\t{account}"),
        ),
        (
            "told already",
            format!("REQUEST\t4\t4242\t1\t{}", login.cookie),
            "FAIL\t4".to_owned(),
        ),
        (
            "a login for mail alone",
            format!("REQUEST\t5\t4242\t2\t{}", login.cookie),
            "FAIL\t5".to_owned(),
        ),
        (
            "where is his mail?",
            "USER\t6\tACaird\tservice=lmtp".to_owned(),
            format!("USER\t6\t{account}"),
        ),
        (
            "nobody",
            "USER\t7\tnobody\tservice=lmtp".to_owned(),
            "NOTFOUND\t7".to_owned(),
        ),
        (
            "no list of all",
            "LIST\t8\tservice=doveadm".to_owned(),
            "DONE\t8\tfail".to_owned(),
        ),
        (
            "no passwords",
            "PASS\t9\tacaird\tservice=x".to_owned(),
            "FAIL\t9".to_owned(),
        ),
    ];
    for (shows, question, answer) in cases {
        assert_eq!(mail.ask(&question), answer, "{shows}");
    }
    assert_eq!(login.ask(&auth(3)), "OK\t3\tuser=acaird");
    login.say("CANCEL\t3");
    assert_eq!(login.ask(&plain(4, "", RIGHT)), "OK\t4\tuser=acaird");
    assert_eq!(
        mail.ask(&format!("REQUEST\t10\t4242\t3\t{}", login.cookie)),
        "FAIL\t10",
        "given up"
    );
}

/// Asks in saslauthd's protocol. The result is empty if there is no answer.
fn ask_saslauthd(path: &Path, fields: [&[u8]; 4]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut question = Vec::new();
    for field in fields {
        question.extend_from_slice(&u16::try_from(field.len()).unwrap().to_be_bytes());
        question.extend_from_slice(field);
    }
    stream.write_all(&question).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(answer.get(2..).unwrap_or_default()).into_owned()
}

#[test]
fn saslauthd_holds_to_the_rules_of_plain() {
    let mut options = Options::submission();
    let plain = Mechanism::Plain;
    options.settings.auth.mechanisms = vec![Mechanism::from_wire("SCRAM-SHA-256").unwrap()];
    let off = options.start();
    let mut options = Options::submission();
    options.settings.auth.mechanisms = vec![plain];
    let ended = MechanismRule {
        until: Some("2020-01-01".parse().unwrap()),
        ..MechanismRule::default()
    };
    options.settings.auth.rules = vec![(plain, ended)];
    let over = options.start();
    let mux = |name: &str| SocketSettings::new(name, SocketProtocol::Saslauthd);
    let own = |name: &str, list: &[&str]| SocketSettings {
        mechanisms: Some(
            list.iter()
                .filter_map(|name| Mechanism::from_wire(name))
                .collect(),
        ),
        ..mux(name)
    };
    let somewhere = SocketSettings {
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        ..own("d", &["PLAIN"])
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  server  socket                          answer
        ("off for all",                         &off,   mux("a"),                       "NO authentication failed"),
        ("on for the socket",                   &off,   own("b", &["PLAIN"]),           "OK success"),
        ("off for the socket",                  &off,   own("c", &["CRAM-MD5"]),        "NO authentication failed"),
        ("for networks, which are not told",    &off,   somewhere,                      "NO authentication failed"),
        ("over since its end date",             &over,  mux("e"),                       "NO authentication failed"),
    ];
    for (shows, server, socket, answer) in cases {
        let path = server.open_socket(socket);
        let said = ask_saslauthd(&path, [b"acaird", b"pass word", b"imap", b""]);
        assert_eq!(said, answer, "{shows}");
    }
}

#[test]
fn saslauthd() {
    let server = server();
    let path = server.open_socket(SocketSettings::new("mux", SocketProtocol::Saslauthd));
    let ask = |fields: [&[u8]; 4]| ask_saslauthd(&path, fields);
    let long = vec![b'x'; 1_025];
    assert_eq!(ask([b"acaird", b"pass word", b"imap", b""]), "OK success");
    assert_eq!(
        ask([b"acaird", b"password", b"imap", b""]),
        "NO authentication failed"
    );
    assert_eq!(
        ask([b"nobody", b"password", b"imap", b""]),
        "NO authentication failed"
    );
    assert_eq!(ask([b"", b"", b"", b""]), "NO authentication failed");
    assert_eq!(ask([b"acaird", b"", b"imap", b""]), "NO authentication failed");
    assert_eq!(
        ask([b"acaird\0", b"pass word", b"imap", b""]),
        "",
        "left without an answer"
    );
    assert_eq!(ask([&long, b"pass word", b"imap", b""]), "");
    for _ in 0..6 {
        assert_eq!(
            ask([b"acaird", b"password", b"imap", b""]),
            "NO authentication failed"
        );
    }
    assert_eq!(
        ask([b"acaird", b"pass word", b"imap", b""]),
        "OK success",
        "never locked out"
    );
}
