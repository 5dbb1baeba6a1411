//! The PROXY protocol header, versions 1 and 2, with which a load balancer says which client it connects for.
//!
//! The protocol is HAProxy's (`doc/proxy-protocol.txt` of its source, sections 2.1 and 2.2). Extensions of version 2 (TLVs) are
//! skipped; including the optional checksum, since TCP has one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest header that is read, in octets. Version 1 allows 107; version 2 could have 65,551, most of them
/// extensions that are skipped here.
pub const HEADER_MAX: usize = 4_096;

/// Longest header of version 1, CRLF included.
const V1_MAX: usize = 107;
const V1_START: &[u8] = b"PROXY ";

const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_FIXED: usize = 16;

/// What a header says about the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header {
    /// The proxy speaks for itself (a health check), or for a peer without an IP address: the socket's own
    /// addresses hold.
    Local,
    /// The proxy speaks for somebody else. The addresses are in canonical form: no IPv4-mapped IPv6.
    Proxied {
        /// The real peer.
        source: SocketAddr,
        /// The address it had connected to.
        destination: SocketAddr,
    },
}

/// What [`parse`] found in the octets so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// A whole header of `len` octets. What follows it belongs to the connection.
    Complete {
        /// Length of the header.
        len: usize,
        /// What it says.
        header: Header,
    },
    /// A valid beginning of a header, which needs at least this many octets in total.
    Incomplete(usize),
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The octets are not a PROXY header.
    #[error("no PROXY header: {0}")]
    Malformed(&'static str),
    /// The header is longer than [`HEADER_MAX`].
    #[error("PROXY header longer than {HEADER_MAX} octets")]
    TooLong,
    /// It did not come in time.
    #[error("no PROXY header after {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The connection broke or was closed.
    #[error("connection lost before the PROXY header was complete")]
    Lost(#[source] io::Error),
}

/// Reads the header from a new connection within `timeout`, and not one octet beyond it.
///
/// Call it only for connections from listed networks: they must send the header, and anybody else could forge one.
///
/// # Errors
///
/// [`ProxyError`]: close the connection.
pub async fn read_header(stream: &TcpStream, timeout: Duration) -> Result<Header, ProxyError> {
    match tokio::time::timeout(timeout, read_exactly(stream)).await {
        Ok(read) => read,
        Err(_) => Err(ProxyError::Timeout(timeout)),
    }
}

/// Peeks before it reads: only octets that belong to the header are taken off the socket.
async fn read_exactly(stream: &TcpStream) -> Result<Header, ProxyError> {
    let mut buffer = Vec::new();
    let mut taken = 0;
    let mut look = V1_MAX;
    loop {
        buffer.resize(taken + look, 0);
        let fresh = buffer.get_mut(taken..).unwrap_or_default();
        let seen = stream.peek(fresh).await.map_err(ProxyError::Lost)?;
        if seen == 0 {
            return Err(ProxyError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let (take, header) = match parse(buffer.get(..taken + seen).unwrap_or_default())? {
            Parsed::Complete { len, header } => (len - taken, Some(header)),
            Parsed::Incomplete(least) => {
                look = (least - taken - seen).max(V1_MAX);
                (seen, None)
            }
        };
        take_off(stream, buffer.get_mut(taken..taken + take).unwrap_or_default())
            .await
            .map_err(ProxyError::Lost)?;
        taken += take;
        if let Some(header) = header {
            return Ok(header);
        }
    }
}

async fn take_off(stream: &TcpStream, mut space: &mut [u8]) -> io::Result<()> {
    while !space.is_empty() {
        stream.readable().await?;
        match stream.try_read(space) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => space = space.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Looks for a header at the start of `input`, which may end anywhere.
///
/// # Errors
///
/// [`ProxyError::Malformed`] and [`ProxyError::TooLong`].
pub fn parse(input: &[u8]) -> Result<Parsed, ProxyError> {
    if begins(input, V1_START) {
        parse_v1(input)
    } else if begins(input, V2_START) {
        parse_v2(input)
    } else {
        Err(ProxyError::Malformed("neither version begins so"))
    }
}

/// Whether `input` begins with `start`, as far as it goes.
fn begins(input: &[u8], start: &[u8]) -> bool {
    input.iter().zip(start).all(|(a, b)| a == b)
}

fn parse_v1(input: &[u8]) -> Result<Parsed, ProxyError> {
    let window = input.get(..V1_MAX).unwrap_or(input);
    let Some(end) = window.iter().position(|&octet| octet == b'\n') else {
        if window.len() == V1_MAX {
            return Err(ProxyError::Malformed("no end of line within 107 octets"));
        }
        let missing = if window.last() == Some(&b'\r') { 1 } else { 2 };
        let least = (window.len() + missing).max(V1_START.len() + 2);
        return Ok(Parsed::Incomplete(least));
    };
    let line = window
        .get(..end)
        .and_then(|line| line.strip_suffix(b"\r"))
        .ok_or(ProxyError::Malformed("line ends without CR"))?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed("not ASCII"))?;
    let header = v1_header(line).ok_or(ProxyError::Malformed("bad line"))?;
    Ok(Parsed::Complete { len: end + 1, header })
}

/// Reads `PROXY TCP4 source destination port port`, and takes anything after `PROXY UNKNOWN`.
fn v1_header(line: &str) -> Option<Header> {
    let mut words = line.split(' ');
    let _proxy = words.next()?;
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Header::Local);
    }
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (from, to) = (address(words.next()?)?, address(words.next()?)?);
    let (from_port, to_port) = (port(words.next()?)?, port(words.next()?)?);
    words
        .next()
        .is_none()
        .then(|| proxied((from, from_port), (to, to_port)))
}

fn port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|octet| octet.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn parse_v2(input: &[u8]) -> Result<Parsed, ProxyError> {
    let Some((fixed, rest)) = input.split_first_chunk::<V2_FIXED>() else {
        return Ok(Parsed::Incomplete(V2_FIXED));
    };
    let [.., version_command, family, high, low] = *fixed;
    if version_command >> 4 != 2 {
        return Err(ProxyError::Malformed("unknown version"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    let len = V2_FIXED + length;
    if len > HEADER_MAX {
        return Err(ProxyError::TooLong);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Parsed::Incomplete(len));
    };
    let header = match version_command & 0x0f {
        0 => Header::Local,
        1 => v2_header(family, body)?,
        _ => return Err(ProxyError::Malformed("unknown command")),
    };
    Ok(Parsed::Complete { len, header })
}

fn v2_header(family: u8, body: &[u8]) -> Result<Header, ProxyError> {
    const SHORT: ProxyError = ProxyError::Malformed("addresses cut short");
    match family {
        // Unspecified, and Unix sockets.
        0x00 | 0x31 | 0x32 => Ok(Header::Local),
        0x11 => {
            let (from, rest) = body.split_first_chunk::<4>().ok_or(SHORT)?;
            let (to, rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            let (from_port, to_port) = v2_ports(rest).ok_or(SHORT)?;
            Ok(proxied(
                (IpAddr::from(*from), from_port),
                (IpAddr::from(*to), to_port),
            ))
        }
        0x21 => {
            let (from, rest) = body.split_first_chunk::<16>().ok_or(SHORT)?;
            let (to, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
            let (from_port, to_port) = v2_ports(rest).ok_or(SHORT)?;
            Ok(proxied(
                (IpAddr::from(*from), from_port),
                (IpAddr::from(*to), to_port),
            ))
        }
        _ => Err(ProxyError::Malformed("neither TCP nor a Unix socket")),
    }
}

fn v2_ports(body: &[u8]) -> Option<(u16, u16)> {
    let (from, rest) = body.split_first_chunk::<2>()?;
    let (to, _extensions) = rest.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*from), u16::from_be_bytes(*to)))
}

fn proxied(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Header {
    Header::Proxied {
        source: SocketAddr::new(source.0.to_canonical(), source.1),
        destination: SocketAddr::new(destination.0.to_canonical(), destination.1),
    }
}

#[cfg(test)]
mod tests;
