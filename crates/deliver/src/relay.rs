//! The host at the other end of a connection, as named in logs, listings and reports.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use postern_mail::Domain;
use postern_policy::route::{Hop, HopHost};

/// Where an attempt went. Displayed as `mx.example.org[192.0.2.1]:25`, `192.0.2.1:25`, `unix:/run/lmtp`, `maildir`, `system`;
/// empty if no host was reached.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum Relay {
    /// To no host.
    #[default]
    Nowhere,
    /// Into the mailboxes of this host.
    Maildir,
    /// To a local user of this machine.
    System,
    /// To a host with this name, at this address.
    Named(Arc<str>, SocketAddr),
    /// To a host that has no name here.
    Unnamed(SocketAddr),
    /// To a program on this host.
    Unix(Arc<Path>),
}

impl Relay {
    /// The host of a hop at one of its addresses.
    pub(crate) fn at(hop: &Hop, address: SocketAddr) -> Self {
        match &hop.host {
            HopHost::Name(name) | HopHost::Mx(name) => Self::Named((**name).into(), address),
            HopHost::Ip(_) | HopHost::Unix(_) => Self::Unnamed(address),
        }
    }

    /// The program behind a socket.
    pub(crate) fn unix(path: &Path) -> Self {
        Self::Unix(path.into())
    }

    /// The host's name, or its address as a literal (RFC 5321 section 4.1.3), as in reports; `None` if no host was reached.
    pub(crate) fn host(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Nowhere | Self::Maildir | Self::System => None,
            Self::Named(name, _) => Some((&**name).into()),
            Self::Unnamed(address) => Some(Domain::Literal(address.ip()).to_string().into()),
            Self::Unix(_) => Some("localhost".into()),
        }
    }

    /// The host's own name.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name, _) => Some(name),
            _ => None,
        }
    }

    /// Whether any host was reached.
    pub(crate) fn is_somewhere(&self) -> bool {
        *self != Self::Nowhere
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => Ok(()),
            Self::Maildir => f.write_str("maildir"),
            Self::System => f.write_str("system"),
            Self::Named(name, address) => write!(f, "{name}[{}]:{}", address.ip(), address.port()),
            Self::Unnamed(address) => match address.ip() {
                IpAddr::V4(ip) => write!(f, "{ip}:{}", address.port()),
                IpAddr::V6(ip) => write!(f, "[{ip}]:{}", address.port()),
            },
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
impl Relay {
    /// A host with this name.
    pub(crate) fn named(name: &str) -> Self {
        Self::Named(name.into(), (std::net::Ipv4Addr::new(192, 0, 2, 1), 25).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hosts() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let v4 = || address("192.0.2.1:25");
        #[rustfmt::skip]
        let cases = [
            (Relay::Named("mx.example.org".into(), v4()),              "mx.example.org[192.0.2.1]:25",    Some("mx.example.org")),
            (Relay::Named("mx.test".into(), address("[2001:db8::1]:25")), "mx.test[2001:db8::1]:25",      Some("mx.test")),
            (Relay::Unnamed(v4()),                                     "192.0.2.1:25",                    Some("[192.0.2.1]")),
            (Relay::Unnamed(address("[2001:db8::1]:25")),              "[2001:db8::1]:25",                Some("[IPv6:2001:db8::1]")),
            (Relay::unix(Path::new("/run/lmtp")),                         "unix:/run/lmtp",                  Some("localhost")),
            (Relay::Maildir,                                           "maildir",                         None),
            (Relay::System,                                            "system",                          None),
            (Relay::Nowhere,                                           "",                                None),
        ];
        for (relay, shown, host) in cases {
            assert_eq!(relay.to_string(), shown);
            assert_eq!(relay.host().as_deref(), host, "{shown}");
        }
    }
}
