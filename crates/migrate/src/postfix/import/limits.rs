//! Client limits: anvil's rates, errors in a session.

use super::{Site, networks};
use crate::config::{Section, Value};
use crate::settings::Time;

/// A Postfix rate, and the key of `[[limit]]`.
const RATES: [(&str, &str); 5] = [
    ("smtpd_client_connection_count_limit", "sessions"),
    ("smtpd_client_connection_rate_limit", "connections"),
    ("smtpd_client_message_rate_limit", "messages"),
    ("smtpd_client_recipient_rate_limit", "recipients"),
    ("smtpd_client_auth_rate_limit", "logins"),
];

pub(super) fn carry_over(site: &mut Site<'_>) {
    let mut limit = Section::new("limit", "");
    limit.set("name", Value::text("clients"), "");
    let mut is_limited = false;
    for (parameter, key) in RATES {
        if !site.is_set(parameter) {
            continue;
        }
        match site.value(parameter).parse::<u32>() {
            Ok(0) => site.meaningless(parameter, "0 means no limit"),
            Ok(number) => {
                is_limited = true;
                let comment = site.comment(parameter);
                limit.set(key, Value::plain(number), comment);
                site.carried(parameter, format!("[[limit]] {key}"));
            }
            Err(_) => site.missing(
                parameter,
                crate::report::Weight::Detail,
                "its number is not understood",
            ),
        }
    }
    let about = ["anvil_rate_time_unit", "smtpd_client_event_limit_exceptions"];
    if !is_limited {
        for parameter in about {
            site.meaningless(parameter, "no rate is limited");
        }
        return;
    }
    let unit = site.value("anvil_rate_time_unit");
    if let Some(time) = Time::read(&unit, "s") {
        limit.set("window", Value::text(time.text), "anvil_rate_time_unit");
    }
    let exceptions = if site.is_set(about[1]) {
        let main = site.main;
        networks::of(site, &main.layer(), about[1])
            .iter()
            .map(ToString::to_string)
            .collect()
    } else {
        site.networks.clone()
    };
    if !exceptions.is_empty() {
        let comment = site.comment(about[1]);
        let mut exempt = Section::new("limit", comment);
        exempt.set("name", Value::text("exempt"), "");
        exempt.set("networks", Value::list(exceptions), "");
        site.import.config.add(exempt);
    }
    site.import.config.add(limit);
    for parameter in about {
        site.carried(parameter, "[[limit]]");
    }
}
