//! Sockets that accept.

use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}{remedy}")]
pub struct ListenError {
    address: SocketAddr,
    remedy: &'static str,
    source: io::Error,
}

/// Opens a socket that accepts connections to `address`. Needs a tokio runtime with I/O.
///
/// An IPv6 address takes IPv6 alone, so that `0.0.0.0:25` and `[::]:25` can stand side by side.
///
/// # Errors
///
/// [`ListenError`], with the remedy for the usual causes.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    todo!("{address}")
}

/// Takes the next connection, with `TCP_NODELAY` set and the peer's address in canonical form.
///
/// Passing errors (a peer that is gone again, no free file descriptor) are waited out, so a returned error means that the
/// listener itself is broken. Safe to cancel.
///
/// # Errors
///
/// What the operating system said of the listener.
pub async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let _ = listener;
    todo!()
}
