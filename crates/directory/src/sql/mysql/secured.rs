//! TLS for connections to MySQL and MariaDB, with the same trust settings as all other clients.
//!
//! The client library only has its own verifier, which refuses a server's self-signed certificate marked as an authority. So
//! TLS is done here, and the library connects to a socket of this process that leads into it. The library must regard the
//! connection as secure for `caching_sha2_password`; it does so for a Unix socket, and that is what it gets.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::{Conn, OptsBuilder};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::prelude::{self, HEADER, PAYLOAD_MAX, Renumber};
use super::tell::tell;
use crate::failover::Fault;
use crate::sql::text::one_line;

/// Octets copied at once in one direction.
const PIECE: usize = 8_192;

/// Idle time before TCP keepalive probes are sent to the server.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(60);

/// A server that is only used over TLS.
pub(super) struct Secured {
    host: String,
    port: u16,
    tls: TlsConnector,
}

impl Secured {
    /// `host` is a name or an address; the server's certificate must be for it.
    pub(super) fn new(host: &str, port: u16, tls: Arc<ClientConfig>) -> Self {
        Self {
            host: host.to_owned(),
            port,
            tls: tls.into(),
        }
    }

    /// Connects and logs in. Nothing of the login is sent before the server's certificate is verified.
    pub(super) async fn connect(&self, options: OptsBuilder) -> Result<Conn, Fault> {
        let failed = |cause: io::Error| Fault::Server(one_line(&cause.to_string()));
        let mut server = self.dial().await.map_err(failed)?;
        let greeting = read_payload(&mut server).await.map_err(failed)?;
        let greeting =
            prelude::greeting_in_the_clear(greeting).map_err(|why| Fault::Server(one_line(&why)))?;
        let door = Door::open().map_err(failed)?;
        let options = options.socket(Some(door.name.clone()));
        let (ended, mut end) = oneshot::channel::<io::Error>();
        let client = async {
            Conn::new(options).await.map_err(|error| {
                let cause = end.try_recv().map(|cause| one_line(&cause.to_string()));
                Fault::Server(cause.unwrap_or_else(|_| tell(&error)))
            })
        };
        let relay = async {
            let mut client = door.enter().await.map_err(failed)?;
            let greeting = prelude::packet(0, &greeting);
            client.write_all(&greeting).await.map_err(failed)?;
            let response = read_payload(&mut client).await.map_err(failed)?;
            let server = self.secure(server, response).await.map_err(failed)?;
            tokio::spawn(async move {
                if let Err(cause) = relay(server, &mut client).await {
                    // Reported before the socket closes, so that whoever sees it close finds the cause.
                    let _ = ended.send(cause);
                }
            });
            Ok(())
        };
        let (connection, ()) = tokio::try_join!(client, relay)?;
        Ok(connection)
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        Ok(stream)
    }

    /// Asks for TLS, verifies the server, and only then lets the response go out.
    async fn secure(&self, mut server: TcpStream, response: Vec<u8>) -> io::Result<TlsStream<TcpStream>> {
        let (request, response) = prelude::request_and_response(response).map_err(io::Error::other)?;
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        server.write_all(&request).await?;
        let mut server = self.tls.connect(name, server).await?;
        server.write_all(&response).await?;
        server.flush().await?;
        Ok(server)
    }
}

/// A single-use socket that only this process can use.
struct Door {
    /// In the client library's form: an abstract name, which is not in the file system.
    name: String,
    listener: UnixListener,
}

impl Door {
    fn open() -> io::Result<Self> {
        let name = format!("postern-mysql-{:032x}", rand::random::<u128>());
        let listener = Listener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            name: format!("\0{name}"),
            listener: UnixListener::from_std(listener)?,
        })
    }

    /// Accepts this process's connection. Others on this machine that find the name are rejected.
    async fn enter(self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let ours = i32::try_from(std::process::id()).ok();
            if ours.is_some() && stream.peer_cred()?.pid() == ours {
                return Ok(stream);
            }
        }
    }
}

/// Forwards everything until one side is done; packet numbers are changed until the login is over.
async fn relay(server: TlsStream<TcpStream>, client: &mut UnixStream) -> io::Result<()> {
    let over = AtomicBool::new(false);
    let (mut up, mut down) = (Renumber::up(), Renumber::down());
    let (from_server, to_server) = tokio::io::split(server);
    let (from_client, to_client) = client.split();
    // The server sends nothing more before it has the command that ends the login, so `over` is set in time.
    let to_server = carry(from_client, to_server, |octets| {
        if !over.load(Ordering::Acquire) && up.pass(octets) {
            over.store(true, Ordering::Release);
        }
    });
    let to_client = carry(from_server, to_client, |octets| {
        if !over.load(Ordering::Acquire) {
            down.pass(octets);
        }
    });
    tokio::select! {
        end = to_server => end,
        end = to_client => end,
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut number: impl FnMut(&mut [u8]),
) -> io::Result<()> {
    let mut piece = Zeroizing::new(vec![0; PIECE]);
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        number(&mut piece[..read]);
        to.write_all(&piece[..read]).await?;
        to.flush().await?;
    }
}

/// The payload of the next packet before TLS.
async fn read_payload(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header).await?;
    let length = prelude::payload_length(header);
    if length > PAYLOAD_MAX {
        return Err(io::Error::other("the server does not speak MySQL's protocol"));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await?;
    Ok(payload)
}
