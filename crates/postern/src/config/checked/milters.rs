//! Filters: unique names, existing listeners, conditions that leave something to filter.

use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use postern_filter::{Address, Filter, Timeouts};
use postern_milter::Version;
use postern_milter::chain;
use postern_policy::milter::{Conditions, OnFailure};
use postern_receive::MilterSettings;

use super::sockets::PATH_MAX;
use super::{Checking, clamp, networks, values};
use crate::config::distance::nearest;
use crate::config::file::{MilterTable, MilterTimeouts};
use crate::config::read::At;

/// How long a client waits for the answer to a message (RFC 5321 section 4.5.3.2.6).
const CLIENT_PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn check(c: &mut Checking<'_>) -> Vec<MilterSettings> {
    let file = c.file;
    let listeners = names_of_listeners(c);
    let mut names: Vec<&str> = Vec::new();
    let mut milters = Vec::new();
    for table in &file.milter.value {
        if let Some(name) = &table.name {
            if names.contains(&name.value.as_str()) {
                c.problems.error(
                    name.span.clone(),
                    format!("two filters are named {:?}", name.value),
                    "used before",
                    "give each its own name",
                );
            }
            names.push(&name.value);
        }
        check_listeners(table, &listeners, c);
        networks::refuse_everybody(
            &table.skip_networks,
            "`skip_networks` in [[milter]]",
            "the filter would never be asked",
            c.problems,
        );
        check_path(table, c);
        warn_of_impatient_clients(table, c);
        milters.extend(milter(table));
    }
    milters
}

fn milter(table: &At<MilterTable>) -> Option<MilterSettings> {
    let (name, address) = (table.name.as_ref()?, table.address.as_ref()?);
    let on_failure = *table.on_failure;
    let usual = Filter::new(&name.value, address.value.clone());
    Some(MilterSettings {
        filter: Filter {
            timeouts: timeouts(&table.timeouts),
            on_failure: in_chain(on_failure),
            version: Version::new(clamp(*table.version)).unwrap_or(Version::NEWEST),
            data_size: *table.packet,
            changes_size_max: clamp(*table.changes_max),
            body_size_max: *table.body_max,
            idle_max: clamp(*table.idle_connections),
            idle_time: *table.idle_time,
            ..usual
        },
        conditions: Conditions {
            listeners: table.listeners.as_ref().map(|list| values(&list.value)),
            skip_logins: *table.skip_logins,
            skip_strangers: *table.skip_strangers,
            skip_networks: values(&table.skip_networks),
            skip_above: table.skip_above.as_ref().map(|size| size.value),
        },
        on_failure,
        strangers_max: clamp(*table.stranger_connections),
        strangers_wait: *table.stranger_wait,
    })
}

fn timeouts(written: &MilterTimeouts) -> Timeouts {
    Timeouts {
        connect: *written.connect,
        command: *written.command,
        end_of_message: *written.end_of_message,
        progress: *written.progress,
    }
}

/// The same as a protocol type.
const fn in_chain(on_failure: OnFailure) -> chain::OnFailure {
    match on_failure {
        OnFailure::Accept => chain::OnFailure::Accept,
        OnFailure::Tempfail => chain::OnFailure::Tempfail,
        OnFailure::Reject => chain::OnFailure::Reject,
        OnFailure::Hold => chain::OnFailure::Hold,
    }
}

/// The names of the file's listeners.
pub(super) fn names_of_listeners(c: &Checking<'_>) -> Vec<String> {
    let written = c.file.listener.as_ref().map_or(&[][..], |list| &list.value);
    let name = |listener: &At<crate::config::file::Listener>| match (&listener.name, &listener.address) {
        (Some(name), _) => Some(name.value.clone()),
        (None, Some(address)) => Some(address.value.to_string()),
        (None, None) => None,
    };
    written.iter().filter_map(name).collect()
}

fn check_listeners(table: &At<MilterTable>, known: &[String], c: &mut Checking<'_>) {
    let Some(list) = &table.listeners else { return };
    if list.value.is_empty() {
        c.problems.error(
            list.span.clone(),
            "a filter that is never asked",
            "no listener",
            "name listeners, or leave `listeners` out for all",
        );
    }
    for name in &list.value {
        if known.contains(&name.value) {
            continue;
        }
        let remedy = match nearest(&name.value, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None if known.is_empty() => "add a [[listener]] with this `name`".to_owned(),
            None => format!("give a [[listener]] this `name`; there are: {}", known.join(", ")),
        };
        c.problems.error(
            name.span.clone(),
            format!("there is no listener {:?}", name.value),
            "unknown",
            remedy,
        );
    }
}

fn check_path(table: &At<MilterTable>, c: &mut Checking<'_>) {
    let Some(address) = &table.address else { return };
    let Address::Unix(path) = &address.value else {
        return;
    };
    if path.as_os_str().as_bytes().len() > PATH_MAX {
        c.problems.error(
            address.span.clone(),
            format!("the path of a socket has at most {PATH_MAX} octets"),
            "too long",
            "have the filter listen at a shorter one",
        );
    }
}

/// A client that has disconnected does not learn that its message was accepted, and sends it again.
fn warn_of_impatient_clients(table: &At<MilterTable>, c: &mut Checking<'_>) {
    let end = &table.timeouts.end_of_message;
    if **end >= CLIENT_PATIENCE {
        c.problems.warning(
            end.span.clone(),
            "`end_of_message` in [milter.timeouts] is longer than clients wait",
            "they give up after 10 minutes, and send the message again",
            "write less, for example `end_of_message = \"5m\"`",
        );
    }
}
