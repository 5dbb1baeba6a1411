//! `FEATURE(nullclient)`: a machine without local mail that passes everything to a hub.

use super::hosts::hosts;
use super::{Site, short};
use crate::config::{Section, Value};

pub(super) fn carry_over(site: &mut Site<'_>) {
    let mc = site.mc;
    let Some((at, arguments)) = mc.feature("nullclient") else {
        return;
    };
    let what = "FEATURE(nullclient)";
    let hub = arguments.first().map(|hub| hub.trim()).unwrap_or_default();
    let name = hub.trim_matches(['[', ']']);
    if name.is_empty() {
        site.meaningless(at, what, "it names no hub");
        return;
    }
    let comment = format!("{what}, {}", short(at));
    let top = site.import.config.section("");
    let mut own = match top.get("local_domains") {
        Some(Value::List(domains)) => domains.clone(),
        _ => Vec::new(),
    };
    if let Some(Value::Text(host)) = top.get("hostname") {
        own.push(host.clone());
    }
    own.push("localhost".to_owned());
    let mut seen = std::collections::BTreeSet::new();
    own.retain(|domain| !domain.contains(':') && seen.insert(domain.to_ascii_lowercase()));
    top.set("alias_domains", Value::list(own.clone()), comment.clone());
    top.unset("local_domains");
    let mut alias = Section::new("alias", comment.clone());
    alias.set(
        "from",
        Value::list(own.iter().map(|domain| format!("@{domain}"))),
        "",
    );
    alias.set("to", Value::list([format!("@{name}")]), "");
    site.import.config.add(alias);
    let mut route = Section::new("route", comment);
    route.set("domains", Value::list(["*"]), "");
    route.set("via", Value::list(hosts(hub, 25)), "");
    site.import.config.add(route);
    site.carried(at, what, "alias_domains, [[alias]], [[route]]");
}
