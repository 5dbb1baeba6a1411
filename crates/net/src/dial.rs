//! Sockets that connect.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// Connects to `address`, from the local address `source` if given, with `TCP_NODELAY` set.
///
/// # Errors
///
/// What the operating system said; [`io::ErrorKind::TimedOut`] after `timeout`.
pub async fn connect(
    address: SocketAddr,
    source: Option<IpAddr>,
    timeout: Duration,
) -> io::Result<TcpStream> {
    let _ = (address, source, timeout);
    todo!()
}
