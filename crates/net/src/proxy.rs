//! The PROXY protocol header, versions 1 and 2, with which a load balancer says for whom it connects.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest header that is read, in octets. Version 1 allows 107; version 2 could have 65,551, most of them extensions that
/// are skipped here.
pub const HEADER_MAX: usize = 4_096;

/// What a header says about the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header {
    /// The proxy speaks for itself (a health check), or for a peer without an IP address: the socket's own addresses hold.
    Local,
    /// The proxy speaks for somebody else.
    Proxied {
        /// The real peer.
        source: SocketAddr,
        /// The address it had connected to.
        destination: SocketAddr,
    },
}

/// What [`parse`] made of the octets so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// A whole header of `len` octets. What follows it belongs to the connection.
    Complete {
        /// Length of the header.
        len: usize,
        /// What it says.
        header: Header,
    },
    /// A header so far, that does not end before this many octets in all.
    Incomplete(usize),
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The octets are no PROXY header.
    #[error("no PROXY header: {0}")]
    Malformed(&'static str),
    /// The header is longer than [`HEADER_MAX`].
    #[error("PROXY header longer than {HEADER_MAX} octets")]
    TooLong,
    /// It did not come in time.
    #[error("no PROXY header after {} s", .0.as_secs())]
    Timeout(Duration),
    /// The connection broke or ended.
    #[error("connection lost before the PROXY header was complete")]
    Lost(#[source] io::Error),
}

/// Looks for a header at the start of `input`.
///
/// # Errors
///
/// [`ProxyError::Malformed`] and [`ProxyError::TooLong`].
pub fn parse(input: &[u8]) -> Result<Parsed, ProxyError> {
    let _ = input;
    todo!()
}

/// Reads the header off a fresh connection, and not one octet more.
///
/// Call it for connections from listed networks alone: there the header must be present; anybody else could lie in it.
///
/// # Errors
///
/// [`ProxyError`]: close the connection.
pub async fn read_header(stream: &TcpStream, timeout: Duration) -> Result<Header, ProxyError> {
    let _ = (stream, timeout);
    todo!()
}
