//! Servers as given on the command line, and their addresses.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use postern_net::resolver::Resolver;

use crate::exit::{Exit, Failure};

/// Name, addresses and port of a server given as `HOST`, `HOST:PORT`, `[IPv6]:PORT`.
pub(super) async fn resolve(
    named: &str,
    usual: u16,
    resolver: &Resolver,
) -> Result<(String, Vec<SocketAddr>, Duration), Failure> {
    let (host, port) = split(named, usual);
    let begun = Instant::now();
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![ip],
        Err(_) if host == "localhost" => vec![IpAddr::from([127, 0, 0, 1])],
        Err(_) => resolver
            .addresses(&host)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, format!("{host}: {error}")))?,
    };
    let addresses = addresses
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect();
    Ok((host, addresses, begun.elapsed()))
}

pub(super) fn split(named: &str, usual: u16) -> (String, u16) {
    if let Some((host, rest)) = named.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
        return (host.to_owned(), port.unwrap_or(usual));
    }
    match named.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host.to_owned(), port.parse().unwrap_or(usual)),
        _ => (named.to_owned(), usual),
    }
}

/// An address in brackets, as commands want it.
pub(super) fn bracketed(address: &str) -> String {
    let bare = address.trim().trim_start_matches('<').trim_end_matches('>');
    format!("<{bare}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_ports() {
        #[rustfmt::skip]
        let cases = [
            ("mx.example.org",       ("mx.example.org", 25)),
            ("mx.example.org:587",   ("mx.example.org", 587)),
            ("192.0.2.1:465",        ("192.0.2.1", 465)),
            ("2001:db8::1",          ("2001:db8::1", 25)),
            ("[2001:db8::1]",        ("2001:db8::1", 25)),
            ("[2001:db8::1]:587",    ("2001:db8::1", 587)),
        ];
        for (named, (host, port)) in cases {
            assert_eq!(split(named, 25), (host.to_owned(), port), "{named}");
        }
        assert_eq!(bracketed("<a@b.example>"), "<a@b.example>");
        assert_eq!(bracketed("<>"), "<>");
    }
}
