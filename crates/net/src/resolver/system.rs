//! The name servers of the system: `/etc/resolv.conf`, read as resolv.conf(5) says and as the C library does.
//!
//! Only the servers and `use-vc` are of use here: names are looked up as they stand, and how long to wait is Postern's own
//! setting. What is not understood is skipped, as the C library does: a line meant for another system is no reason not to start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// Where the system keeps them.
const FILE: &str = "/etc/resolv.conf";

/// Most servers used (`MAXNS` of the C library); the rest are skipped.
const SERVERS_MAX: usize = 3;

/// The port of name servers.
const PORT: u16 = 53;

/// The name servers of the system.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct System {
    /// At least one.
    pub(super) servers: Vec<SocketAddr>,
    /// Whether they are asked over TCP alone (`options use-vc`).
    pub(super) tcp_only: bool,
}

/// Reads the file. If it is missing or cannot be read, the server on this machine is asked.
pub(super) fn read() -> System {
    let octets = std::fs::read(FILE).unwrap_or_default();
    parse(&String::from_utf8_lossy(&octets), interface)
}

/// Reads the text of the file; `interface` knows the number of a network interface by its name.
fn parse(text: &str, interface: impl Fn(&str) -> Option<u32>) -> System {
    let mut servers = Vec::new();
    let mut tcp_only = false;
    for line in text.lines() {
        // The keyword starts the line, and blanks or tabs end it.
        let Some((keyword, rest)) = line.split_once([' ', '\t']) else {
            continue;
        };
        let rest = rest.split([';', '#']).next().unwrap_or_default();
        let mut words = rest.split_ascii_whitespace();
        match keyword {
            "nameserver" if servers.len() < SERVERS_MAX => {
                servers.extend(words.next().and_then(|word| server(word, &interface)));
            }
            "options" => tcp_only |= words.any(|word| word == "use-vc"),
            _ => {}
        }
    }
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    System { servers, tcp_only }
}

/// `192.0.2.1`, `2001:db8::1`, or `fe80::1%eth0`.
fn server(word: &str, interface: impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some((address.to_canonical(), PORT).into());
    }
    let (address, zone) = word.split_once('%')?;
    let scope = zone.parse().ok().or_else(|| interface(zone))?;
    Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope).into())
}

fn interface(name: &str) -> Option<u32> {
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    let number = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"));
    number.ok().filter(|_| plain)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_c_library_reads_it() {
        let many = "nameserver 192.0.2.1\n".repeat(2) + "nameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        #[rustfmt::skip]
        let cases: &[(&str, &str, &[&str])] = &[
            // what the case shows            text                                                     servers
            ("one server",                    "nameserver 192.0.2.1\n",                                &["192.0.2.1:53"]),
            ("no line end",                   "nameserver 192.0.2.1",                                  &["192.0.2.1:53"]),
            ("IPv6, a tab, CR LF",            "nameserver\t2001:db8::1\r\n",                           &["[2001:db8::1]:53"]),
            ("an interface by name",          "nameserver fe80::1%eth7\n",                             &["[fe80::1%7]:53"]),
            ("an interface by number",        "nameserver fe80::1%3\n",                                &["[fe80::1%3]:53"]),
            ("an interface that is not",      "nameserver fe80::1%tun9\nnameserver ::1\n",             &["[::1]:53"]),
            ("IPv4 in IPv6",                  "nameserver ::ffff:192.0.2.1\n",                         &["192.0.2.1:53"]),
            ("in their order",                "nameserver 192.0.2.2\nnameserver 192.0.2.1\n",          &["192.0.2.2:53", "192.0.2.1:53"]),
            ("three count",                   &many,                                                   &["192.0.2.1:53", "192.0.2.1:53", "192.0.2.2:53"]),
            ("an empty file",                 "",                                                      &["127.0.0.1:53"]),
            ("a search list alone",           "search example.org\n",                                  &["127.0.0.1:53"]),
            ("a name for an address",         "nameserver localhost\nnameserver 192.0.2.1\n",          &["192.0.2.1:53"]),
            ("nothing that can be used",      "nameserver localhost\n",                                &["127.0.0.1:53"]),
            ("a keyword alone",               "domain\nnameserver\nnameserver 192.0.2.1\n",            &["192.0.2.1:53"]),
            ("lines of other systems",        "lookup file bind\nnameserver 192.0.2.1\n",              &["192.0.2.1:53"]),
            ("options unknown and odd",       "nameserver 192.0.2.1\noptions edns0 trust-ad ndots x:5 insecure1\n", &["192.0.2.1:53"]),
            ("a domain that is none",         "nameserver 192.0.2.1\nsearch *.bad..example\n",         &["192.0.2.1:53"]),
            ("comments",                      "; nameserver 192.0.2.9\n#nameserver 192.0.2.8\nnameserver 192.0.2.1 # here\n", &["192.0.2.1:53"]),
            ("a blank before the keyword",    " nameserver 192.0.2.9\n",                               &["127.0.0.1:53"]),
            ("another word",                  "nameservers 192.0.2.9\n",                               &["127.0.0.1:53"]),
            ("no text at all",                "\u{0}\u{fffd}\u{1b}",                                   &["127.0.0.1:53"]),
        ];
        let known = |name: &str| (name == "eth7").then_some(7);
        for (shows, text, want) in cases {
            let read = parse(text, known);
            let shown: Vec<String> = read.servers.iter().map(ToString::to_string).collect();
            assert_eq!(shown, *want, "{shows}");
            assert!(!read.tcp_only, "{shows}");
        }
        assert!(parse("options rotate use-vc\n", known).tcp_only);
        assert!(!parse("options use-vcx\n", known).tcp_only);
    }

    proptest::proptest! {
        #[test]
        fn there_is_always_whom_to_ask(text in "(nameserver|options|search|;)?[ \\t]{0,2}.{0,40}\n?.{0,40}") {
            let read = parse(&text, |_| None);
            proptest::prop_assert!((1..=SERVERS_MAX).contains(&read.servers.len()));
        }
    }
}
