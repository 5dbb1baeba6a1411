//! Generates logins for `benches/logins.py`: connect, EHLO, STARTTLS with a full handshake, EHLO, AUTH, QUIT, over and
//! over.
//!
//! It is meant to cost less than any server: blocking threads, X25519 only, the server's certificate unverified, and
//! SCRAM's salted password cached between logins (RFC 5802 section 3 allows that).

#![allow(clippy::unwrap_used, reason = "a failed step ends the measurement")]
#![allow(clippy::print_stdout, reason = "the figures are its output")]

#[path = "logins/scram.rs"]
mod scram;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

const USAGE: &str = "usage: logins PORT MECHANISM LOGINS CONNECTIONS USERS LOGIN_PATTERN PASSWORD_PATTERN
MECHANISM is PLAIN or SCRAM-SHA-256; {} in the patterns is the number of the user, from 0 to USERS - 1.
Each user logs in once before \"ready\" is printed; the measurement begins with the next line of the input.";

/// What all threads share.
struct Plan {
    port: u16,
    mechanism: String,
    logins: usize,
    users: usize,
    login: String,
    password: String,
    tls: Arc<ClientConfig>,
    salted: scram::Kept,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, mechanism, logins, connections, users, login, password] = words.as_slice() else {
        eprintln!("{USAGE}");
        std::process::exit(64);
    };
    let plan = Arc::new(Plan {
        port: port.parse().unwrap(),
        mechanism: mechanism.clone(),
        logins: logins.parse().unwrap(),
        users: users.parse().unwrap(),
        login: login.clone(),
        password: password.clone(),
        tls: tls(),
        salted: scram::Kept::default(),
    });
    let connections = connections.parse().unwrap();
    let warm = all(&plan, plan.users, connections);
    println!("ready");
    io::stdin().read_line(&mut String::new()).unwrap();
    let start = Instant::now();
    let Done {
        mut took,
        failed,
        error,
    } = all(&plan, plan.logins, connections);
    let seconds = start.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |part: usize| {
        took.get(took.len() * part / 100)
            .map_or(0.0, Duration::as_secs_f64)
            * 1000.0
    };
    if let Some(error) = warm.error.or(error) {
        eprintln!("logins: {} failed, the first with: {error}", warm.failed + failed);
    }
    println!(
        "{{\"logins\": {}, \"failed\": {failed}, \"seconds\": {seconds:.4}, \"p50_ms\": {:.3}, \"p99_ms\": {:.3}}}",
        took.len(),
        at(50),
        at(99),
    );
}

#[derive(Default)]
struct Done {
    took: Vec<Duration>,
    failed: usize,
    error: Option<String>,
}

/// The number of logins, over all connections together.
fn all(plan: &Arc<Plan>, logins: usize, connections: usize) -> Done {
    let begun = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (plan, begun) = (Arc::clone(plan), Arc::clone(&begun));
            std::thread::spawn(move || work(&plan, logins, &begun))
        })
        .collect();
    threads.into_iter().fold(Done::default(), |mut all, thread| {
        let done = thread.join().unwrap();
        all.took.extend(done.took);
        all.failed += done.failed;
        all.error = all.error.or(done.error);
        all
    })
}

fn work(plan: &Plan, logins: usize, begun: &AtomicUsize) -> Done {
    let mut done = Done::default();
    loop {
        let number = begun.fetch_add(1, Ordering::Relaxed);
        if number >= logins {
            return done;
        }
        let user = (number % plan.users).to_string();
        let login = plan.login.replace("{}", &user);
        let password = plan.password.replace("{}", &user);
        let start = Instant::now();
        match log_in(plan, &login, &password) {
            Ok(()) => done.took.push(start.elapsed()),
            Err(error) => {
                done.failed += 1;
                done.error = done.error.or_else(|| Some(error.to_string()));
                // Do not flood a server that refuses.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn log_in(plan: &Plan, login: &str, password: &str) -> io::Result<()> {
    let tcp = TcpStream::connect(("127.0.0.1", plan.port))?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut plain = Line(tcp);
    plain.hear("220")?;
    plain.say("EHLO bench.test", "250")?;
    plain.say("STARTTLS", "220")?;
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(&plan.tls), name).map_err(io::Error::other)?;
    let mut line = Line(StreamOwned::new(connection, plain.0));
    line.say("EHLO bench.test", "250")?;
    match plan.mechanism.as_str() {
        "PLAIN" => {
            let message = BASE64.encode(format!("\0{login}\0{password}"));
            line.say(&format!("AUTH PLAIN {message}"), "235")?;
        }
        "SCRAM-SHA-256" => {
            let (mut client, first) = scram::Client::begin(login, password);
            let reply = line.say(&format!("AUTH SCRAM-SHA-256 {}", BASE64.encode(first)), "334")?;
            let last = client.proof(&decoded(&reply)?, &plan.salted);
            let reply = line.say(&BASE64.encode(last), "334")?;
            client.check(&decoded(&reply)?)?;
            line.say("", "235")?;
        }
        other => return Err(io::Error::other(format!("no mechanism {other}"))),
    }
    line.say("QUIT", "221")?;
    Ok(())
}

fn decoded(reply: &str) -> io::Result<String> {
    let octets = BASE64.decode(reply[4..].trim_end()).map_err(io::Error::other)?;
    String::from_utf8(octets).map_err(io::Error::other)
}

/// Only one reply is awaited at a time, so whatever has arrived belongs to it.
struct Line<S>(S);

impl<S: Read + Write> Line<S> {
    fn say(&mut self, line: &str, code: &str) -> io::Result<String> {
        self.0.write_all(format!("{line}\r\n").as_bytes())?;
        self.0.flush()?;
        self.hear(code)
    }

    /// Reads a reply and returns its last line.
    fn hear(&mut self, code: &str) -> io::Result<String> {
        let mut text = Vec::with_capacity(512);
        let mut room = [0; 2048];
        loop {
            let last = text.strip_suffix(b"\r\n").map(|whole| {
                let begin = whole
                    .iter()
                    .rposition(|&octet| octet == b'\n')
                    .map_or(0, |at| at + 1);
                String::from_utf8_lossy(&whole[begin..]).into_owned()
            });
            match last {
                Some(last) if last.as_bytes().get(3) != Some(&b'-') => {
                    if last.starts_with(code) {
                        return Ok(last);
                    }
                    return Err(io::Error::other(format!("{code} was expected: {last}")));
                }
                _ => {}
            }
            match self.0.read(&mut room)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => text.extend_from_slice(&room[..count]),
            }
        }
    }
}

fn tls() -> Arc<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The benchmark started the server itself: verifying its signatures would only take CPU time away from it.
#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
