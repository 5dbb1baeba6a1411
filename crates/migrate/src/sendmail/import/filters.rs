//! `INPUT_MAIL_FILTER`: mail filters.

use super::{Site, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

pub(super) fn carry_over(site: &mut Site<'_>) {
    let mc = site.mc;
    let filters: Vec<(&Origin, &[String])> = mc
        .calls("INPUT_MAIL_FILTER")
        .chain(mc.calls("MAIL_FILTER"))
        .collect();
    let names: Vec<&str> = filters
        .iter()
        .filter_map(|(_, arguments)| arguments.first())
        .map(String::as_str)
        .collect();
    let order = mc.option("confINPUT_MAIL_FILTERS");
    let order: Vec<&str> = match order {
        Some(order) => {
            site.carried(&order.at, "confINPUT_MAIL_FILTERS", "the order of [[milter]]");
            order
                .what
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect()
        }
        None => names,
    };
    for name in &order {
        for (at, arguments) in &filters {
            if arguments.first().is_some_and(|first| first == name) {
                one(site, at, name, arguments.get(1).map_or("", String::as_str));
            }
        }
    }
    for (at, arguments) in &filters {
        let name = arguments.first().map_or("", String::as_str);
        if !order.contains(&name) {
            site.meaningless(
                at,
                &format!("filter {name}"),
                "confINPUT_MAIL_FILTERS does not name it, so it was never asked",
            );
        }
    }
}

/// `S=unix:/path, F=T, T=C:15m;S:4m;R:4m;E:10m`.
fn one(site: &mut Site<'_>, at: &Origin, name: &str, options: &str) {
    let mut filter = Section::new("milter", format!("INPUT_MAIL_FILTER, {}", short(at)));
    filter.set("name", Value::text(name), "");
    let mut times = Section::new("milter.timeouts", "");
    let mut on_failure = "accept";
    let mut is_whole = true;
    for option in options
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty())
    {
        match option
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
        {
            Some(("S", socket)) => match address(socket) {
                Some(address) => {
                    filter.set("address", Value::text(address), "");
                }
                None => is_whole = false,
            },
            Some(("F", "T" | "4")) => on_failure = "tempfail",
            Some(("F", "R")) => on_failure = "reject",
            Some(("F", "")) => {}
            Some(("T", given)) => timeouts(site, at, given, &mut times),
            _ => is_whole = false,
        }
    }
    filter.set("on_failure", Value::text(on_failure), "");
    let what = format!("filter {name}");
    if filter.get("address").is_none() || !is_whole {
        site.missing(
            at,
            &what,
            Weight::Mail,
            format!("its options are not understood: {options}"),
        );
        return;
    }
    site.import.config.add(filter);
    site.import.config.add(times);
    site.carried(at, &what, "[[milter]]");
}

/// `unix:/path`, `local:/path`, `inet:port@host`, `inet6:port@host`.
fn address(socket: &str) -> Option<String> {
    let (kind, rest) = socket.split_once(':')?;
    match kind {
        "unix" | "local" => Some(format!("unix:{rest}")),
        "inet" | "inet6" => {
            let (port, host) = rest.split_once('@')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            Some(format!("{host}:{port}"))
        }
        _ => None,
    }
}

/// `S` and `R`, for sending and for the answer, are the same here: the longer one counts.
fn timeouts(site: &mut Site<'_>, at: &Origin, given: &str, times: &mut Section) {
    for (kind, time) in given.split(';').filter_map(|time| time.trim().split_once(':')) {
        let (key, most) = match kind {
            "C" => ("connect", 300),
            "S" | "R" => ("command", 600),
            "E" => ("end_of_message", 3_600),
            _ => continue,
        };
        let Some(now) = seconds(time) else {
            site.missing(
                at,
                &format!("T={kind}:{time}"),
                Weight::Detail,
                "set [milter.timeouts] by hand",
            );
            continue;
        };
        let before = match times.get(key) {
            Some(Value::Text(before)) => seconds(before).unwrap_or(0),
            _ => 0,
        };
        if now > most {
            times.set(
                key,
                Value::text(format!("{most}s")),
                format!("{time} before; no longer is possible"),
            );
        } else if now > before {
            times.set(key, Value::text(time), "");
        }
    }
}

fn seconds(time: &str) -> Option<u64> {
    let unit = time.chars().last()?;
    let number: u64 = time.strip_suffix(unit)?.parse().ok()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return None,
    };
    number.checked_mul(factor)
}
