//! What clients may make grow or last, and who they may be.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

/// What clients may make grow or last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted. A change takes effect when the listener is opened again.
    pub connections_max: usize,
    /// Octets of a request's first line and header; larger ones get `431`. At least 8 KiB are read into memory.
    pub header_max: usize,
    /// Octets of a request's body; larger ones get `413`.
    pub body_max: usize,
    /// How long a client may take for each of: the header of a request, its body and its answer together, and its next
    /// request.
    pub time: Duration,
    /// Who may connect to a port. On a Unix socket its file permissions decide.
    pub peers: Peers,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 32,
            header_max: 16 << 10,
            body_max: 64 << 10,
            time: Duration::from_secs(10),
            peers: Peers::default(),
        }
    }
}

/// The networks whose clients are answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Peers(pub Vec<IpNet>);

impl Peers {
    /// Whether a client at this address is answered.
    #[must_use]
    pub fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_answered() {
        let peers = Peers(vec![
            "127.0.0.0/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ]);
        for (address, answered, why) in [
            ("127.0.0.1", true, "listed"),
            (
                "::ffff:127.0.0.1",
                true,
                "the same, as a socket for both families shows it",
            ),
            ("192.0.2.1", false, "not listed"),
            ("2001:db8::1", true, "listed"),
            ("::1", false, "not listed"),
        ] {
            assert_eq!(
                peers.include(address.parse().unwrap()),
                answered,
                "{address}: {why}"
            );
        }
        assert!(
            !Peers::default().include("127.0.0.1".parse().unwrap()),
            "nobody is listed"
        );
    }
}
