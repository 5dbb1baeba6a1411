//! A server's address as the administrator writes it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Where a server listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Tcp { host: String, port: u16 },
    Socket(PathBuf),
}

impl Place {
    /// Reads `host`, `host:port`, `[IPv6]`, `[IPv6]:port` or an absolute path. The error says what is wrong.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        let refuse = |why: &str| {
            Err(format!(
                "{text:?} {why}; write host, host:port, [IPv6]:port or /path/of/socket"
            ))
        };
        if text.starts_with('/') {
            return Ok(Self::Socket(text.into()));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, after)) if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => (
                    host,
                    after
                        .strip_prefix(':')
                        .map_or(Ok(after), |port| if port.is_empty() { Err(()) } else { Ok(port) }),
                ),
                _ => return refuse("has no IPv6 address in its brackets"),
            },
            None => match text.split_once(':') {
                Some((host, port)) if !port.is_empty() => (host, Ok(port)),
                Some(_) => return refuse("has no port after the colon"),
                None => (text, Ok("")),
            },
        };
        let port = match port {
            Ok("") => default_port,
            Ok(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return refuse("has no number as its port"),
            },
            Err(()) => return refuse("has no port after the colon"),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(fits) {
            return refuse("names no host");
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
        })
    }

    /// Whether it is on this machine.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Tcp { host, .. } => {
                host.eq_ignore_ascii_case("localhost")
                    || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Checks a server as it is written in [`super::SqlServers::servers`]. The error says what is wrong with it.
///
/// # Errors
///
/// Text that is neither a host with or without a port nor the path of a socket.
pub fn check(text: &str) -> Result<(), String> {
    Place::parse(text, 1).map(drop)
}

/// Whether a server is on this machine, so that nothing crosses a network. False for what is not a valid
/// server.
#[must_use]
pub fn is_local(text: &str) -> bool {
    Place::parse(text, 1).is_ok_and(|place| place.is_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        #[rustfmt::skip]
        let cases = [
            ("a name",                "db.example.org",      Ok(("db.example.org:5432", false))),
            ("with port",             "db.example.org:6432", Ok(("db.example.org:6432", false))),
            ("an address",            "192.0.2.1",           Ok(("192.0.2.1:5432", false))),
            ("this machine",          "127.0.0.1:1",         Ok(("127.0.0.1:1", true))),
            ("this machine by name",  "localhost",           Ok(("localhost:5432", true))),
            ("IPv6",                  "[2001:db8::1]:1",     Ok(("[2001:db8::1]:1", false))),
            ("IPv6 without port",     "[::1]",               Ok(("[::1]:5432", true))),
            ("a socket",              "/run/postgresql",     Ok(("/run/postgresql", true))),
            ("nothing",               "",                    Err("names no host")),
            ("a port alone",          ":5432",               Err("names no host")),
            ("no port",               "db:",                 Err("no port")),
            ("a word as port",        "db:sql",              Err("no number")),
            ("port 0",                "db:0",                Err("no number")),
            ("bare IPv6",             "2001:db8::1",         Err("no number")),
            ("an open bracket",       "[::1",                Err("no IPv6")),
            ("text after a bracket",  "[::1]x",              Err("no number")),
            ("a URL",                 "postgresql://db/x",   Err("no number")),
            ("a login",               "me@db",               Err("names no host")),
        ];
        for (shows, text, want) in cases {
            match (Place::parse(text, 5_432), want) {
                (Ok(got), Ok((shown, local))) => {
                    assert_eq!(
                        (got.to_string().as_str(), got.is_local()),
                        (shown, local),
                        "{shows}"
                    );
                }
                (Err(got), Err(want)) => assert!(got.contains(want), "{shows}: {got}"),
                (got, _) => panic!("{shows}: {got:?}"),
            }
        }
    }
}
