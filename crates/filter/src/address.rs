//! Where a filter listens.

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

/// A text that is no address of a filter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no address of a filter: write unix:/path, inet:host:port or inet:port@host")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    /// Reads an address as sendmail (`inet:8891@localhost`, `local:/run/x.sock`) or Postfix (`inet:localhost:8891`) write it; a
    /// path alone is a Unix socket. IPv6 addresses stand in brackets, or behind the `@`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let (kind, rest) = text.split_once(':').ok_or_else(error)?;
        match kind {
            "unix" | "local" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "inet" | "inet6" => {
                let (host, port) = match rest.split_once('@') {
                    Some((port, host)) => (host, port),
                    None => rest.rsplit_once(':').ok_or_else(error)?,
                };
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let host = bare.unwrap_or(host);
                let port = port.parse().map_err(|_| error())?;
                if host.is_empty() || port == 0 {
                    return Err(error());
                }
                Ok(Self::Tcp(host.to_owned(), port))
            }
            _ => Err(error()),
        }
    }
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
