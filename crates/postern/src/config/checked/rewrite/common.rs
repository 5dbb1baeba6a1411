//! What the rules' tables have in common: whose mail they apply to, where, and which addresses.

use postern_mail::Domain;
use postern_policy::access::names::AddressSet;
use postern_policy::rewrite::{When, Whose};

use super::super::{Checking, milters};
use crate::config::distance::nearest;
use crate::config::problem::Span;
use crate::config::read::At;

/// Most rules, checks or copies: each is evaluated for each message.
const RULES_MAX: usize = 200;

/// The domain of addresses without one.
pub(in crate::config::checked) fn origin(c: &Checking<'_>) -> Domain {
    let written = c.file.origin.as_ref();
    written
        .and_then(|origin| Domain::parse(&origin.value, true).ok())
        .unwrap_or_else(|| c.domain.clone())
}

/// Whose mail a rule applies to.
pub(super) fn whose(
    written: Option<&At<Vec<At<String>>>>,
    usual: Whose,
    when: When,
    table: &str,
    c: &mut Checking<'_>,
) -> Whose {
    let Some(written) = written else { return usual };
    if when == When::Out {
        c.problems.error(
            written.span.clone(),
            format!("`clients` in {table} with `at = \"out\"`"),
            "outgoing mail has no client",
            "remove it",
        );
        return usual;
    }
    let mut whose = Whose::default();
    for one in &written.value {
        match one.value.as_str() {
            "all" => whose.all = true,
            "local" => whose.local = true,
            "logins" => whose.logins = true,
            "relay" => whose.relays = true,
            "inside" => {
                (whose.local, whose.logins, whose.relays) = (true, true, true);
            }
            other => match network(other) {
                Some(network) => whose.networks.push(network),
                None => {
                    let words = ["all", "inside", "local", "logins", "relay"];
                    let remedy = match nearest(other, words) {
                        Some(near) => format!("did you mean {near:?}?"),
                        None => "write \"all\", \"inside\", \"local\", \"logins\", \"relay\" or a network such as \"10.8.0.0/24\"".into(),
                    };
                    c.problems.error(
                        one.span.clone(),
                        format!("`clients` in {table} has an invalid value"),
                        "neither a word nor a network",
                        remedy,
                    );
                }
            },
        }
    }
    whose
}

/// The listeners of a rule, which must exist.
pub(super) fn listeners(
    written: Option<&At<Vec<At<String>>>>,
    when: When,
    table: &str,
    c: &mut Checking<'_>,
) -> Vec<Box<str>> {
    let Some(written) = written else { return Vec::new() };
    if when == When::Out {
        c.problems.error(
            written.span.clone(),
            format!("`listeners` in {table} with `at = \"out\"`"),
            "outgoing mail has no listener",
            "remove it",
        );
        return Vec::new();
    }
    let mut known = milters::names_of_listeners(c);
    known.push(postern_receive::LOCAL.to_owned());
    for one in &written.value {
        if known.contains(&one.value) {
            continue;
        }
        let remedy = match nearest(&one.value, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", known.join(", ")),
        };
        c.problems.error(
            one.span.clone(),
            format!("there is no listener {:?}", one.value),
            "unknown",
            remedy,
        );
    }
    written
        .value
        .iter()
        .map(|one| one.value.as_str().into())
        .collect()
}

/// Addresses by their patterns.
pub(super) fn addresses(written: &[At<String>], key: &str, table: &str, c: &mut Checking<'_>) -> AddressSet {
    let mut set = AddressSet::default();
    for one in written {
        if let Err(error) = set.insert(&one.value) {
            let whole = error.to_string();
            let (label, remedy) = whole.split_once("; ").unwrap_or((&whole, "see the reference"));
            c.problems.error(
                one.span.clone(),
                format!("`{key}` in {table} has an invalid value"),
                label,
                remedy,
            );
        }
    }
    set
}

/// Reports duplicate names and too many tables.
pub(super) fn names<'a>(
    written: impl Iterator<Item = Option<&'a At<String>>>,
    table: &str,
    problems: &mut crate::config::problem::Problems,
) {
    let mut seen: Vec<&str> = Vec::new();
    let mut count = 0;
    let mut last: Option<Span> = None;
    for name in written {
        count += 1;
        let Some(name) = name else { continue };
        last.clone_from(&name.span);
        if seen.contains(&name.value.as_str()) {
            problems.error(
                name.span.clone(),
                format!("two {table} have the name {:?}", name.value),
                "used before",
                "give each its own name",
            );
        }
        seen.push(&name.value);
    }
    if count > RULES_MAX {
        problems.error(
            last,
            format!("more than {RULES_MAX} {table} tables"),
            "each is looked at for each message",
            "put addresses and patterns into tables, and name those",
        );
    }
}

fn network(text: &str) -> Option<ipnet::IpNet> {
    let address = || text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from);
    text.parse::<ipnet::IpNet>()
        .ok()
        .map(|net| net.trunc())
        .or_else(address)
}
