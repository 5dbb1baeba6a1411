//! Networks as the unit in which peers are counted, at several levels: one customer may have many small ones.

use std::net::IpAddr;

use ipnet::IpNet;

/// The prefix lengths of networks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NetworkPrefix {
    /// Bits of an IPv4 address. Default 32: each address by itself.
    pub v4: u8,
    /// Bits of an IPv6 address. Default 64: the least that one customer commonly gets.
    pub v6: u8,
}

/// Levels at which peers are counted.
pub const LEVELS: usize = 3;

/// The networks of one peer, the narrowest first; `None` if there is no such level.
pub type Levels = [Option<IpNet>; LEVELS];

/// Bits of the wider IPv4 network: the smallest that is routed on the Internet.
const WIDE_V4: u8 = 24;

/// Bits of the wider IPv6 networks: what a customer gets, at home and at work.
const WIDE_V6: [u8; 2] = [56, 48];

impl Default for NetworkPrefix {
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

impl NetworkPrefix {
    /// The network of `peer`: its address with all bits past the prefix cleared. An IPv4-mapped IPv6 address counts as the IPv4
    /// address.
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
        cut(peer, bits)
    }

    /// The networks of `peer` at all levels: the one of [`net`](Self::net), then its `/24`; or its `/56` and its `/48`.
    #[must_use]
    pub fn levels(self, peer: IpAddr) -> Levels {
        let peer = peer.to_canonical();
        let narrow = Some(self.net(peer));
        match peer {
            IpAddr::V4(_) => [narrow, Some(cut(peer, self.v4.min(WIDE_V4))), None],
            IpAddr::V6(_) => {
                let [wide, wider] = WIDE_V6.map(|bits| Some(cut(peer, self.v6.min(bits))));
                [narrow, wide, wider]
            }
        }
    }

    /// Prefix length of a peer's network at a level.
    #[must_use]
    pub fn bits(self, peer: IpAddr, level: usize) -> u8 {
        match (peer.to_canonical(), level) {
            (IpAddr::V4(_), 0) => self.v4.min(32),
            (IpAddr::V4(_), _) => self.v4.min(WIDE_V4),
            (IpAddr::V6(_), 0) => self.v6.min(128),
            (IpAddr::V6(_), level) => self.v6.min(WIDE_V6[level.min(2) - 1]),
        }
    }
}

/// The network that one customer, or one attacker, is likely to have: the `/24` or `/56` of an address.
#[must_use]
pub fn wide(peer: IpAddr) -> IpNet {
    let peer = peer.to_canonical();
    let bits = if peer.is_ipv4() { WIDE_V4 } else { WIDE_V6[0] };
    cut(peer, bits)
}

/// The network that a site with many networks is likely to have: the `/48` of an IPv6 address. `None` for IPv4.
#[must_use]
pub fn wider(peer: IpAddr) -> Option<IpNet> {
    let peer = peer.to_canonical();
    peer.is_ipv6().then(|| cut(peer, WIDE_V6[1]))
}

fn cut(peer: IpAddr, bits: u8) -> IpNet {
    IpNet::new(peer, bits).map_or_else(|_| peer.into(), |network| network.trunc())
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

    #[test]
    fn levels() {
        #[rustfmt::skip]
        let cases: [(_, _, &[&str]); 3] = [
            ("192.0.2.77",           "192.0.2.0/24",        &["192.0.2.77/32", "192.0.2.0/24"]),
            ("::ffff:192.0.2.77",    "192.0.2.0/24",        &["192.0.2.77/32", "192.0.2.0/24"]),
            ("2001:db8:1:203:4::5",  "2001:db8:1:200::/56", &["2001:db8:1:203::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"]),
        ];
        for (peer, in_words, expected) in cases {
            let peer = peer.parse().unwrap();
            let levels = NetworkPrefix::default().levels(peer);
            let found: Vec<String> = levels.iter().flatten().map(ToString::to_string).collect();
            assert_eq!(found, expected);
            assert_eq!(wide(peer).to_string(), in_words);
        }
        let coarse = NetworkPrefix { v4: 16, v6: 48 };
        let levels = coarse.levels("192.0.2.77".parse().unwrap());
        assert_eq!(levels[0], levels[1], "no level is narrower than the one before");
        assert_eq!(coarse.bits("192.0.2.77".parse().unwrap(), 1), 16);
    }
}
