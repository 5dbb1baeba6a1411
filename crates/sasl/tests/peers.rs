//! Real peers: Cyrus's library and GNU SASL on either side, curl as client.
//!
//! Debian packages: `gsasl`, `libsasl2-modules`, `sasl2-bin`, `curl`, `python3`.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use common::smtp::serve;
use common::{Directory, HOST, LOGIN, Said, Server, TOKEN, client_context, credentials, server_context};
use postern_sasl::{Layers, Mechanism, ScramHash, SecurityLayer, wire};

/// Without characters that a command line or a program's own preparation might change.
const PASSWORD: &str = "pass word 9";

const ACCOUNT: Directory = Directory {
    login: LOGIN,
    password: PASSWORD,
};

fn command(program: &str, package: &str) -> Command {
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.exists());
    Command::new(found.unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}")))
}

/// A program with a line-based protocol.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        Self {
            input: child.stdin.take().expect("piped"),
            output: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }

    fn cyrus(arguments: &[&str]) -> Self {
        let mut python = command("python3", "python3");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/cyrus.py");
        python.arg(script).args(arguments);
        Self::start(python)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// `None` for "-" and if the peer has given up.
    fn hear(&mut self) -> Option<Vec<u8>> {
        let line = self.line();
        wire::decode(line.as_bytes()).ok().map(|octets| octets.to_vec())
    }

    fn say(&mut self, line: &str) {
        // A peer that has gone is noticed at the next line.
        let _ = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
    }

    /// The last line received; `None` if the peer has ended.
    fn last(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).expect("a line or the end");
        let octets = wire::decode(line.trim_end().as_bytes()).expect("base64");
        Some(octets.to_vec()).filter(|_| length > 0)
    }

    /// Receives "ping" and returns it through a layer.
    fn ping(&mut self, layer: &mut dyn SecurityLayer) {
        let (mut text, mut wrapped) = (Vec::new(), Vec::new());
        let came = self.hear().expect("a buffer");
        assert_eq!(layer.unwrap(&came, &mut text), Ok(came.len()));
        assert_eq!(text, b"ping");
        layer.wrap(b"pong", &mut wrapped).expect("wraps");
        self.say(&wire::encode(&wrapped));
        assert_eq!(self.hear().as_deref(), Some(b"pong".as_slice()));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Layers, the bits that Cyrus must insist on, and the resulting bits: none, integrity, RC4.
///
/// Triple DES (112) is left out: Cyrus 2.1.28 fails with OpenSSL 3 even between its own client and server.
const LAYERS: [(Layers, &str, u32); 3] = [
    (layers(false, false), "0", 0),
    (layers(true, false), "1", 1),
    (layers(true, true), "128", 128),
];

const fn layers(integrity: bool, confidentiality: bool) -> Layers {
    Layers {
        integrity,
        confidentiality,
    }
}

/// The result of Cyrus's client with our server.
fn cyrus_client(
    mechanism: Mechanism,
    password: &str,
    layers: (Layers, &str, u32),
    binding: bool,
) -> Result<(), String> {
    let mut context = server_context(2);
    context.layers = layers.0;
    context.plus_offered = binding;
    let mut arguments = vec![
        "client",
        mechanism.name(),
        HOST,
        LOGIN,
        password,
        layers.1,
        layers.1,
    ];
    let data = "05".repeat(32);
    if binding {
        arguments.extend(["tls-exporter", &data]);
    }
    let mut peer = Peer::cyrus(&arguments);
    let mut server = Server::new(mechanism, &context, ACCOUNT);
    let mut message = peer.hear();
    loop {
        match server.say(message.as_deref()) {
            Said::Challenge(challenge) => {
                peer.say(&wire::encode(&challenge));
                message = Some(peer.hear().ok_or("Cyrus gave up")?);
            }
            Said::Fail(error) => return Err(error.to_string()),
            Said::Done(outcome) => {
                assert_eq!((outcome.login.as_str(), outcome.layer_bits), (LOGIN, layers.2));
                peer.say("OK");
                if let Some(mut layer) = server.exchange.take_layer() {
                    peer.ping(layer.as_mut());
                }
                return Ok(());
            }
        }
    }
}

#[test]
fn cyrus_as_client() {
    let none = LAYERS[0];
    let mechanisms = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::DigestMd5,
        Mechanism::Scram(ScramHash::Sha1),
        Mechanism::Scram(ScramHash::Sha256),
        Mechanism::Scram(ScramHash::Sha512),
    ];
    for mechanism in mechanisms {
        assert_eq!(
            cyrus_client(mechanism, PASSWORD, none, false),
            Ok(()),
            "{mechanism}"
        );
        let wrong = cyrus_client(mechanism, "wrong", none, false);
        assert!(
            wrong.as_ref().is_err_and(|error| error.starts_with("denied")),
            "{mechanism}: {wrong:?}"
        );
    }
    for layers in LAYERS {
        let got = cyrus_client(Mechanism::DigestMd5, PASSWORD, layers, false);
        assert_eq!(got, Ok(()), "{layers:?}");
    }
    let plus = Mechanism::ScramPlus(ScramHash::Sha256);
    assert_eq!(cyrus_client(plus, PASSWORD, none, true), Ok(()), "{plus}");
    // Cyrus's NTLM client only supports version 1, unless configured otherwise.
    let first_version = cyrus_client(Mechanism::Ntlm, PASSWORD, none, false);
    assert!(
        first_version
            .as_ref()
            .is_err_and(|error| error.contains("first version")),
        "{first_version:?}"
    );
}

/// The result of our client with Cyrus's server.
fn cyrus_server(
    mechanism: Mechanism,
    password: &str,
    layers: (Layers, &str, u32),
    sasldb: &Path,
) -> Result<(), String> {
    let database = sasldb.to_str().expect("UTF-8");
    let mut peer = Peer::cyrus(&["server", mechanism.name(), HOST, database, layers.1, layers.1]);
    let mut context = client_context(3);
    context.bindings = postern_sasl::ChannelBindings::default();
    context.layers = layers.0;
    let mut client = mechanism
        .client(&credentials(password), &context)
        .map_err(|error| error.to_string())?;
    let first = client.initial();
    peer.say(&first.map_or_else(|| "-".to_owned(), |first| wire::encode(&first)));
    loop {
        let line = peer.line();
        if let Some(bits) = line.strip_prefix("OK ") {
            assert_eq!(bits, layers.2.to_string());
            let finish = client.finish().map_err(|error| error.to_string())?;
            if let Some(mut layer) = finish.layer {
                peer.ping(layer.as_mut());
            }
            return Ok(());
        }
        if line.is_empty() {
            return Err("refused".into());
        }
        let challenge = wire::decode(line.as_bytes()).map_err(|error| format!("{error}: {line}"))?;
        let response = client.step(&challenge).map_err(|error| error.to_string())?;
        peer.say(&wire::encode(&response));
    }
}

#[test]
fn cyrus_as_server() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let sasldb = folder.path().join("sasldb2");
    let mut saslpasswd = command("saslpasswd2", "sasl2-bin");
    saslpasswd
        .args(["-p", "-c", "-u", HOST, "-f"])
        .arg(&sasldb)
        .arg(LOGIN);
    let mut child = saslpasswd.stdin(Stdio::piped()).spawn().expect("starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(PASSWORD.as_bytes()).expect("written");
    drop(input);
    assert!(child.wait().expect("ends").success());

    let mechanisms = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::DigestMd5,
        Mechanism::Scram(ScramHash::Sha1),
        Mechanism::Scram(ScramHash::Sha256),
        Mechanism::Scram(ScramHash::Sha512),
        Mechanism::Ntlm,
    ];
    for mechanism in mechanisms {
        let good = cyrus_server(mechanism, PASSWORD, LAYERS[0], &sasldb);
        assert_eq!(good, Ok(()), "{mechanism}");
        let wrong = cyrus_server(mechanism, "wrong", LAYERS[0], &sasldb);
        assert!(wrong.is_err(), "{mechanism}");
    }
    for layers in LAYERS {
        let got = cyrus_server(Mechanism::DigestMd5, PASSWORD, layers, &sasldb);
        assert_eq!(got, Ok(()), "{layers:?}");
    }
}

/// Runs a client against our server over SMTP and returns the outcome on the server side.
fn over_smtp(mechanism: Mechanism, start: impl FnOnce(SocketAddr) -> Command) -> Result<String, String> {
    let mut context = server_context(2);
    context.plus_offered = false;
    // The programs call the server by its address or by "localhost".
    context.names.clear();
    let (address, thread) = serve(mechanism, context, ACCOUNT);
    let output = start(address).stdin(Stdio::null()).output().expect("runs");
    let ending = thread.join().expect("no panic");
    if ending.as_ref().is_err_and(|error| error == "it never tried") {
        panic!("{mechanism}: {}", String::from_utf8_lossy(&output.stderr));
    }
    ending
}

#[test]
fn gsasl_as_client() {
    let gsasl = |mechanism: Mechanism, password: &str| {
        over_smtp(mechanism, |address| {
            let mut gsasl = command("gsasl", "gsasl");
            gsasl.args([
                "--smtp",
                "--no-starttls",
                "--quality-of-protection=qop-auth",
                "-m",
            ]);
            gsasl.args([mechanism.name(), "-a", LOGIN, "-r", HOST, "-p", password]);
            gsasl.args(["--hostname", HOST, "--service", "smtp"]);
            gsasl.arg(format!("--connect={address}"));
            gsasl
        })
    };
    let mechanisms = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::DigestMd5,
        Mechanism::Scram(ScramHash::Sha1),
        Mechanism::Scram(ScramHash::Sha256),
    ];
    for mechanism in mechanisms {
        assert_eq!(gsasl(mechanism, PASSWORD), Ok(LOGIN.into()), "{mechanism}");
        let wrong = gsasl(mechanism, "wrong");
        assert!(
            wrong.as_ref().is_err_and(|error| error.starts_with("denied")),
            "{mechanism}: {wrong:?}"
        );
    }
    let first_version = gsasl(Mechanism::Ntlm, PASSWORD);
    assert!(
        first_version
            .as_ref()
            .is_err_and(|error| error.contains("first version")),
        "{first_version:?}"
    );
}

/// Whether GNU SASL's server accepts our client, which sends this many messages.
fn gsasl_server(mechanism: Mechanism, password: &str, messages: usize) -> Result<(), String> {
    let mut gsasl = command("gsasl", "gsasl");
    gsasl.args([
        "--server",
        "--quiet",
        "--quality-of-protection=qop-auth",
        "-m",
        mechanism.name(),
    ]);
    gsasl.args([
        "--service",
        "smtp",
        "--hostname",
        HOST,
        "-r",
        HOST,
        "-a",
        LOGIN,
        "-p",
        PASSWORD,
    ]);
    gsasl.args(["--iteration-count", "4096", "--no-cb"]);
    let mut peer = Peer::start(gsasl);
    let mut context = client_context(3);
    context.bindings = postern_sasl::ChannelBindings::default();
    let mut client = mechanism
        .client(&credentials(password), &context)
        .map_err(|error| error.to_string())?;
    assert_eq!(peer.line(), mechanism.name());
    let mut message = client.initial();
    let mut sent = 0;
    while sent < messages {
        let challenge = peer.hear().ok_or("refused")?;
        let response = match message.take() {
            Some(first) => first,
            None => client.step(&challenge).map_err(|error| error.to_string())?,
        };
        peer.say(&wire::encode(&response));
        sent += 1;
    }
    // If it accepts the login, it continues, with its own proof if the mechanism has one; otherwise it
    // ends.
    let last = peer.last().ok_or("refused")?;
    if !last.is_empty() {
        client.step(&last).map_err(|error| error.to_string())?;
    }
    client.finish().map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn gsasl_as_server() {
    let mechanisms = [
        (Mechanism::Plain, 1),
        (Mechanism::Login, 2),
        (Mechanism::CramMd5, 1),
        (Mechanism::DigestMd5, 1),
        (Mechanism::Scram(ScramHash::Sha1), 2),
        (Mechanism::Scram(ScramHash::Sha256), 2),
    ];
    for (mechanism, messages) in mechanisms {
        assert_eq!(gsasl_server(mechanism, PASSWORD, messages), Ok(()), "{mechanism}");
        let wrong = gsasl_server(mechanism, "wrong", messages);
        assert!(wrong.is_err(), "{mechanism}");
    }
}

#[test]
fn curl_as_client() {
    let curl = |mechanism: Mechanism, password: &str, token: Option<&str>| {
        over_smtp(mechanism, |address| {
            let mut curl = command("curl", "curl");
            curl.args([
                "-sS",
                "--max-time",
                "15",
                "--mail-from",
                "a@fccc.example",
                "--mail-rcpt",
                "b@fccc.example",
            ]);
            curl.args(["-T", "/dev/null", "--login-options", &format!("AUTH={mechanism}")]);
            match token {
                Some(token) => curl.args(["--user", LOGIN, "--oauth2-bearer", token]),
                None => curl.args(["--user", &format!("{LOGIN}:{password}")]),
            };
            curl.arg(format!("smtp://{address}"));
            curl
        })
    };
    let mechanisms = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::DigestMd5,
        Mechanism::Ntlm,
    ];
    for mechanism in mechanisms {
        assert_eq!(curl(mechanism, PASSWORD, None), Ok(LOGIN.into()), "{mechanism}");
        let wrong = curl(mechanism, "wrong", None);
        assert!(
            wrong.as_ref().is_err_and(|error| error.starts_with("denied")),
            "{mechanism}: {wrong:?}"
        );
    }
    for mechanism in [Mechanism::OauthBearer, Mechanism::Xoauth2] {
        assert_eq!(curl(mechanism, "", Some(TOKEN)), Ok(LOGIN.into()), "{mechanism}");
        let wrong = curl(mechanism, "", Some("stale"));
        assert!(wrong.is_err(), "{mechanism}: {wrong:?}");
    }
}
