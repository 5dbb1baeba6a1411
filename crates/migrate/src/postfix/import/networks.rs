//! `mynetworks`: a first-match list becomes one in which all entries count.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::super::text::words;
use super::tables::{Behind, Reference, TABLES};
use super::{Layer, Site};
use crate::Origin;
use crate::config::Value;
use crate::report::Weight;

pub(super) fn carry_over(site: &mut Site<'_>) {
    let networks = of(site, &site.layer(), "mynetworks");
    let mut seen = std::collections::BTreeSet::new();
    site.networks = networks
        .iter()
        .map(ToString::to_string)
        .filter(|network| seen.insert(network.clone()))
        .collect();
    if site.is_set("mynetworks") {
        site.carried("mynetworks", "[relay] networks");
        site.meaningless("mynetworks_style", "mynetworks says which networks are meant");
    } else {
        by_style(site);
    }
    if !site.networks.is_empty() {
        let (networks, comment) = (Value::list(site.networks.clone()), site.comment("mynetworks"));
        site.import
            .config
            .section("relay")
            .set("networks", networks, comment);
    }
}

/// The table's name.
const MYNETWORKS: &str = "mynetworks";

/// Most networks written in a rule itself.
const NAMED_MAX: usize = 3;

impl Site<'_> {
    /// Networks for a rule: listed directly, or as a table.
    pub(super) fn networks_table(&mut self, networks: Vec<String>) -> Vec<String> {
        if networks.len() <= NAMED_MAX || networks != self.networks {
            return networks;
        }
        if let Some(known) = self.copies.get(MYNETWORKS) {
            return vec![format!("cidr:{known}")];
        }
        let lines: String = networks
            .iter()
            .map(|network| format!("{network}\tOK\n"))
            .collect();
        let text = format!("# mynetworks, for rules; [relay] has them, too.\n{lines}");
        // It is no more world-readable than main.cf and the configuration.
        let path = self.place(TABLES, MYNETWORKS);
        self.import.secret(&path, text);
        self.copies.insert(MYNETWORKS.to_owned(), path.clone());
        vec![format!("cidr:{path}")]
    }
}

/// Without `mynetworks`, the machine's own addresses count, or its networks.
fn by_style(site: &mut Site<'_>) {
    let own = ["127.0.0.0/8", "::1/128"];
    site.networks = own.map(str::to_owned).into();
    let style = site.value("mynetworks_style");
    let at = site.at("mynetworks_style");
    site.told.insert("mynetworks_style".to_owned());
    let what = format!("mynetworks_style = {style}");
    match style.as_str() {
        "host" => {
            let difference = "this machine's own programs may relay; add its other addresses to [relay] networks if \
                programs connect to them rather than to loopback";
            site.import.changed(&at, &what, "[relay] networks", difference);
        }
        _ => {
            let remedy =
                "the networks that the old machine was in could relay: name them in [relay] networks";
            site.import.missing(&at, &what, Weight::Mail, remedy);
        }
    }
}

/// The networks in a Postfix list, as seen by a service. What cannot be carried over is in the report.
pub(super) fn of(site: &mut Site<'_>, layer: &Layer<'_>, parameter: &str) -> Vec<IpNet> {
    let at = layer.origin(parameter).unwrap_or(&site.start).clone();
    let mut steps = Vec::new();
    for word in words(&layer.value(parameter)) {
        read(site, &word, &at, parameter, &mut steps, 0);
    }
    computed(&steps)
}

/// A network, and whether it is included in the list or excluded.
type Step = (bool, IpNet);

fn read(site: &mut Site<'_>, word: &str, at: &Origin, what: &str, steps: &mut Vec<Step>, depth: u8) {
    let (is_in, word) = match word.strip_prefix('!') {
        Some(rest) => (false, rest),
        None => (true, word),
    };
    if word.starts_with('/') && depth < 4 {
        let Some(text) = site.text(word, at, what) else {
            return;
        };
        for line in super::super::text::logical_lines(word, &text) {
            site.import.carried(&line.at, &line.what, "[relay] networks");
            for word in words(&line.what) {
                read(site, &word, &line.at, what, steps, depth + 1);
            }
        }
        return;
    }
    if let Some(table) = Reference::of(word).filter(|table| table.behind() != Behind::Unknown) {
        // Whatever a table's value for a network is, it is in the list: REJECT counts like OK.
        let Some(entries) = site.entries(&table, at) else {
            let remedy = format!("name the networks of {word} in [relay] networks");
            site.import.missing(at, what, Weight::Mail, remedy);
            return;
        };
        for entry in entries {
            let negated = entry.key.starts_with('!');
            match network(entry.key.trim_start_matches('!')) {
                Some(network) if !negated => {
                    steps.push((is_in, network));
                    let to = "[relay] networks: what stands behind it does not matter there";
                    site.import.carried(&entry.at, &entry.key, to);
                }
                _ => {
                    let remedy = "no network that can be listed; add to [relay] networks what is meant";
                    site.import.missing(&entry.at, &entry.key, Weight::Mail, remedy);
                }
            }
        }
        return;
    }
    match network(word) {
        Some(network) => steps.push((is_in, network)),
        None => {
            let what = format!("{what}: {word}");
            let remedy = "clients do not relay by name: name their networks in [relay]";
            site.import.missing(at, &what, Weight::Mail, remedy);
        }
    }
}

/// `10.8.0.0/24`, `[::1]/128`, `[2001:db8::1]`, `10.8.0.7/24` with bits of the host, `[::ffff:10.0.0.0]/104` containing an IPv4
/// network.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let text = text.replace(['[', ']'], "");
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    let network = network.trunc();
    if let IpNet::V6(six) = network
        && six.prefix_len() >= 96
        && let Some(four) = six.addr().to_ipv4_mapped()
    {
        return v4(four, six.prefix_len() - 96);
    }
    Some(network)
}

fn v4(address: Ipv4Addr, length: u8) -> Option<IpNet> {
    IpNet::new(IpAddr::V4(address), length).ok()
}

/// The resulting list: each network minus what an earlier entry excluded.
fn computed(steps: &[Step]) -> Vec<IpNet> {
    let mut found: Vec<IpNet> = Vec::new();
    let mut out: Vec<IpNet> = Vec::new();
    for (is_in, network) in steps {
        if !is_in {
            // One that is already included stays included.
            out.push(*network);
            continue;
        }
        let mut parts = vec![*network];
        for kept_out in &out {
            parts = parts
                .into_iter()
                .flat_map(|part| without(part, *kept_out))
                .collect();
        }
        for part in parts {
            if !found.iter().any(|known| known.contains(&part)) {
                found.push(part);
            }
        }
    }
    found
}

/// A network minus another one.
fn without(network: IpNet, taken: IpNet) -> Vec<IpNet> {
    if taken.contains(&network) {
        return Vec::new();
    }
    if !network.contains(&taken) {
        return vec![network];
    }
    let (mut rest, mut parts) = (network, Vec::new());
    while rest != taken {
        let Ok(mut halves) = rest.subnets(rest.prefix_len() + 1) else {
            break;
        };
        let (Some(first), Some(second)) = (halves.next(), halves.next()) else {
            break;
        };
        let (with, free) = if first.contains(&taken) {
            (first, second)
        } else {
            (second, first)
        };
        parts.push(free);
        rest = with;
    }
    parts.sort();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_computed() {
        let table: &[(&str, &[&str])] = &[
            ("127.0.0.0/8 10.8.0.0/24", &["127.0.0.0/8", "10.8.0.0/24"]),
            (
                "127.0.0.0/8 ::ffff:127.0.0.0/104 ::1/128",
                &["127.0.0.0/8", "::1/128"],
            ),
            ("10.8.0.7/24", &["10.8.0.0/24"]),
            ("!10.2.0.3 10.2.0.0/30", &["10.2.0.0/31", "10.2.0.2/32"]),
            ("10.2.0.0/30 !10.2.0.3", &["10.2.0.0/30"]),
            ("!10.0.0.0/8 10.2.0.0/24", &[]),
            ("!10.2.0.0/24 192.0.2.0/24", &["192.0.2.0/24"]),
        ];
        for (list, expected) in table {
            let steps: Vec<Step> = list
                .split(' ')
                .map(|word| {
                    (
                        !word.starts_with('!'),
                        network(word.trim_start_matches('!')).unwrap(),
                    )
                })
                .collect();
            let found: Vec<String> = computed(&steps).iter().map(ToString::to_string).collect();
            assert_eq!(&found, expected, "{list}");
        }
        assert_eq!(network("[::1]/128"), network("::1"));
        assert_eq!(network("host.example"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_taken_out_is_out_and_nothing_else(a in 0_u32..=u32::MAX, length in 8_u8..30, more in 0_u8..=8, probe in 0_u32..=u32::MAX) {
            let whole = v4(a.into(), length).unwrap().trunc();
            let taken = v4(a.into(), (length + more).min(32)).unwrap().trunc();
            let parts = without(whole, taken);
            for address in [a, probe, a ^ 1, a ^ (probe >> length)] {
                let address = IpAddr::V4(address.into());
                let expected = whole.contains(&address) && !taken.contains(&address);
                proptest::prop_assert_eq!(parts.iter().any(|part| part.contains(&address)), expected);
            }
        }
    }
}
