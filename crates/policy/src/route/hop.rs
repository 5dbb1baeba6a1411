//! One host of a route: how it is written, and what it means.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use postern_mail::Domain;

/// The host of a hop.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum HopHost {
    /// A name, whose addresses are looked up (no MX).
    Name(Box<str>),
    /// A name whose MX records name the hosts, `mx:example.org`.
    Mx(Box<str>),
    /// An address.
    Ip(IpAddr),
    /// A socket in the file system, `unix:/run/dovecot/lmtp`.
    Unix(PathBuf),
}

/// One host to try.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Hop {
    /// The host.
    pub host: HopHost,
    /// Its port; 0 for a socket.
    pub port: u16,
}

/// As it is written in the configuration.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HopHost::Name(name) => write!(f, "{name}:{}", self.port),
            HopHost::Mx(name) => write!(f, "mx:{name}:{}", self.port),
            HopHost::Ip(ip) => std::net::SocketAddr::new(*ip, self.port).fmt(f),
            HopHost::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An invalid hop.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a next hop; write \"host:port\", \"mx:host:port\" for the hosts of its MX records, \"192.0.2.1:25\", \"[2001:db8::1]:25\" or \"unix:/path\""
)]
pub struct BadHop(String);

impl Hop {
    /// Reads `host:port`, `mx:host:port`, `192.0.2.1:25`, `[2001:db8::1]:25`, `unix:/path`; without a port `default_port`.
    ///
    /// # Errors
    ///
    /// [`BadHop`].
    pub fn parse(text: &str, default_port: u16) -> Result<Self, BadHop> {
        let bad = || BadHop(text.chars().take(300).collect());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self {
                    host: HopHost::Unix(path.into()),
                    port: 0,
                })
            } else {
                Err(bad())
            };
        }
        if let Some(name) = text.strip_prefix("mx:") {
            let (name, port) = match name.split_once(':') {
                Some((name, port)) => (name, port_number(port).ok_or_else(bad)?),
                None => (name, default_port),
            };
            // An address has no MX records.
            return match (name.parse::<IpAddr>(), Domain::parse(name, true)) {
                (Err(_), Ok(Domain::Name(name))) => Ok(Self {
                    host: HopHost::Mx(name),
                    port,
                }),
                _ => Err(bad()),
            };
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self {
                host: HopHost::Ip(ip),
                port: default_port,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            // `[2001:db8::1]` contains colons itself.
            Some((host, port)) if !port.ends_with(']') => (host, port_number(port).ok_or_else(bad)?),
            _ => (text, default_port),
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(literal) => HopHost::Ip(
                literal
                    .strip_prefix("IPv6:")
                    .unwrap_or(literal)
                    .parse()
                    .map_err(|_| bad())?,
            ),
            None => match host.parse() {
                Ok(IpAddr::V4(ip)) => HopHost::Ip(ip.into()),
                // Without brackets it is unclear where an IPv6 address ends and its port begins.
                Ok(IpAddr::V6(_)) => return Err(bad()),
                Err(_) => match Domain::parse(host, true) {
                    Ok(Domain::Name(name)) => HopHost::Name(name),
                    _ => return Err(bad()),
                },
            },
        };
        Ok(Self { host, port })
    }
}

fn port_number(text: &str) -> Option<u16> {
    // `parse` would accept a sign.
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port != 0)
}
