//! Next hops of a whole network: SMTP and LMTP servers that offer TLS and authentication, and record who sent
//! what and how.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::sink::content;

/// A message that one of them accepted.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The address and port that the client connected to, or the path of the socket.
    pub at: String,
    /// The address that the client came from; empty for a socket.
    pub from: String,
    /// The address in `MAIL FROM`.
    pub mail: String,
    /// The addresses in `RCPT TO`.
    pub rcpt: Vec<String>,
    /// Whether it was sent over TLS.
    pub tls: bool,
    /// The login that the client gave; any password is right.
    pub login: Option<String>,
    /// Header and body with CRLF, dots unstuffed.
    pub content: String,
}

/// Their behaviour.
#[derive(Default)]
pub struct Behaviour {
    /// The certificate and key for TLS; if none, TLS is not offered.
    pub tls: Option<Arc<ServerConfig>>,
    /// Addresses of servers without TLS.
    pub plain: HashSet<IpAddr>,
    /// Recipients that do not exist.
    pub unknown: HashSet<String>,
    /// What else to do with a message; returns the reply in place of `250`, if any.
    pub pass_on: Option<Box<PassOn>>,
}

/// What is done with a message, besides recording it.
pub type PassOn = dyn Fn(&Arrival) -> Option<String> + Send + Sync;

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behaviour")
            .field("plain", &self.plain)
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

/// Servers with a common record. Their threads end with the process.
#[derive(Clone, Debug)]
pub struct Hops {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    arrivals: Mutex<Vec<Arrival>>,
}

/// TLS with this certificate and key, in PEM form.
///
/// # Panics
///
/// When they cannot be read.
#[must_use]
pub fn server_config(certificate: &Path, key: &Path) -> Arc<ServerConfig> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)
        .expect("the certificate")
        .collect();
    let key = PrivateKeyDer::from_pem_file(key).expect("the key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(chain.expect("the certificate"), key)
        .expect("a certificate and its key");
    Arc::new(config)
}

impl Hops {
    /// Servers with this behaviour; none listens yet.
    #[must_use]
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            shared: Arc::new(Shared {
                behaviour,
                arrivals: Mutex::default(),
            }),
        }
    }

    /// Serves a listener on a port; `greeting` is `SMTP` or `LMTP`, used in its greeting.
    pub fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || drop(serve_tcp(stream, &shared)));
            }
        });
    }

    /// Serves a socket under this name.
    pub fn listen_unix(&self, listener: UnixListener, name: &str) {
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, name) = (Arc::clone(&shared), name.clone());
                thread::spawn(move || {
                    let session = Session::new(name, String::new());
                    drop(serve(Stream::Unix(stream), session, None, &shared));
                });
            }
        });
    }

    /// All that has arrived so far.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        let arrivals = self.shared.arrivals.lock();
        arrivals.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(octets),
            Self::Unix(stream) => stream.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// The state of a connection.
#[derive(Debug)]
struct Session {
    at: String,
    from: String,
    tls: bool,
    login: Option<String>,
    mail: String,
    rcpt: Vec<String>,
    is_lmtp: bool,
}

impl Session {
    fn new(at: String, from: String) -> Self {
        Self {
            at,
            from,
            tls: false,
            login: None,
            mail: String::new(),
            rcpt: Vec::new(),
            is_lmtp: false,
        }
    }
}

/// How a connection continues.
enum Next {
    Reply(String),
    Tls,
    Close,
}

fn serve_tcp(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let (at, from) = (stream.local_addr()?, stream.peer_addr()?);
    let tls = shared.behaviour.tls.clone();
    let tls = tls.filter(|_| !shared.behaviour.plain.contains(&at.ip()));
    let session = Session::new(at.to_string(), from.ip().to_string());
    serve(Stream::Tcp(stream), session, tls, shared)
}

fn serve(
    stream: Stream,
    mut session: Session,
    mut tls: Option<Arc<ServerConfig>>,
    shared: &Shared,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    say(&mut stream, "220 hop.example ESMTP\r\n")?;
    loop {
        let Some(line) = line(&mut stream)? else {
            return Ok(());
        };
        match command(&mut stream, &line, &mut session, tls.is_some(), shared)? {
            Next::Reply(reply) => say(&mut stream, &reply)?,
            Next::Close => return say(&mut stream, "221 2.0.0 bye\r\n"),
            Next::Tls => {
                let Some(config) = tls.take() else { return Ok(()) };
                say(&mut stream, "220 2.0.0 go ahead\r\n")?;
                let Stream::Tcp(tcp) = stream.into_inner() else {
                    return Ok(());
                };
                let connection = ServerConnection::new(config).map_err(io::Error::other)?;
                stream = BufReader::new(Stream::Tls(Box::new(StreamOwned::new(connection, tcp))));
                session.tls = true;
            }
        }
    }
}

fn command(
    stream: &mut BufReader<Stream>,
    line: &str,
    session: &mut Session,
    has_tls: bool,
    shared: &Shared,
) -> io::Result<Next> {
    let upper = line.to_ascii_uppercase();
    let reply = match upper.split([' ', ':']).next().unwrap_or_default() {
        "EHLO" | "LHLO" => {
            session.is_lmtp = upper.starts_with("LHLO");
            let starttls = if has_tls { "250-STARTTLS\r\n" } else { "" };
            format!(
                "250-hop.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n\
                 {starttls}250-AUTH PLAIN LOGIN\r\n250 SIZE 0\r\n"
            )
        }
        "STARTTLS" if has_tls => return Ok(Next::Tls),
        "QUIT" => return Ok(Next::Close),
        "AUTH" => {
            session.login = Some(login(stream, line)?);
            "235 2.7.0 welcome\r\n".into()
        }
        "MAIL" => {
            session.mail = address(line);
            session.rcpt.clear();
            "250 2.1.0 ok\r\n".into()
        }
        "RCPT" if shared.behaviour.unknown.contains(&address(line)) => {
            "550 5.1.1 no such user here\r\n".into()
        }
        "RCPT" => {
            session.rcpt.push(address(line));
            "250 2.1.5 ok\r\n".into()
        }
        "DATA" if session.rcpt.is_empty() => "554 5.5.1 no valid recipients\r\n".into(),
        "DATA" => {
            say(stream, "354 go\r\n")?;
            let reply = taken(content(stream)?, session, shared);
            reply.repeat(if session.is_lmtp { session.rcpt.len() } else { 1 })
        }
        _ => "250 2.0.0 ok\r\n".into(),
    };
    Ok(Next::Reply(reply))
}

fn taken(content: String, session: &Session, shared: &Shared) -> String {
    let arrival = Arrival {
        at: session.at.clone(),
        from: session.from.clone(),
        mail: session.mail.clone(),
        rcpt: session.rcpt.clone(),
        tls: session.tls,
        login: session.login.clone(),
        content,
    };
    let reply = shared
        .behaviour
        .pass_on
        .as_ref()
        .and_then(|pass_on| pass_on(&arrival));
    let arrivals = shared.arrivals.lock();
    arrivals.unwrap_or_else(PoisonError::into_inner).push(arrival);
    reply.unwrap_or_else(|| "250 2.0.0 taken\r\n".to_owned())
}

/// The login in `AUTH PLAIN` or `AUTH LOGIN`, requested if it is not in the command.
fn login(stream: &mut BufReader<Stream>, command: &str) -> io::Result<String> {
    let mut words = command.split_whitespace().skip(1);
    let is_plain = words
        .next()
        .is_some_and(|mechanism| mechanism.eq_ignore_ascii_case("PLAIN"));
    let mut answer = words.next().map(str::to_owned);
    if answer.is_none() {
        say(
            stream,
            if is_plain {
                "334 \r\n"
            } else {
                "334 VXNlcm5hbWU6\r\n"
            },
        )?;
        answer = line(stream)?;
    }
    let decoded = BASE64
        .decode(answer.unwrap_or_default())
        .map_err(io::Error::other)?;
    let decoded = String::from_utf8_lossy(&decoded).into_owned();
    if is_plain {
        return Ok(decoded.split('\0').nth(1).unwrap_or_default().to_owned());
    }
    say(stream, "334 UGFzc3dvcmQ6\r\n")?;
    line(stream)?;
    Ok(decoded)
}

/// The text in angle brackets.
fn address(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(String::new, |(address, _)| address.to_owned())
}

fn say(stream: &mut BufReader<Stream>, text: &str) -> io::Result<()> {
    let stream = stream.get_mut();
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

fn line(stream: &mut BufReader<Stream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}
