//! Webhooks: names that are told apart, addresses that may be posted to, keys that sign, events and rules that there are.

use postern_events::{EVENTS, NEWS};
use postern_https::{Endpoint, EndpointError, HttpSettings};
use postern_policy::Rule;
use postern_webhook::{Filter, Keys, Settings};
use zeroize::Zeroizing;

use super::{Checking, clamp, files, values};
use crate::config::distance::nearest;
use crate::config::file::WebhookTable;
use crate::config::problem::Span;
use crate::config::read::At;

/// Most webhooks: each has a thread.
const WEBHOOKS_MAX: usize = 16;

/// Largest file of keys, in octets.
const KEYS_MAX: u64 = 4_096;

pub(super) fn check(c: &mut Checking<'_>) -> Vec<Settings> {
    let tables = &c.file.webhook.value;
    let mut all: Vec<Settings> = Vec::new();
    for table in tables {
        let Some(one) = webhook(table, c) else { continue };
        if all.iter().any(|other| other.name == one.name) {
            c.problems.error(
                table.name.as_ref().and_then(|name| name.span.clone()),
                format!("two webhooks are named {:?}", one.name),
                "used before",
                "give each its own name",
            );
        }
        all.push(one);
    }
    if tables.len() > WEBHOOKS_MAX {
        c.problems.error(
            c.file.webhook.span.clone(),
            format!("more than {WEBHOOKS_MAX} webhooks"),
            "too many",
            format!("keep up to {WEBHOOKS_MAX}"),
        );
    }
    all
}

fn webhook(table: &At<WebhookTable>, c: &mut Checking<'_>) -> Option<Settings> {
    let name = table.name.as_ref()?;
    if name.value.starts_with('.') {
        c.problems.error(
            name.span.clone(),
            format!("the name {:?} of a webhook begins with a dot", name.value),
            "a folder has its name",
            "begin it with a letter or digit",
        );
    }
    check_events(table, c);
    check_rules(table, c);
    if let Some(ca) = &table.ca_file {
        files::readable(ca, "the authorities", c.problems);
    }
    let endpoint = endpoint(table, c);
    let keys = keys(table, c);
    Some(Settings {
        name: name.value.clone(),
        endpoint: endpoint?,
        http: HttpSettings {
            ca_file: table.ca_file.as_ref().map(|file| file.value.clone()),
            timeout: *table.timeout,
        },
        keys: keys?,
        filter: Filter {
            events: table.events.as_ref().map_or_else(Vec::new, |list| values(list)),
            rules: table.rules.as_ref().map_or_else(Vec::new, |list| values(list)),
            level: *table.level,
        },
        batch_events: clamp(*table.batch_events),
        batch_octets: clamp(*table.batch_size),
        buffer: *table.buffer,
    })
}

fn endpoint(table: &WebhookTable, c: &mut Checking<'_>) -> Option<Endpoint> {
    let url = table.url.as_ref()?;
    let read = match *table.allow_http {
        true => Endpoint::parse_any(&url.value),
        false => Endpoint::parse(&url.value),
    };
    let (label, remedy) = match read {
        Ok(endpoint) => return Some(endpoint),
        Err(EndpointError::Plain) => (
            "plain http to another machine",
            "write https://; or `allow_http = true`, if others on the way may read the events",
        ),
        Err(EndpointError::Extras) => (
            "user, password and fragment do not belong in it",
            "remove them: requests are signed",
        ),
        Err(EndpointError::NoAddress) => ("not an address", "write it as https://host/path"),
    };
    c.problems.error(
        url.span.clone(),
        // The path may be a secret.
        format!("nothing can be posted to the `url` of {}", name(table)),
        label,
        remedy,
    );
    None
}

fn keys(table: &WebhookTable, c: &mut Checking<'_>) -> Option<Keys> {
    let file = table.secret_file.as_ref()?;
    if !files::secret(file, "the webhook's key", c.problems) {
        return None;
    }
    let text = postern_trust::read_bounded(&file.value, KEYS_MAX).map(Zeroizing::new);
    let read = match &text {
        Ok(text) => {
            let text = std::str::from_utf8(text).unwrap_or_default();
            Keys::read(text).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(keys) => Some(keys),
        Err(why) => {
            let path = file.display();
            c.problems.error(
                file.span.clone(),
                format!("the webhook's key {path} cannot be used: {why}"),
                "no key",
                format!("make one: (umask 077; echo whsec_$(head -c 32 /dev/urandom | base64) > {path})"),
            );
            None
        }
    }
}

fn check_events(table: &WebhookTable, c: &mut Checking<'_>) {
    let known = || {
        EVENTS
            .iter()
            .chain(NEWS)
            .flat_map(|info| info.words.iter().copied())
    };
    for word in table.events.iter().flat_map(|list| &list.value) {
        if known().any(|known| known == word.value) {
            continue;
        }
        let remedy = match nearest(&word.value, known()) {
            Some(near) => format!("write {near:?}; docs/log.md lists all events"),
            None => "docs/log.md lists all events".to_owned(),
        };
        c.problems.error(
            word.span.clone(),
            format!("there is no event {:?}", word.value),
            "unknown event",
            remedy,
        );
    }
    if let Some(list) = table.events.as_ref().filter(|list| list.is_empty()) {
        nothing(list.span.clone(), "events", table, c);
    }
}

fn check_rules(table: &WebhookTable, c: &mut Checking<'_>) {
    let names = || Rule::ALL.iter().map(|rule| rule.name());
    for wanted in table.rules.iter().flat_map(|list| &list.value) {
        let is_known = match wanted.ends_with('.') {
            true => names().any(|name| name.starts_with(wanted.as_str())),
            false => names().any(|name| name == wanted.value),
        };
        if is_known {
            continue;
        }
        let remedy = match nearest(&wanted.value, names()) {
            Some(near) => format!("write {near:?}; docs/log.md lists all rules"),
            None => "docs/log.md lists all rules; a group ends in a dot, as \"budget.\"".to_owned(),
        };
        c.problems.error(
            wanted.span.clone(),
            format!("there is no rule {:?}", wanted.value),
            "unknown rule",
            remedy,
        );
    }
    if let Some(list) = table.rules.as_ref().filter(|list| list.is_empty()) {
        nothing(list.span.clone(), "rules", table, c);
    }
}

/// An empty list reads as if nothing were wanted.
fn nothing(span: Option<Span>, key: &str, table: &WebhookTable, c: &mut Checking<'_>) {
    c.problems.warning(
        span,
        format!(
            "`{key}` of the webhook {} is empty, which stands for all",
            name(table)
        ),
        "an empty list",
        "leave the key out, or name some",
    );
}

fn name(table: &WebhookTable) -> &str {
    table.name.as_ref().map_or("?", |name| name.value.as_str())
}
