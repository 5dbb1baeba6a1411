//! How many of the connections each network may have, so that none takes all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use postern_policy::network::NetworkPrefix;

/// Connections that each network may have whatever the limit is: a browser opens six.
const LEAST: usize = 8;

/// The part of all connections that one network may have, as a divisor.
const PART: usize = 4;

/// What each network has. Loopback is not counted: a reverse proxy or a tunnel stands for many clients.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of a network, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    network: Option<IpAddr>,
}

impl Shares {
    /// A connection for a client at this address; `None` when its network has all that it may have of `connections_max`.
    pub(crate) fn take(self: &Arc<Self>, client: Option<IpAddr>, connections_max: usize) -> Option<Share> {
        let client = client.filter(|client| !client.to_canonical().is_loopback());
        let network = client.map(|client| NetworkPrefix::default().of(client));
        if let Some(network) = network {
            let mut held = self.held.lock();
            let count = held.entry(network).or_default();
            if *count >= (connections_max / PART).max(LEAST) {
                return None;
            }
            *count += 1;
        }
        Some(Share {
            shares: Arc::clone(self),
            network,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut held = self.shares.held.lock();
        if let Some(count) = held.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                held.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_part_and_no_more() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows          client              another               of all  takes  then the other
            ("a quarter",                   "192.0.2.1",        "192.0.2.1",          64,     16,    false),
            ("enough for a browser",        "192.0.2.1",        "192.0.2.1",          4,      8,     false),
            ("an IPv4 address in IPv6",     "::ffff:192.0.2.1", "192.0.2.1",          32,     8,     false),
            ("another address",             "192.0.2.1",        "192.0.2.2",          32,     8,     true),
            ("the same /64",                "2001:db8::1",      "2001:db8::ffff",     32,     8,     false),
            ("another /64",                 "2001:db8::1",      "2001:db8:0:1::1",    32,     8,     true),
            ("a proxy on this host",        "127.0.0.1",        "127.0.0.1",          32,     31,    true),
            ("the same by IPv6",            "::1",              "::1",                32,     31,    true),
        ];
        for (shows, client, another, all, takes, then) in cases {
            let shares = Arc::new(Shares::default());
            let client = Some(client.parse().unwrap());
            let taken: Vec<Share> = (0..takes)
                .map(|_| shares.take(client, all).expect(shows))
                .collect();
            assert_eq!(
                shares.take(Some(another.parse().unwrap()), all).is_some(),
                then,
                "{shows}"
            );
            drop(taken);
            assert!(shares.held.lock().is_empty(), "{shows}");
        }
        let shares = Arc::new(Shares::default());
        assert!(shares.take(None, 1).is_some(), "a socket of the file system");
    }
}
