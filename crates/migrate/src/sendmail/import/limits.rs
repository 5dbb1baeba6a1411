//! `ratecontrol`, `conncontrol` and `greet_pause`: how much each client may do, and how long it waits for the greeting.

use std::collections::BTreeSet;

use super::access::Access;
use super::keys::network;
use super::{Site, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::settings::Time;

pub(super) fn carry_over(site: &mut Site<'_>, access: &Access) {
    let rates = control(site, "ratecontrol", &access.rates);
    let connections = control(site, "conncontrol", &access.connections);
    let mut keys: BTreeSet<&str> = rates.iter().chain(&connections).map(|entry| entry.key).collect();
    let has_default = keys.remove("");
    // The first limit that matches a client counts, so the narrowest network comes first.
    let mut keys: Vec<&str> = keys.into_iter().collect();
    keys.sort_by_key(|key| std::cmp::Reverse(key.split(['.', ':']).count()));
    if has_default {
        keys.push("");
    }
    let window = site.mc.option("confCONNECTION_RATE_WINDOW_SIZE");
    if let Some(window) = window.filter(|_| !rates.is_empty()) {
        site.carried(&window.at, "confCONNECTION_RATE_WINDOW_SIZE", "[[limit]] window");
    }
    for key in keys {
        limit(site, key, most(&rates, key), most(&connections, key));
    }
    pauses(site, access);
}

/// A number for a key.
struct Entry<'a> {
    key: &'a str,
    most: u32,
    at: &'a Origin,
}

/// The numbers of a feature, if it is on.
fn control<'a>(site: &mut Site<'_>, name: &str, lines: &'a [(String, Origin, String)]) -> Vec<Entry<'a>> {
    let feature = site.mc.feature(name).map(|(at, _)| at.clone());
    if let Some(at) = &feature {
        site.carried(at, &format!("FEATURE({name})"), "[[limit]]");
    }
    let tag = if name == "ratecontrol" {
        "ClientRate"
    } else {
        "ClientConn"
    };
    let mut entries = Vec::new();
    for (key, at, value) in lines {
        let what = format!("{tag}:{key} {value}");
        match value.parse() {
            _ if feature.is_none() => {
                site.meaningless(at, &what, format!("it has no effect without FEATURE({name})"));
            }
            Ok(0) if *key == "localhost" => {
                site.meaningless(
                    at,
                    &what,
                    "127.0.0.1 has a line of its own, or none of this machine is limited",
                );
            }
            Ok(most) if key.is_empty() || network(key).is_some() => {
                site.carried(at, &what, "[[limit]]");
                entries.push(Entry { key, most, at });
            }
            _ => site.missing(
                at,
                &what,
                Weight::Detail,
                "limits are for networks: set a [[limit]] with theirs",
            ),
        }
    }
    entries
}

/// The limit for a key: from its own line, or the one for all others. 0 means no limit.
fn most<'a>(entries: &'a [Entry<'_>], key: &str) -> Option<&'a Entry<'a>> {
    let of = |wanted: &str| entries.iter().find(|entry| entry.key == wanted);
    of(key).or_else(|| of("")).filter(|entry| entry.most > 0)
}

fn limit(site: &mut Site<'_>, key: &str, rate: Option<&Entry<'_>>, connections: Option<&Entry<'_>>) {
    let comment = match [rate, connections].into_iter().flatten().next() {
        Some(entry) => format!("access, {}", short(entry.at)),
        None => "access: no limit for these".to_owned(),
    };
    let mut limit = Section::new("limit", comment);
    let name = if key.is_empty() { "all others" } else { key };
    limit.set("name", Value::text(format!("clients: {name}")), "");
    if let Some(network) = network(key) {
        limit.set("networks", Value::list([network]), "");
    }
    if let Some(rate) = rate {
        limit.set("connections", Value::Plain(rate.most.to_string()), "ClientRate");
        let window = site.mc.option("confCONNECTION_RATE_WINDOW_SIZE");
        if let Some(window) = window.and_then(|it| Time::read(&it.what, "s")) {
            limit.set(
                "window",
                Value::text(window.text),
                "confCONNECTION_RATE_WINDOW_SIZE",
            );
        }
    }
    if let Some(connections) = connections {
        limit.set(
            "sessions",
            Value::Plain(connections.most.to_string()),
            "ClientConn",
        );
    }
    site.import.config.add(limit);
}

/// The greeting delay applies to all, or to none in a network.
fn pauses(site: &mut Site<'_>, access: &Access) {
    let feature = site.mc.feature("greet_pause");
    let usual = feature.and_then(|(_, arguments)| arguments.first()).cloned();
    let usual: u64 = usual.and_then(|pause| pause.trim().parse().ok()).unwrap_or(0);
    if let Some((at, _)) = feature {
        if usual > 0 {
            let text = Value::text(format!("{usual}ms"));
            site.set("timeouts", "greeting_delay", text, at, "FEATURE(greet_pause)");
        } else {
            site.carried(at, "FEATURE(greet_pause)", "the access table says for whom");
        }
    }
    let mut exempt = Vec::new();
    for (key, at, value) in &access.pauses {
        let what = format!("GreetPause:{key} {value}");
        let pause: Option<u64> = value.parse().ok();
        let net = if key == "localhost" {
            Some("127.0.0.0/8".to_owned())
        } else {
            network(key)
        };
        match (pause, net) {
            _ if feature.is_none() => {
                site.meaningless(at, &what, "it has no effect without FEATURE(greet_pause)");
            }
            (_, None) if key.is_empty() => {
                let why =
                    "sendmail does not look it up: FEATURE(greet_pause) itself says how long others wait";
                site.meaningless(at, &what, why);
            }
            (Some(0), _) if usual == 0 => site.meaningless(at, &what, "the greeting does not wait"),
            (Some(0), Some(network)) => {
                exempt.push(network);
                site.carried(at, &what, "[screen] except");
            }
            (Some(pause), _) if pause == usual => site.carried(at, &what, "[timeouts] greeting_delay"),
            _ => site.missing(
                at,
                &what,
                Weight::Detail,
                "[timeouts] greeting_delay is the same for all",
            ),
        }
    }
    if !exempt.is_empty() {
        let screen = site.import.config.section("screen");
        screen.set("except", Value::list(exempt), "access: GreetPause 0");
    }
}
