//! A plain client that sends what it is given and returns what it receives, over TCP or TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

/// The client's TLS identity, and which server it trusts.
#[derive(Clone, Copy, Debug)]
pub struct TlsOptions<'a> {
    /// The name the server's certificate must have.
    pub name: &'a str,
    /// The CA that must have signed it.
    pub ca: &'a Path,
    /// A client certificate and its key.
    pub identity: Option<(&'a Path, &'a Path)>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// One connection to a server.
pub struct Client {
    stream: BufReader<Stream>,
}

impl Client {
    /// Connects to a loopback port and returns the client and the greeting.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub fn connect(port: u16) -> io::Result<(Self, String)> {
        let mut client = Self {
            stream: BufReader::new(Stream::Plain(tcp(port)?)),
        };
        let greeting = client.reply()?;
        Ok((client, greeting))
    }

    /// As [`connect`](Self::connect), from an address of 127.0.0.0/8.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub fn connect_from(source: Ipv4Addr, port: u16) -> io::Result<(Self, String)> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        let mut client = Self {
            stream: BufReader::new(Stream::Plain(ready(socket.into())?)),
        };
        let greeting = client.reply()?;
        Ok((client, greeting))
    }

    /// As [`connect`](Self::connect), as a proxy that gives its client's address (PROXY protocol, version 1); `early` is sent
    /// right after that.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub fn connect_for(source: Ipv4Addr, port: u16, early: &str) -> io::Result<(Self, String)> {
        let mut client = Self {
            stream: BufReader::new(Stream::Plain(tcp(port)?)),
        };
        client.send(format!("PROXY TCP4 {source} 127.0.0.1 4711 25\r\n{early}").as_bytes())?;
        let greeting = client.reply()?;
        Ok((client, greeting))
    }

    /// A client on an already open connection from which nothing has been read.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        Ok(Self {
            stream: BufReader::new(Stream::Plain(ready(stream)?)),
        })
    }

    /// Connects to a port with implicit TLS.
    ///
    /// # Errors
    ///
    /// What the network or TLS says.
    pub fn connect_tls(port: u16, options: TlsOptions<'_>) -> io::Result<(Self, String)> {
        let stream = Stream::Tls(Box::new(wrap(tcp(port)?, options, rustls::DEFAULT_VERSIONS)?));
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        let greeting = client.reply()?;
        Ok((client, greeting))
    }

    /// `tls-exporter` of the TLS session (RFC 9266); `None` without TLS.
    #[must_use]
    pub fn tls_exporter(&self) -> Option<[u8; 32]> {
        match self.stream.get_ref() {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => tls
                .conn
                .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
                .ok(),
        }
    }

    /// The socket of a connection without TLS and without unread data; `None` otherwise.
    #[must_use]
    pub fn into_tcp(self) -> Option<TcpStream> {
        match (self.stream.buffer().is_empty(), self.stream.into_inner()) {
            (true, Stream::Plain(tcp)) => Some(tcp),
            _ => None,
        }
    }

    /// Sends `STARTTLS` and shakes hands.
    ///
    /// # Errors
    ///
    /// What the network or TLS says, or a reply other than 220.
    pub fn starttls(mut self, options: TlsOptions<'_>) -> io::Result<Self> {
        self.ask_for_tls()?;
        self.after_starttls(options)
    }

    /// The same with TLS 1.2 at most.
    ///
    /// # Errors
    ///
    /// As [`Client::starttls`].
    pub fn starttls_at_most_12(mut self, options: TlsOptions<'_>) -> io::Result<Self> {
        self.ask_for_tls()?;
        self.shake_hands(options, &[&rustls::version::TLS12])
    }

    fn ask_for_tls(&mut self) -> io::Result<()> {
        let reply = self.say("STARTTLS")?;
        if reply.starts_with("220") {
            Ok(())
        } else {
            Err(io::Error::other(reply))
        }
    }

    /// Shakes hands after the 220 to a `STARTTLS` that [`Client::send`] has sent.
    ///
    /// # Errors
    ///
    /// What the network or TLS says.
    pub fn after_starttls(self, options: TlsOptions<'_>) -> io::Result<Self> {
        self.shake_hands(options, rustls::DEFAULT_VERSIONS)
    }

    fn shake_hands(
        self,
        options: TlsOptions<'_>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<Self> {
        let Stream::Plain(stream) = self.stream.into_inner() else {
            return Err(io::Error::other("TLS is on already"));
        };
        let stream = Stream::Tls(Box::new(wrap(stream, options, versions)?));
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends one line and returns the whole reply, lines joined by `\n`.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub fn say(&mut self, line: &str) -> io::Result<String> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Reads one reply.
    ///
    /// # Errors
    ///
    /// What the network says; `UnexpectedEof` if the server has closed the connection.
    pub fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("closed after {reply:?}"),
                ));
            }
            let line = line.trim_end();
            reply.push_str(line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
            reply.push('\n');
        }
    }

    /// Logs in with `AUTH PLAIN` and returns the reply.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub fn login(&mut self, login: &str, password: &str) -> io::Result<String> {
        self.say(&format!(
            "AUTH PLAIN {}",
            BASE64.encode(format!("\0{login}\0{password}"))
        ))
    }

    /// Sends one message in one transaction and returns the reply to the final dot, or the first refusal.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub fn mail(&mut self, from: &str, to: &[&str], content: &str) -> io::Result<String> {
        let reply = self.say(&format!("MAIL FROM:<{from}>"))?;
        if !reply.starts_with("250") {
            return Ok(reply);
        }
        for to in to {
            let reply = self.say(&format!("RCPT TO:<{to}>"))?;
            if !reply.starts_with("250") {
                self.say("RSET")?;
                return Ok(reply);
            }
        }
        let reply = self.say("DATA")?;
        if !reply.starts_with("354") {
            return Ok(reply);
        }
        let mut data = String::new();
        for line in content.lines() {
            if line.starts_with('.') {
                data.push('.');
            }
            data.push_str(line);
            data.push_str("\r\n");
        }
        self.send(data.as_bytes())?;
        self.say(".")
    }
}

fn tcp(port: u16) -> io::Result<TcpStream> {
    ready(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
}

fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn wrap(
    tcp: TcpStream,
    options: TlsOptions<'_>,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(options.ca).map_err(io::Error::other)? {
        roots
            .add(certificate.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let config = match options.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(io::Error::other)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(io::Error::other)?
        }
    };
    let name = ServerName::try_from(options.name.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, tcp);
    stream.flush()?;
    Ok(stream)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
