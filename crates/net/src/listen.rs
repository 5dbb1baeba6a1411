//! Sockets that accept.

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may wait to be accepted. The kernel takes the least of this and `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// Pause when there are no file descriptors or no memory for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}{}", remedy(source))]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system said.
    pub source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program listens there: ss -ltnp shows which)",
        io::ErrorKind::AddrNotAvailable => {
            " (this machine does not have that address: ip address shows those it has)"
        }
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need CAP_NET_BIND_SERVICE, or a start by systemd or root)"
        }
        _ => "",
    }
}

/// Opens a socket that accepts connections to `address`. Needs a tokio runtime with I/O.
///
/// `SO_REUSEADDR` is set, so that a restart does not wait for old connections. An IPv6 address takes IPv6
/// alone, so that `0.0.0.0:25` and `[::]:25` can stand side by side. Port 0 lets the system choose.
///
/// # Errors
///
/// [`ListenError`], with the remedy for the usual causes.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let failed = |source| ListenError { address, source };
    TcpListener::from_std(open(address)?).map_err(failed)
}

/// The same without a runtime, for a process that opens its sockets before it drops its privileges and starts threads.
///
/// # Errors
///
/// As [`bind`].
pub fn open(address: SocketAddr) -> Result<std::net::TcpListener, ListenError> {
    listening(address).map_err(|source| ListenError { address, source })
}

/// The same beside listeners of this process that are about to go: where the address is in use by one of them, as `0.0.0.0:25` is by
/// `127.0.0.1:25`, both are open until the other one is closed.
///
/// # Errors
///
/// As [`open`]: another program has the address.
pub fn open_beside(
    address: SocketAddr,
    leaving: &[&std::net::TcpListener],
) -> Result<std::net::TcpListener, ListenError> {
    let failed = |source| ListenError { address, source };
    let first = match listening(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && !leaving.is_empty() => error,
        opened => return opened.map_err(failed),
    };
    let share = |on: bool| {
        for one in leaving {
            // Where that cannot be set, the address stays in use.
            let _ = SockRef::from(*one).set_reuse_port(on);
        }
    };
    share(true);
    let second = listening_as(address, true);
    share(false);
    match second {
        Ok(socket) => {
            // Nobody else is to share it.
            SockRef::from(&socket).set_reuse_port(false).map_err(failed)?;
            Ok(socket)
        }
        Err(_) => Err(failed(first)),
    }
}

fn listening(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    listening_as(address, false)
}

fn listening_as(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes the next connection, with `TCP_NODELAY` set and the peer's address in canonical form (no IPv4-mapped IPv6).
///
/// Temporary errors (a peer that has gone again, no free file descriptor) are waited out, so a returned error means that the
/// listener itself is broken. When file descriptors or memory run out, `told` is called once. Cancel-safe.
///
/// # Errors
///
/// What the operating system said about the listener.
pub async fn accept(
    listener: &TcpListener,
    told: impl Fn(&io::Error),
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut short = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if stream.set_nodelay(true).is_ok() {
                    return Ok((stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())));
                }
                // The peer has already reset the connection.
            }
            Err(error) => match severity(&error) {
                Severity::Peer => {}
                Severity::Exhausted => {
                    if !short {
                        told(&error);
                        short = true;
                    }
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                Severity::Listener => return Err(error),
            },
        }
    }
}

/// Serves connections until `shutdown`: as many at once as there are `places`, which several listeners may share, while further
/// ones wait. A listener that waits for a connection already holds a place for it. The shutdown ends connections in progress, and
/// this returns when they have ended.
///
/// `accept` takes a connection; its errors are given to `told`, and it is called again after a pause.
pub async fn serve<S, A, W>(
    accept: impl Fn() -> A,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
    told: impl Fn(io::Error),
    work: impl Fn(S) -> W,
) where
    A: Future<Output = io::Result<S>>,
    W: Future<Output = ()> + Send + 'static,
{
    let connections = TaskTracker::new();
    loop {
        let next = async {
            let place = Arc::clone(places).acquire_owned().await;
            let place = place.map_err(io::Error::other)?;
            Ok::<_, io::Error>((accept().await?, place))
        };
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = next => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let (work, shutdown) = (work(stream), shutdown.clone());
                connections.spawn(async move {
                    let _place = place;
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => {}
                        () = work => {}
                    }
                });
            }
            Err(error) => {
                told(error);
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

/// What an error of `accept(2)` is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Severity {
    /// One peer, or the network to it. The next connection may be sound.
    Peer,
    /// This process or machine, temporarily.
    Exhausted,
    /// The listening socket.
    Listener,
}

/// Linux passes network errors of the new connection through `accept`, and asks that they be treated like `EAGAIN`.
fn severity(error: &io::Error) -> Severity {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(
            Errno::ECONNABORTED
            | Errno::ECONNRESET
            | Errno::EINTR
            | Errno::EPROTO
            | Errno::EPERM
            | Errno::ENETDOWN
            | Errno::ENOPROTOOPT
            | Errno::EHOSTDOWN
            | Errno::ENONET
            | Errno::EHOSTUNREACH
            | Errno::EOPNOTSUPP
            | Errno::ENETUNREACH
            | Errno::ETIMEDOUT,
        ) => Severity::Peer,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => Severity::Exhausted,
        _ => Severity::Listener,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 0)
    }

    #[tokio::test]
    async fn accepted_connections_do_not_wait_for_more_data() {
        let listener = bind(any_port("127.0.0.1")).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (stream, peer) = accept(&listener, |_| {}).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(peer, client.local_addr().unwrap());
    }

    #[tokio::test]
    async fn both_families_share_a_port() {
        let v6 = bind(any_port("::")).unwrap();
        let port = v6.local_addr().unwrap().port();
        bind(SocketAddr::new("0.0.0.0".parse().unwrap(), port)).unwrap();
    }

    #[tokio::test]
    async fn a_taken_address_says_so() {
        let first = bind(any_port("127.0.0.1")).unwrap();
        let address = first.local_addr().unwrap();
        let refused = bind(address).unwrap_err();
        assert_eq!(refused.source.kind(), io::ErrorKind::AddrInUse);
        let text = refused.to_string();
        assert!(
            text.contains(&address.to_string()) && text.contains("another program"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_address_of_another_machine_says_so() {
        let refused = bind("192.0.2.1:2525".parse().unwrap()).unwrap_err();
        assert!(
            refused.to_string().contains("does not have that address"),
            "{refused}"
        );
    }

    #[test]
    fn errors_of_accept() {
        #[rustfmt::skip]
        let cases = [
            // why it happens                  error                  what it is about
            ("the peer has hung up",           Errno::ECONNABORTED,   Severity::Peer),
            ("a firewall forbade it",          Errno::EPERM,          Severity::Peer),
            ("the route went away",            Errno::EHOSTUNREACH,   Severity::Peer),
            ("our limit of open files",        Errno::EMFILE,         Severity::Exhausted),
            ("the system's limit",             Errno::ENFILE,         Severity::Exhausted),
            ("no memory for the socket",       Errno::ENOBUFS,        Severity::Exhausted),
            ("the listener was closed",        Errno::EBADF,          Severity::Listener),
            ("not a listener",                 Errno::EINVAL,         Severity::Listener),
        ];
        for (why, errno, expected) in cases {
            assert_eq!(
                severity(&io::Error::from_raw_os_error(errno as i32)),
                expected,
                "{why}"
            );
        }
    }
}
