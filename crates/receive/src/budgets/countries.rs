//! The countries of networks, from a file that the site provides, with lines `network,country` such as `192.0.2.0/24,DE`.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Networks and their countries. The narrowest network that contains an address counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Countries {
    /// By prefix length, the longest first: IPv4 networks, then IPv6 networks.
    levels: [Vec<Level>; 2],
    networks: usize,
}

/// The networks with a prefix of this length, and their countries.
type Level = (u8, HashMap<IpAddr, Box<str>>);

/// A malformed line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {text:?} is not a network and a country; write \"192.0.2.0/24,DE\"")]
pub struct CountriesError {
    /// The line number, from 1.
    pub line: usize,
    /// How it begins.
    pub text: String,
}

impl Countries {
    /// Reads the text of the file. Empty lines and those that begin with `#` are ignored, as are a first line of column names and
    /// columns after the second.
    ///
    /// # Errors
    ///
    /// [`CountriesError`], for the first malformed line.
    pub fn parse(text: &str) -> Result<Self, CountriesError> {
        let mut countries = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let Some((network, country)) = entry(text) else {
                if line == 1 && names_columns(text) {
                    continue;
                }
                let text = text.chars().take(60).collect();
                return Err(CountriesError { line, text });
            };
            countries.insert(network, country);
        }
        Ok(countries)
    }

    fn insert(&mut self, network: IpNet, country: &str) {
        let levels = &mut self.levels[usize::from(network.addr().is_ipv6())];
        let bits = network.prefix_len();
        let at = levels.partition_point(|(known, _)| *known > bits);
        if levels.get(at).is_none_or(|(known, _)| *known != bits) {
            levels.insert(at, (bits, HashMap::new()));
        }
        let country = country.to_ascii_uppercase().into();
        if levels[at].1.insert(network.network(), country).is_none() {
            self.networks += 1;
        }
    }

    /// The country of an address, as the file writes it, in capitals.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<&str> {
        let address = address.to_canonical();
        let levels = &self.levels[usize::from(address.is_ipv6())];
        levels.iter().find_map(|(bits, networks)| {
            let network = IpNet::new(address, *bits).ok()?.network();
            networks.get(&network).map(|country| &**country)
        })
    }

    /// How many networks there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.networks
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.networks == 0
    }
}

/// Whether a line holds column names rather than a network.
fn names_columns(text: &str) -> bool {
    let first = text.split(',').next().unwrap_or_default();
    text.contains(',') && !first.contains(|c: char| c.is_ascii_digit() || c == ':')
}

fn entry(text: &str) -> Option<(IpNet, &str)> {
    let mut columns = text.split(',').map(|column| column.trim().trim_matches('"'));
    let network = columns.next()?;
    let network = network
        .parse()
        .or_else(|_| network.parse::<IpAddr>().map(IpNet::from))
        .ok()?;
    let country = columns.next().filter(|country| !country.is_empty())?;
    (country.len() <= 40 && !country.contains(char::is_control)).then_some((network, country))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_counts() {
        let text = "network,country\n# ours\n192.0.2.0/24,DE\n\"192.0.2.128/25\",\"fr\",Paris\n2001:db8::/32,NL\n198.51.100.7,IT\n";
        let countries = Countries::parse(text).unwrap();
        assert_eq!(countries.len(), 4);
        #[rustfmt::skip]
        let cases = [
            ("192.0.2.1",           Some("DE")),
            ("192.0.2.200",         Some("FR")),
            ("::ffff:192.0.2.200",  Some("FR")),
            ("198.51.100.7",        Some("IT")),
            ("198.51.100.8",        None),
            ("2001:db8:7::1",       Some("NL")),
            ("2001:db9::1",         None),
        ];
        for (address, want) in cases {
            assert_eq!(countries.of(address.parse().unwrap()), want, "{address}");
        }
        let bad = Countries::parse("192.0.2.0/24,DE\n192.0.2.0/33,DE\n").unwrap_err();
        assert_eq!(bad.line, 2);
        assert!(Countries::parse("192.0.2.0/24,\n").is_err(), "no country");
    }
}
