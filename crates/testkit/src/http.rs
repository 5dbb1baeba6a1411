//! An HTTP client for single requests.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a request to a server on a loopback port; returns the status and the body.
///
/// # Errors
///
/// If there is no server, or it does not speak HTTP.
pub fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    get_as(port, path, "*/*")
}

/// The same, accepting this content type.
///
/// # Errors
///
/// As [`get`].
pub fn get_as(port: u16, path: &str, accept: &str) -> io::Result<(u16, String)> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(stream, path, accept)
}

/// Sends a request to a server on a Unix socket.
///
/// # Errors
///
/// As [`get`].
pub fn get_unix(socket: &Path, path: &str) -> io::Result<(u16, String)> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(stream, path, "*/*")
}

fn ask(mut stream: impl Read + Write, path: &str, accept: &str) -> io::Result<(u16, String)> {
    // HTTP/1.0: the answer ends with the connection.
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let strange = || io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(strange)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(strange)?, body.to_owned()))
}
