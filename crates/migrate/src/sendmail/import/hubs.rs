//! Hosts for mail of this machine's own users: all of it, or that of users whom nobody knows.

use super::{Site, hosts, short};
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::{Located, Origin};

/// `LUSER_RELAY`, `MAIL_HUB` and `LOCAL_RELAY`: local mail that goes to another host.
pub(super) fn carry_over(site: &mut Site<'_>, ports: (u16, u16)) {
    for name in ["LUSER_RELAY", "MAIL_HUB", "LOCAL_RELAY"] {
        let Some(Located { at, what }) = site.mc.option(name) else {
            continue;
        };
        let (mailer, host) = what
            .trim()
            .split_once(':')
            .unwrap_or_else(|| ("relay", what.trim()));
        let bare = host.trim_matches(['[', ']']);
        let port = hosts::port_of(what, ports);
        match (name, mailer) {
            _ if bare.is_empty() => site.meaningless(at, name, "it is empty"),
            ("LUSER_RELAY", "local") => {
                let value = Value::text(host);
                site.set("", "unknown_users", value, at, name);
            }
            ("LUSER_RELAY", _) => {
                site.set("", "unknown_users", Value::text(format!("@{bare}")), at, name);
                route(site, at, name, vec![bare.to_owned()], hosts::hosts(host, port));
            }
            ("LOCAL_RELAY", _) => site.missing(
                at,
                name,
                Weight::Habit,
                "names without a domain get the one of `origin`; a [[route]] says where its mail goes",
            ),
            (_, "local") => site.missing(at, name, Weight::Mail, "it leads to a user: write an [[alias]]"),
            _ => {
                let local = match site.import.config.section("").get("local_domains") {
                    Some(Value::List(domains)) => domains.clone(),
                    _ => Vec::new(),
                };
                let top = site.import.config.section("");
                top.set(
                    "local_recipients",
                    Value::text("any"),
                    "MAIL_HUB knows who exists",
                );
                route(site, at, name, local, hosts::hosts(host, port));
                let difference = "addresses keep their domain; sendmail put the hub's name there";
                site.changed(at, name, "[[route]]", difference);
            }
        }
    }
}

fn route(site: &mut Site<'_>, at: &Origin, name: &str, domains: Vec<String>, via: Vec<String>) {
    let mut route = Section::new("route", format!("{name}, {}", short(at)));
    route.set("domains", Value::list(domains), "");
    route.set("via", Value::list(via), "");
    site.import.config.add(route);
}
