//! Which addresses mail may be sent to that is routed by DNS, which strangers control.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Why mail that is routed by DNS is not sent to an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreachable {
    /// It is this host itself; so is `0.0.0.0`, since connecting to it reaches this host.
    #[error("the loopback address {0}")]
    Loopback(IpAddr),
    /// It is link-local, where there cannot be a mail host of others.
    #[error("the link-local address {0}")]
    LinkLocal(IpAddr),
    /// It is a multicast or reserved address.
    #[error("{0}, which is not the address of a host")]
    NoHost(IpAddr),
}

/// Whether mail that is routed by DNS may be sent to `address`. Networks in `allowed` are always permitted.
///
/// Loopback and link-local addresses would let the owner of a domain reach services that are meant only for this host and its
/// neighbours. An IPv4 address embedded in an IPv6 one (mapped, compatible, NAT64, 6to4) counts as itself. Private networks (RFC
/// 1918) are not judged here: relays inside of one find each other through DNS.
///
/// # Errors
///
/// [`Unreachable`].
pub fn by_dns(address: IpAddr, allowed: &[IpNet]) -> Result<(), Unreachable> {
    let canonical = address.to_canonical();
    if allowed
        .iter()
        .any(|network| network.contains(&canonical) || network.contains(&address))
    {
        return Ok(());
    }
    match canonical {
        IpAddr::V4(v4) => judge_v4(address, v4),
        IpAddr::V6(v6) => {
            judge_v6(address, v6)?;
            embedded(v6).map_or(Ok(()), |v4| judge_v4(address, v4))
        }
    }
}

fn judge_v4(address: IpAddr, v4: Ipv4Addr) -> Result<(), Unreachable> {
    match v4.octets() {
        // All of "this network" (RFC 1122 section 3.2.1.3) means this host.
        [0 | 127, ..] => Err(Unreachable::Loopback(address)),
        [169, 254, ..] => Err(Unreachable::LinkLocal(address)),
        // Multicast, and above it reserved and broadcast addresses.
        [224..=255, ..] => Err(Unreachable::NoHost(address)),
        _ => Ok(()),
    }
}

fn judge_v6(address: IpAddr, v6: Ipv6Addr) -> Result<(), Unreachable> {
    if v6.is_loopback() || v6.is_unspecified() {
        Err(Unreachable::Loopback(address))
    } else if v6.is_unicast_link_local() {
        Err(Unreachable::LinkLocal(address))
    } else if v6.is_multicast() {
        Err(Unreachable::NoHost(address))
    } else {
        Ok(())
    }
}

/// The IPv4 address embedded in an IPv6 address: IPv4-compatible (RFC 4291 section 2.5.5.1), NAT64 with either prefix (RFC 6052
/// section 2.1; the local one with a /96 below it), the translated form `::ffff:0:a.b.c.d`, 6to4 (RFC 3056 section 2).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let in_two = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low] => Some(in_two(high, low)),
        [0x2002, high, low, ..] => Some(in_two(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_out_of_dns() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows                  address                     what it is
            ("a host",                              "192.0.2.1",                "reached"),
            ("a host, IPv6",                        "2001:db8::1",              "reached"),
            ("a private network",                   "10.0.0.1",                 "reached"),
            ("a private network, IPv6",             "fd00::1",                  "reached"),
            ("loopback",                            "127.0.0.1",                "loopback"),
            ("all of loopback",                     "127.255.255.254",          "loopback"),
            ("loopback, IPv6",                      "::1",                      "loopback"),
            ("unspecified, which leads here",       "0.0.0.0",                  "loopback"),
            ("this network",                        "0.1.2.3",                  "loopback"),
            ("unspecified, IPv6",                   "::",                       "loopback"),
            ("link-local, clouds answer there",     "169.254.169.254",          "link-local"),
            ("link-local, IPv6",                    "fe80::1",                  "link-local"),
            ("the end of link-local",               "febf::1",                  "link-local"),
            ("multicast",                           "224.0.0.1",                "no host"),
            ("reserved",                            "240.0.0.1",                "no host"),
            ("broadcast",                           "255.255.255.255",          "no host"),
            ("multicast, IPv6",                     "ff02::1",                  "no host"),
            ("mapped",                              "::ffff:127.0.0.1",         "loopback"),
            ("mapped, a host",                      "::ffff:192.0.2.1",         "reached"),
            ("mapped, link-local",                  "::ffff:169.254.1.1",       "link-local"),
            ("compatible",                          "::127.0.0.1",              "loopback"),
            ("compatible, a host",                  "::192.0.2.1",              "reached"),
            ("NAT64",                               "64:ff9b::127.0.0.1",       "loopback"),
            ("NAT64 of this site",                  "64:ff9b:1::127.0.0.1",     "loopback"),
            ("translated",                          "::ffff:0:127.0.0.1",       "loopback"),
            ("NAT64, a host",                       "64:ff9b::192.0.2.1",       "reached"),
            ("6to4",                                "2002:7f00:1::1",           "loopback"),
            ("6to4, link-local",                    "2002:a9fe:101::1",         "link-local"),
            ("6to4, a host",                        "2002:c000:201::1",         "reached"),
        ];
        for (shows, address, expected) in cases {
            let got = match by_dns(address.parse().unwrap(), &[]) {
                Ok(()) => "reached",
                Err(Unreachable::Loopback(_)) => "loopback",
                Err(Unreachable::LinkLocal(_)) => "link-local",
                Err(Unreachable::NoHost(_)) => "no host",
            };
            assert_eq!(got, expected, "{shows}");
        }
    }

    #[test]
    fn a_laboratory_says_what_it_reaches() {
        let allowed = ["127.0.0.2/32".parse().unwrap(), "::1/128".parse().unwrap()];
        #[rustfmt::skip]
        let cases = [
            ("listed",          "127.0.0.2",        true),
            ("listed, mapped",  "::ffff:127.0.0.2", true),
            ("listed, IPv6",    "::1",              true),
            ("not listed",      "127.0.0.1",        false),
            ("always",          "192.0.2.1",        true),
        ];
        for (shows, address, reached) in cases {
            assert_eq!(
                by_dns(address.parse().unwrap(), &allowed).is_ok(),
                reached,
                "{shows}"
            );
        }
    }
}
