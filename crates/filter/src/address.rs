//! The address on which a filter listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a filter's socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A host, by name or address, and a port.
    Tcp(String, u16),
}

/// An invalid filter address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not the address of a filter; write \"unix:/path\", \"inet:host:port\" or \"inet:port@host\""
)]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    /// Reads an address as sendmail (`inet:8891@localhost`, `local:/run/x.sock`) or Postfix (`inet:localhost:8891`) write it.
    /// Only a path means a Unix socket, only a host and a port (`localhost:8891`) TCP. IPv6 addresses are in brackets, or after
    /// the `@`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let (kind, rest) = text.split_once(':').ok_or_else(error)?;
        match kind {
            "unix" | "local" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" | "local" => Err(error()),
            "inet" | "inet6" => tcp(rest).ok_or_else(error),
            _ => tcp(text).ok_or_else(error),
        }
    }
}

/// A host and a port, in either order.
fn tcp(text: &str) -> Option<Address> {
    let (host, port) = match text.split_once('@') {
        Some((port, host)) => (host, port),
        None => text.rsplit_once(':')?,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    // Without brackets it is unclear where an IPv6 address ends and its port begins.
    let is_host = |host: &str| !host.is_empty() && !host.contains(char::is_whitespace);
    let host = match bare {
        Some(bare) => bare,
        None if host.contains(':') && !text.contains('@') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    is_host(host).then(|| Address::Tcp(host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(out, "inet:[{host}]:{port}"),
            Self::Tcp(host, port) => write!(out, "inet:{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows      written                         read
            ("a path",                  "/run/x.sock",                  "unix:/run/x.sock"),
            ("Postfix, Unix",           "unix:/run/x.sock",             "unix:/run/x.sock"),
            ("sendmail, Unix",          "local:/run/x.sock",            "unix:/run/x.sock"),
            ("Postfix, TCP",            "inet:localhost:8891",          "inet:localhost:8891"),
            ("sendmail, TCP",           "inet:8891@localhost",          "inet:localhost:8891"),
            ("sendmail, IPv6",          "inet6:8891@::1",               "inet:[::1]:8891"),
            ("Postfix, IPv6",           "inet:[::1]:8891",              "inet:[::1]:8891"),
            ("plain, TCP",              "localhost:8891",               "inet:localhost:8891"),
            ("plain, IPv4",             "127.0.0.1:8891",               "inet:127.0.0.1:8891"),
            ("plain, IPv6",             "[::1]:8891",                   "inet:[::1]:8891"),
            ("IPv6 without brackets",   "inet:::1:8891",                ""),
            ("a path that is relative", "unix:x.sock",                  ""),
            ("no port",                 "inet:localhost",               ""),
            ("port 0",                  "inet:localhost:0",             ""),
            ("no host",                 "inet:8891@",                   ""),
            ("something else",          "tcp:localhost:8891",           ""),
            ("nothing",                 "",                             ""),
        ];
        for (shows, written, read) in cases {
            let got = written.parse::<Address>();
            let got = got.map(|address| address.to_string());
            assert_eq!(got.unwrap_or_default(), read, "{shows}");
        }
    }
}
