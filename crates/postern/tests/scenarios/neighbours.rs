//! Neighbouring services that have credentials checked here: Postfix with Dovecot's protocol and with saslauthd's, Dovecot's
//! IMAP, and programs built with Cyrus SASL.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use postern_testkit::dovecot::Dovecot;
use postern_testkit::postfix::Postfix;
use postern_testkit::process::{program, wait_until};
use postern_testkit::sink::Sink;

use crate::harness::Site;

const LOGIN: &str = "tester@relay.test";
const RIGHT: &str = "test word";
const WRONG: &str = "test sword";

const MECHANISMS: [&str; 6] = [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
];

/// A site with sockets for neighbouring services, open to all since those run as different users.
struct Bench {
    site: Site,
    _sink: Sink,
}

impl Bench {
    fn start(auth: &str, more: &str) -> Self {
        let sink = Sink::start();
        let sockets = "[[auth_socket]]\nname = \"door\"\nprotocol = \"dovecot\"\npath = \"door/login\"\nmode = \"0666\"\n\
             [[auth_socket]]\nname = \"mux\"\nprotocol = \"saslauthd\"\npath = \"door/mux\"\nmode = \"0666\"\n";
        let list = MECHANISMS.map(|name| format!("{name:?}")).join(", ");
        let extra = format!("[auth]\nmechanisms = [{list}, \"SCRAM-SHA-256-PLUS\"]\n{auth}\n{sockets}{more}");
        let mut site = Site::relay(sink.port(), &extra);
        // The neighbouring services must be able to reach the sockets, and nothing else.
        fs::set_permissions(site.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(site.path("door")).unwrap();
        fs::create_dir(site.path("homes")).unwrap();
        fs::set_permissions(site.path("homes"), fs::Permissions::from_mode(0o777)).unwrap();
        site.start();
        Self { site, _sink: sink }
    }

    /// A Postfix with TLS that uses the socket.
    fn postfix(&self) -> Postfix {
        let sasl = format!(
            "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = {}\nsmtpd_sasl_security_options = noanonymous\n",
            self.site.path("door/login").display()
        );
        self.postfix_with(&sasl, None)
    }

    fn postfix_with(&self, sasl: &str, smtpd_conf: Option<&str>) -> Postfix {
        let at = |name: &str| self.site.path(name).display().to_string();
        Postfix::start_with_sasl(
            &["else.test"],
            &format!(
                "smtpd_sasl_auth_enable = yes\nsmtpd_tls_security_level = may\nsmtpd_tls_cert_file = {}\n\
                 smtpd_tls_key_file = {}\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject\n\
                 smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n{sasl}",
                at("certs/relay.crt"),
                at("certs/relay.key")
            ),
            smtpd_conf,
        )
    }

    /// Whether gsasl can log in.
    fn gsasl(&self, protocol: &str, port: u16, mechanism: &str, password: &str) -> (bool, String) {
        let mut command = Command::new(program("/usr/bin/gsasl", "gsasl"));
        command
            .args([
                &format!("--{protocol}"),
                "--connect",
                &format!("localhost:{port}"),
            ])
            .args(["--mechanism", mechanism, "--authentication-id", LOGIN])
            .args(["--authorization-id", "", "--password", password])
            .args([
                "--service",
                protocol,
                "--hostname",
                "localhost",
                "--realm",
                "mx.relay.test",
            ])
            .args(["--quality-of-protection=qop-auth", "--no-cb"])
            .arg(match protocol {
                "smtp" => format!("--x509-ca-file={}", self.site.path("certs/ca.crt").display()),
                _ => "--no-starttls".to_owned(),
            })
            .stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.success(), said)
    }

    /// Logs in over SMTP with swaks. Returns its exit status and output.
    fn swaks(&self, port: u16, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(program("/usr/bin/swaks", "swaks"))
            .args(["--server", "127.0.0.1", "--port", &port.to_string()])
            .args(["--from", LOGIN, "--to", "someone@else.test", "--auth-user", LOGIN])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().unwrap_or(-1), said)
    }

    /// saslauthd's own test program.
    fn testsaslauthd(&self, arguments: &[&str]) -> String {
        let output = Command::new(program("/usr/sbin/testsaslauthd", "sasl2-bin"))
            .arg("-f")
            .arg(self.mux())
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn mux(&self) -> PathBuf {
        self.site.path("door/mux")
    }

    /// Log lines that contain all these words.
    fn logged(&self, words: &[&str]) -> usize {
        let log = self.site.log();
        log.lines()
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    }

    /// Waits until the log, which is written asynchronously, has that many lines with all these words.
    fn wait_for_log(&self, count: usize, words: &[&str]) {
        wait_until(&format!("{count} lines with {words:?}"), || {
            self.logged(words) >= count
        });
        assert_eq!(self.logged(words), count, "{words:?} in {}", self.site.log());
    }

    /// Reloads the configuration. Its ports are open shortly before the server can be controlled.
    fn reload(&self) {
        wait_until("a reload", || self.site.run(&["reload"]).status.success());
    }
}

#[test]
fn postfix_has_every_mechanism_checked() {
    let bench = Bench::start("", "");
    let postfix = bench.postfix();
    for mechanism in MECHANISMS {
        let (right, said) = bench.gsasl("smtp", postfix.port(), mechanism, RIGHT);
        assert!(
            right,
            "{mechanism}: {said}\n{}\n{}",
            postfix.log(),
            bench.site.log()
        );
        let (wrong, said) = bench.gsasl("smtp", postfix.port(), mechanism, WRONG);
        assert!(!wrong, "{mechanism}: {said}");
        let of = format!("mechanism={mechanism} ");
        bench.wait_for_log(1, &["listener=door", "peer=127.0.0.1", &of, " login session"]);
        bench.wait_for_log(1, &["listener=door", &of, "login.denied"]);
    }
    let (status, said) = bench.swaks(
        postfix.port(),
        &["--tls", "--auth", "PLAIN", "--auth-password", RIGHT],
    );
    assert_eq!(status, 0, "mail goes through it: {said}");
    assert!(
        !said.contains("-PLUS"),
        "nothing that binds to a channel that ends elsewhere"
    );
    let (status, said) = bench.swaks(postfix.port(), &["--auth", "PLAIN", "--auth-password", RIGHT]);
    assert_ne!(status, 0, "not in the clear: {said}");
    bench.wait_for_log(1, &["listener=door", "socket.cleartext"]);
    let report = bench.site.ok(&["auth", "report", "--mechanism", "SCRAM-SHA-256"]);
    assert!(report.contains(LOGIN), "counted like others: {report}");
    let mailbox = || postfix.mailbox();
    wait_until("the message", || mailbox().contains("someone@else.test"));
}

#[test]
fn guesses_count_wherever_they_are_made() {
    let bench = Bench::start("failures_until_lockout = 4\nfree_failures = 10\n", "");
    let postfix = bench.postfix();
    for _ in 0..4 {
        let (right, said) = bench.gsasl("smtp", postfix.port(), "PLAIN", WRONG);
        assert!(!right, "{said}");
    }
    bench.wait_for_log(1, &["locked out", "throttle.lockout"]);
    // The same network and login at Postern's own listener: locked out, whatever the password.
    let mut client = bench.site.tls_client(bench.site.submission);
    let reply = client.login(LOGIN, RIGHT).unwrap();
    assert!(reply.starts_with("454"), "{reply}");
    let (right, _) = bench.gsasl("smtp", postfix.port(), "SCRAM-SHA-256", RIGHT);
    assert!(!right, "and by every mechanism");
    // saslauthd's protocol gives no address, so nobody is locked out there, and the owner gets in.
    let said = bench.testsaslauthd(&["-u", LOGIN, "-p", RIGHT, "-s", "imap"]);
    assert!(said.contains("OK"), "{said}");
}

#[test]
fn guesses_over_saslauthd_slow_and_never_lock_out() {
    let bench = Bench::start(
        "failures_until_lockout = 3\nfree_failures = 2\nfirst_delay = \"100ms\"\nlongest_delay = \"200ms\"\n",
        "",
    );
    for _ in 0..6 {
        let said = bench.testsaslauthd(&["-u", "tester", "-r", "relay.test", "-p", WRONG, "-s", "imap"]);
        assert!(said.contains("NO"), "{said}");
    }
    bench.wait_for_log(6, &["listener=mux", "login.denied"]);
    assert_eq!(bench.logged(&["throttle.lockout"]), 0);
    let said = bench.testsaslauthd(&["-u", "tester", "-r", "relay.test", "-p", RIGHT, "-s", "imap"]);
    assert!(
        said.contains("OK"),
        "the realm is joined again, and the owner gets in: {said}"
    );
    let mut client = bench.site.tls_client(bench.site.submission);
    assert!(
        client.login(LOGIN, RIGHT).unwrap().starts_with("235"),
        "nor is he slowed elsewhere"
    );
}

#[test]
fn postfix_with_cyrus_sasl() {
    let bench = Bench::start("", "");
    let conf = format!(
        "pwcheck_method: saslauthd\nsaslauthd_path: {}\nmech_list: PLAIN LOGIN\n",
        bench.mux().display()
    );
    let postfix = bench.postfix_with(
        "smtpd_sasl_type = cyrus\nsmtpd_sasl_path = smtpd\nsmtpd_sasl_security_options = noanonymous\n",
        Some(&conf),
    );
    for mechanism in ["PLAIN", "LOGIN"] {
        let with = |password| {
            bench.swaks(
                postfix.port(),
                &["--tls", "--auth", mechanism, "--auth-password", password],
            )
        };
        let (status, said) = with(RIGHT);
        assert_eq!(status, 0, "{mechanism}: {said}\n{}", postfix.log());
        let (status, said) = with(WRONG);
        assert_ne!(status, 0, "{mechanism}: {said}");
    }
    bench.wait_for_log(2, &["listener=mux", " login session"]);
}

/// A site that also has a socket for Dovecot's mail processes.
fn bench_for_imap() -> Bench {
    Bench::start(
        "",
        "[[auth_socket]]\nname = \"master\"\nprotocol = \"dovecot-master\"\npath = \"door/master\"\nmode = \"0600\"\n\
         owner = \"nobody\"\nmail_user = \"nobody\"\nhome = \"/HOMES/{login}\"\n",
    )
}

#[test]
fn dovecot_serves_imap_to_these_accounts() {
    let bench = bench_for_imap();
    // The path is only known now: a reload adds it.
    let config = fs::read_to_string(bench.site.path("postern.toml")).unwrap();
    let homes = bench.site.path("homes").display().to_string();
    fs::write(bench.site.path("postern.toml"), config.replace("/HOMES", &homes)).unwrap();
    bench.reload();
    let dovecot = Dovecot::start_imap(&bench.site.path("door/login"), &bench.site.path("door/master"));
    for mechanism in MECHANISMS {
        let (right, said) = bench.gsasl("imap", dovecot.port(), mechanism, RIGHT);
        assert!(
            right,
            "{mechanism}: {said}\n{}\n{}",
            dovecot.log(),
            bench.site.log()
        );
        assert!(said.contains("Logged in") || said.contains("LOGOUT"), "{said}");
        let (wrong, said) = bench.gsasl("imap", dovecot.port(), mechanism, WRONG);
        assert!(!wrong, "{mechanism}: {said}");
    }
    // A mailbox, in the folder and as the user that Postern gives.
    let script = format!(
        "import imaplib\nm = imaplib.IMAP4('127.0.0.1', {})\nm.login('{LOGIN}', '{RIGHT}')\n\
         print(m.append('INBOX', None, None, b'Subject: hello\\r\\n\\r\\nbody\\r\\n'))\nprint(m.select('INBOX'))\n\
         print(m.fetch('1', '(BODY[HEADER])'))\nm.logout()\n",
        dovecot.port()
    );
    let output = Command::new(program("/usr/bin/python3", "python3"))
        .args(["-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Subject: hello"), "{output:?}\n{}", dovecot.log());
    let maildir = bench.site.path("homes").join(LOGIN).join("Maildir");
    assert!(maildir.is_dir(), "{}", dovecot.log());
    bench.wait_for_log(7, &["listener=door", "peer=127.0.0.1", " login session"]);
    // Delivery agents and administrators ask for a user without a login.
    let lookup = |user: &str| {
        let output = Command::new(program("/usr/bin/doveadm", "dovecot-core"))
            .arg("-c")
            .arg(dovecot.config())
            .args(["user", user])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let found = lookup(LOGIN);
    assert!(
        found.contains(&format!("{homes}/{LOGIN}")),
        "{found}\n{}",
        dovecot.log()
    );
    assert!(!lookup("stranger").contains(&homes));
}

#[test]
fn sockets_come_and_go() {
    let mut bench = Bench::start("", "");
    assert!(bench.testsaslauthd(&["-u", LOGIN, "-p", RIGHT]).contains("OK"));
    let mut open = UnixStream::connect(bench.mux()).unwrap();
    open.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let config = fs::read_to_string(bench.site.path("postern.toml")).unwrap();
    let moved = config
        .replace("door/mux", "door/other")
        .replace("mode = \"0666\"", "mode = \"0622\"");
    fs::write(bench.site.path("postern.toml"), &moved).unwrap();
    bench.reload();
    assert!(!bench.mux().exists(), "removed");
    // Within its own time limit for a question, which is twice as long as here.
    let heard = open.read(&mut [0; 1]);
    assert_eq!(heard.ok(), Some(0), "its connections have ended with it");
    let mode = |name: &str| {
        let found = fs::metadata(bench.site.path(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!(
        (mode("door/other"), mode("door/login")),
        (0o622, 0o622),
        "made, and changed"
    );
    fs::write(
        bench.site.path("postern.toml"),
        moved.replace("door/other", "certs/ca.crt"),
    )
    .unwrap();
    let refused = bench.site.run(&["reload"]);
    assert!(!refused.status.success(), "a file is no socket");
    assert!(bench.site.path("door/other").exists(), "nothing was changed");
    bench.site.take_server().crash();
    assert!(bench.site.path("door/other").exists(), "left behind");
    fs::write(bench.site.path("postern.toml"), &config).unwrap();
    bench.site.start();
    assert!(
        bench.testsaslauthd(&["-u", LOGIN, "-p", RIGHT]).contains("OK"),
        "replaced"
    );
    bench.site.take_server().terminate();
    assert!(!bench.mux().exists(), "removed at the end");
}

#[test]
fn a_neighbour_of_its_own_kind() {
    // A Postern that uses another one's accounts, over its socket.
    let bench = Bench::start("", "");
    let sink = Sink::start();
    let door = bench.site.path("door/login");
    let mut second = Site::relay(
        sink.port(),
        &format!(
            "[[directory]]\nkind = \"dovecot\"\nsocket = {:?}\n",
            door.display().to_string()
        ),
    );
    second.add_user("own@relay.test", "own word");
    bench.site.add_user("shared@relay.test", "shared word");
    second.start();
    let log_in = |login: &str, password: &str| {
        second
            .tls_client(second.submission)
            .login(login, password)
            .unwrap()
    };
    assert!(
        log_in("shared@relay.test", "shared word").starts_with("235"),
        "{}",
        second.log()
    );
    assert!(log_in("own@relay.test", "own word").starts_with("235"));
    assert!(log_in("shared@relay.test", "wrong word").starts_with("535"));
    bench.wait_for_log(
        1,
        &[
            "listener=door",
            "peer=127.0.0.1",
            "login=shared@relay.test",
            "login.denied",
        ],
    );
}
