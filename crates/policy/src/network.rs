//! Networks as the unit in which peers are counted.

use std::net::IpAddr;

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
        todo!("{peer}")
    }
}
