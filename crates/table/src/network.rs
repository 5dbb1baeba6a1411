//! Networks with values, in order.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::lines::split;
use crate::notes::Notes;
use crate::rules::{self, Form, Step, Test};

/// Networks in order, of which the first that contains an address decides. A network under a condition or with `!` counts by its
/// position, like the others.
///
/// A look-up costs a hash for each prefix length that occurs, whatever the number of networks; rules with `!` and conditions are
/// tried one by one.
#[derive(Debug, Default)]
pub struct Networks {
    /// Each with its value and line, in order.
    plain: Vec<(IpNet, Box<str>, usize)>,
    /// The first of each network in `plain`.
    index: HashMap<IpNet, u32>,
    /// The prefix lengths that occur, for IPv4 and IPv6.
    lengths: [Vec<u8>; 2],
    /// If there are conditions or negations: all rules, and the other fields are empty.
    steps: Vec<Step<IpNet, Box<str>>>,
    len: usize,
}

struct Cidr;

impl Networks {
    pub(crate) fn read(text: &str, notes: &mut Notes) -> Self {
        let steps = rules::read(text, &Cidr, notes);
        let is_rule = |step: &&Step<IpNet, Box<str>>| matches!(step, Step::Rule(..));
        let len = steps.iter().filter(is_rule).count();
        let is_plain = steps
            .iter()
            .all(|step| matches!(step, Step::Rule(test, ..) if !test.negated));
        if !is_plain {
            return Self {
                steps,
                len,
                ..Self::default()
            };
        }
        let mut networks = Self {
            len,
            ..Self::default()
        };
        for step in steps {
            if let Step::Rule(test, value, line) = step {
                networks.add(test.test, value, line);
            }
        }
        networks
    }

    fn add(&mut self, network: IpNet, value: Box<str>, line: usize) {
        let Ok(place) = u32::try_from(self.plain.len()) else {
            return;
        };
        self.plain.push((network, value, line));
        self.index.entry(network).or_insert(place);
        let lengths = &mut self.lengths[usize::from(network.addr().is_ipv6())];
        if !lengths.contains(&network.prefix_len()) {
            lengths.push(network.prefix_len());
        }
    }

    /// The value for an address in text form, and its line. What is not an address is in no network.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<(&str, usize)> {
        self.find_address(key.parse().ok()?)
    }

    /// The same for an address. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn find_address(&self, address: IpAddr) -> Option<(&str, usize)> {
        let address = address.to_canonical();
        if !self.steps.is_empty() {
            let holds = |network: &IpNet| {
                let same = network.addr().is_ipv4() == address.is_ipv4();
                same.then(|| network.contains(&address))
            };
            let (_, value, line) = rules::find(&self.steps, holds)?;
            return Some((value, line));
        }
        let lengths = &self.lengths[usize::from(address.is_ipv6())];
        let places = lengths.iter().filter_map(|&length| {
            let network = match address {
                IpAddr::V4(v4) => IpNet::V4(Ipv4Net::new(v4, length).ok()?.trunc()),
                IpAddr::V6(v6) => IpNet::V6(Ipv6Net::new(v6, length).ok()?.trunc()),
            };
            self.index.get(&network)
        });
        let (_, value, line) = self.plain.get(*places.min()? as usize)?;
        Some((value, *line))
    }

    /// How many networks have a value.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Form for Cidr {
    type Test = IpNet;
    type Value = Box<str>;

    fn test<'t>(&self, text: &'t str) -> Result<(IpNet, &'t str), String> {
        let (word, rest) = split(text);
        Ok((network(word)?, rest))
    }

    fn value(&self, text: &str, _: &Test<IpNet>) -> Result<Box<str>, String> {
        Ok(text.into())
    }
}

/// `192.0.2.0/24`, `192.0.2.1`, `2001:db8::/32`, and IPv6 in brackets, around the address or around everything.
fn network(word: &str) -> Result<IpNet, String> {
    let bare: String = word.chars().filter(|c| !matches!(c, '[' | ']')).collect();
    let brackets = word.len() - bare.len();
    if brackets > 0 && !(brackets == 2 && word.starts_with('[') && word.contains(']')) {
        return Err(format!("{word:?} is not a network: its brackets do not match"));
    }
    let no_network = || format!("{word:?} is not a network: write 192.0.2.0/24, 192.0.2.1, or 2001:db8::/32");
    let (address, length) = match bare.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (bare.as_str(), None),
    };
    let address: IpAddr = address.parse().map_err(|_| no_network())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => most,
        Some(length) => {
            let is_number = !length.is_empty() && length.bytes().all(|octet| octet.is_ascii_digit());
            let length: Option<u8> = length.parse().ok().filter(|_| is_number);
            length.filter(|length| *length <= most).ok_or_else(no_network)?
        }
    };
    let network = IpNet::new(address, length).map_err(|_| no_network())?;
    if network.trunc() != network {
        return Err(format!(
            "{word:?} has bits behind its prefix: write {} for the network, or {address} for the one address",
            network.trunc()
        ));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Networks {
        let mut notes = Notes::default();
        let networks = Networks::read(text, &mut notes);
        assert!(notes.mistakes.is_empty(), "{:?}", notes.mistakes);
        networks
    }

    #[test]
    fn the_first_that_holds_decides() {
        let plain = "10.1.0.0/16 one\n10.0.0.0/8 ten\n10.1.2.3 never\n0.0.0.0/0 all\n[2001:db8::]/32 v6\n2001:db8::1 never\n";
        let odd = "10.0.0.0/8 ten\n!192.168.0.0/16 far\nif 192.168.0.0/16\n192.168.1.0/24 one\nIF !192.168.2.0/24\n\
                   192.168.0.0/16 other\nendif\nENDIF\n192.168.2.0/24 two";
        #[rustfmt::skip]
        let cases = [
            (plain, "10.1.2.3",         Some(("one", 1)),   "the earlier one"),
            (plain, "10.2.0.1",         Some(("ten", 2)),   "the next"),
            (plain, "192.0.2.1",        Some(("all", 4)),   "all of IPv4"),
            (plain, "2001:db8::1",      Some(("v6", 5)),    "IPv6"),
            (plain, "2001:db9::1",      None,               "not all of IPv6"),
            (plain, "::ffff:10.1.0.1",  Some(("one", 1)),   "IPv4 in IPv6 form"),
            (plain, "host.example",     None,               "no address"),
            (odd,   "10.0.0.1",         Some(("ten", 1)),   "before the opposite"),
            (odd,   "192.0.2.1",        Some(("far", 2)),   "the opposite"),
            (odd,   "2001:db8::1",      None,               "an opposite is of its own family"),
            (odd,   "192.168.1.1",      Some(("one", 4)),   "within the condition"),
            (odd,   "192.168.9.1",      Some(("other", 6)), "within both"),
            (odd,   "192.168.2.1",      Some(("two", 9)),   "behind them"),
        ];
        for (text, key, want, shows) in cases {
            assert_eq!(of(text).find(key), want, "{shows}");
        }
    }

    #[test]
    fn mistakes() {
        #[rustfmt::skip]
        let cases = [
            ("10.8.0.7/24 x",         "10.8.0.0/24 for the network"),
            ("10.8.0.0/33 x",         "not a network"),
            ("10.8.0.0/+8 x",         "not a network"),
            ("10.8.0.0/ x",           "not a network"),
            ("host.example x",        "not a network"),
            ("[10.8.0.0 x",           "brackets"),
            ("10.8.0.0/24",           "no value"),
            ("if 10.0.0.0/8",         "without `endif`"),
            ("endif",                 "without `if`"),
            ("if 10.0.0.0/8 x\nendif", "of its own"),
        ];
        for (text, want) in cases {
            let mut notes = Notes::default();
            Networks::read(text, &mut notes);
            let told = format!("{:?}", notes.mistakes);
            assert!(told.contains(want), "{text}: {told}");
        }
    }

    proptest! {
        /// The index gives the same answers as a walk through the rules.
        #[test]
        fn like_a_walk(rules in prop::collection::vec((0u32..8, 0u8..=32), 1..30), key: u32) {
            let key = key & 0xE000_0001;
            let lines: Vec<(Ipv4Net, usize)> = rules.iter().enumerate().map(|(line, (bits, length))| {
                let net = Ipv4Net::new((bits << 29).into(), *length).unwrap().trunc();
                (net, line + 1)
            }).collect();
            let text: String = lines.iter().map(|(net, line)| format!("{net} v{line}\n")).collect();
            let address = std::net::Ipv4Addr::from(key);
            let want = lines.iter().find(|(net, _)| net.contains(&address)).map(|(_, line)| *line);
            let networks = of(&text);
            prop_assert_eq!(networks.find(&address.to_string()).map(|(_, line)| line), want);
        }
    }
}
