//! Networks that are too large to belong to anybody.
//!
//! Trusting `0.0.0.0/1` means trusting half of the Internet, which in effect is everybody: any stranger can find a host in it.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

/// Shortest prefix of an IPv4 network that can belong to somebody: `10.0.0.0/8` is the largest private one, and registries
/// allocate none larger.
const V4_BITS_MIN: u8 = 8;

/// Shortest prefix of an IPv6 network in public use: the largest that an operator has is a `/19`.
const V6_BITS_MIN: u8 = 19;

/// Most IPv4 addresses in a list: 32 networks of the largest size.
const V4_SUM_MAX: u64 = 32 << 24;

/// Most IPv6 `/64` networks in a list: eight networks of the largest size.
const V6_SUM_MAX: u64 = 8 << (64 - 19);

/// Whether a network is so large that to trust it is to trust everybody. Private IPv6 networks (`fc00::/7`, `fe80::/10`) may be large.
#[must_use]
pub fn is_everybody(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < V4_BITS_MIN,
        IpNet::V6(network) => network.prefix_len() < V6_BITS_MIN && !is_private(network),
    }
}

/// Whether networks that are acceptable one by one are too large together: two halves make the whole.
#[must_use]
pub fn are_everybody(networks: &[IpNet]) -> bool {
    let (mut v4, mut v6) = (0_u64, 0_u64);
    for network in IpNet::aggregate(&networks.to_vec()) {
        match network {
            IpNet::V4(network) => v4 = v4.saturating_add(1 << (32 - network.prefix_len())),
            IpNet::V6(network) if is_private(&network) => {}
            IpNet::V6(network) => {
                let bits = 64_u32.saturating_sub(network.prefix_len().into());
                v6 = v6.saturating_add(1_u64.checked_shl(bits).unwrap_or(u64::MAX));
            }
        }
    }
    v4 > V4_SUM_MAX || v6 > V6_SUM_MAX
}

/// A network in the form in which peers are compared with it: one of IPv4-mapped addresses becomes an IPv4 network.
#[must_use]
pub fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(inner) = network else { return network };
    match (inner.addr().to_canonical(), inner.prefix_len().checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(bits)) => IpNet::new(address, bits).unwrap_or(network),
        _ => network,
    }
}

fn is_private(network: &Ipv6Net) -> bool {
    let within = |first: u16, bits: u8| {
        let whole = Ipv6Net::new(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), bits);
        whole.is_ok_and(|whole| whole.contains(network))
    };
    within(0xfc00, 7) || within(0xfe80, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows            network              everybody
            ("all of IPv4",                   "0.0.0.0/0",         true),
            ("a half",                        "0.0.0.0/1",         true),
            ("the other half",                "128.0.0.0/1",       true),
            ("two of the largest",            "10.0.0.0/7",        true),
            ("the largest private one",       "10.0.0.0/8",        false),
            ("one address",                   "192.0.2.1/32",      false),
            ("all of IPv6",                   "::/0",              true),
            ("all that is in use",            "2000::/3",          true),
            ("a registry's",                  "2a00::/12",         true),
            ("every IPv4 host by 6to4",       "2002::/16",         true),
            ("the largest operator's",        "2003::/19",         false),
            ("a site's",                      "2001:db8::/32",     false),
            ("unique local addresses",        "fc00::/7",          false),
            ("link-local addresses",          "fe80::/10",         false),
            ("more than those",               "fc00::/6",          true),
        ];
        for (shows, network, want) in cases {
            assert_eq!(is_everybody(&network.parse().unwrap()), want, "{shows}");
        }
    }

    #[test]
    fn networks_together() {
        let eights = |count: u32| (0..count).map(|n| format!("{n}.0.0.0/8")).collect::<Vec<_>>();
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        #[rustfmt::skip]
        let cases = [
            // what the case shows            networks                                           everybody
            ("none",                          list(&[]),                                         false),
            ("usual ones",                    list(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "2001:db8::/32"]), false),
            ("two halves of IPv4",            list(&["0.0.0.0/1", "128.0.0.0/1"]),               true),
            ("an eighth in pieces",           eights(33),                                        true),
            ("the most that may be",          eights(32),                                        false),
            ("IPv6 in use, in halves",        list(&["2000::/4", "3000::/4"]),                   true),
            ("the largest IPv6 operator's",   list(&["2003::/19"]),                              false),
            ("the same one many times",       vec!["2003::/19".to_owned(); 20],                  false),
        ];
        for (shows, networks, want) in cases {
            let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(are_everybody(&networks), want, "{shows}");
        }
    }

    #[test]
    fn ipv4_inside_ipv6_is_ipv4() {
        #[rustfmt::skip]
        let cases = [
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"), ("::ffff:0:0/96", "0.0.0.0/0"), ("::ffff:192.0.2.1/128", "192.0.2.1/32"),
            ("::/0", "::/0"), ("2001:db8::/32", "2001:db8::/32"), ("192.0.2.0/24", "192.0.2.0/24"),
        ];
        for (text, want) in cases {
            let network = canonical(text.parse().unwrap());
            assert_eq!(network, want.parse::<IpNet>().unwrap(), "{text}");
        }
    }
}
