//! Networks as the unit in which peers are counted.

use std::net::IpAddr;

use ipnet::IpNet;

/// How much of an address names its network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NetworkPrefix {
    /// Bits of an IPv4 address. Default 32: each address by itself.
    pub v4: u8,
    /// Bits of an IPv6 address. Default 64: what one customer commonly gets at least.
    pub v6: u8,
}

impl Default for NetworkPrefix {
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

impl NetworkPrefix {
    /// The network of `peer`: its address with all bits past the prefix cleared. An IPv4 address mapped into IPv6 is taken for itself.
    #[must_use]
    pub fn of(self, peer: IpAddr) -> IpAddr {
        self.net(peer).network()
    }

    /// The same with its length.
    #[must_use]
    pub fn net(self, peer: IpAddr) -> IpNet {
        let peer = peer.to_canonical();
        let bits = match peer {
            IpAddr::V4(_) => self.v4.min(32),
            IpAddr::V6(_) => self.v6.min(128),
        };
        IpNet::new(peer, bits).unwrap_or_else(|_| peer.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows          v4   v6   peer                     network
            ("an address by itself",        32,  64,  "192.0.2.77",            "192.0.2.77"),
            ("a class C network",           24,  64,  "192.0.2.77",            "192.0.2.0"),
            ("a customer of IPv6",          32,  64,  "2001:db8:1:2:3:4:5:6",  "2001:db8:1:2::"),
            ("IPv4 mapped into IPv6",       24,  64,  "::ffff:192.0.2.77",     "192.0.2.0"),
            ("everybody",                   0,   0,   "2001:db8::1",           "::"),
            ("more bits than there are",    200, 200, "192.0.2.77",            "192.0.2.77"),
        ];
        for (shows, v4, v6, peer, network) in cases {
            let prefix = NetworkPrefix { v4, v6 };
            assert_eq!(
                prefix.of(peer.parse().unwrap()),
                network.parse::<IpAddr>().unwrap(),
                "{shows}"
            );
        }
    }
}
