//! `[[device]]`: lanes that cannot become an open relay.

use std::sync::Arc;
use std::time::Duration;

use postern_mail::Mailbox;
use postern_policy::access::names::AddressSet;
use postern_policy::device::{Device, check_address, check_network};
use postern_policy::limit::{Counted, Limit};
use postern_policy::network::NetworkPrefix;
use postern_receive::{AuthRule, ListenerSettings};

use super::{Checking, ListenerConfig, clamp, values};
use crate::config::file::DeviceTable;
use crate::config::read::At;

/// Most lanes: each may be looked at for each client.
const DEVICES_MAX: usize = 100;

/// The lanes, and the rates of their clients.
pub(super) fn check(listeners: &[ListenerConfig], c: &mut Checking<'_>) -> (Vec<Arc<Device>>, Vec<Limit>) {
    let file = c.file;
    if file.device.len() > DEVICES_MAX {
        c.problems.error(
            file.device.last().and_then(|last| last.span.clone()),
            format!("more than {DEVICES_MAX} [[device]] tables"),
            "each may be looked at for each client",
            "join lanes that differ in their networks alone",
        );
    }
    let mut devices: Vec<Arc<Device>> = Vec::new();
    let mut limits = Vec::new();
    for table in file.device.iter() {
        let Some(name) = &table.name else { continue };
        if devices.iter().any(|device| *device.name == *name.value) {
            c.problems.error(
                name.span.clone(),
                format!("two devices are named {:?}", name.value),
                "used before",
                "give each its own name",
            );
        }
        let device = lane(table, &name.value, listeners, c);
        if *table.messages > 0 {
            limits.push(rate(&device, *table.messages));
        }
        devices.push(Arc::new(device));
    }
    (devices, limits)
}

fn lane(table: &At<DeviceTable>, name: &str, listeners: &[ListenerConfig], c: &mut Checking<'_>) -> Device {
    let mut networks = Vec::new();
    if let Some(list) = &table.networks {
        not_empty(list, "networks", c);
        for one in &list.value {
            if let Err(bad) = check_network(&one.value) {
                c.problems.error(
                    one.span.clone(),
                    bad.to_string(),
                    "an open relay for whoever is in it",
                    "name the network of the devices",
                );
            }
        }
        networks = values(&list.value);
    }
    let comes_to = table.listeners.as_ref().map(|list| {
        not_empty(list, "listeners", c);
        let known = |name: &str| listeners.iter().find(|one| one.settings.name == name);
        for one in &list.value {
            match known(&one.value) {
                Some(listener) => warn_of_login(&listener.settings, one, c),
                None => c.problems.error(
                    one.span.clone(),
                    format!("there is no listener {:?}", one.value),
                    "unknown",
                    "write the name of a [[listener]]",
                ),
            }
        }
        list.value.iter().map(|one| one.value.as_str().into()).collect()
    });
    Device {
        name: name.into(),
        networks,
        listeners: comes_to,
        senders: addresses(table.senders.as_ref(), "senders", c),
        recipients: addresses(table.recipients.as_ref(), "recipients", c),
        size: table.message_size_limit.as_ref().map_or(0, |size| size.value),
        rewrite_from: *table.rewrite_from,
        example: example(table.senders.as_ref()).zip(example(table.recipients.as_ref())),
    }
}

/// An address that the first entry of a list stands for.
fn example(list: Option<&At<Vec<At<String>>>>) -> Option<Mailbox> {
    let entry = list?.value.first()?.value.as_str();
    let (local, domain) = entry.rsplit_once('@').unwrap_or(("", entry));
    let local = if local.is_empty() { "someone" } else { local };
    let below = domain.strip_prefix("*.").or_else(|| domain.strip_prefix('.'));
    let domain = below.map_or_else(|| domain.to_owned(), |domain| format!("below.{domain}"));
    format!("{local}@{domain}").parse().ok()
}

/// Where everybody has to authenticate, a device cannot send.
fn warn_of_login(listener: &ListenerSettings, written: &At<String>, c: &mut Checking<'_>) {
    if listener.auth == AuthRule::Require {
        c.problems.error(
            written.span.clone(),
            format!("devices cannot send at the listener {}", listener.name),
            "everybody has to authenticate there",
            "write `auth = \"offer\"` at the [[listener]], or give devices a listener of their own",
        );
    }
}

fn not_empty<T>(list: &At<Vec<At<T>>>, key: &str, c: &mut Checking<'_>) {
    if list.value.is_empty() {
        c.problems.error(
            list.span.clone(),
            format!("`{key}` of a [[device]] is empty"),
            "the lane would be for nobody",
            "name some",
        );
    }
}

fn addresses(list: Option<&At<Vec<At<String>>>>, key: &str, c: &mut Checking<'_>) -> AddressSet {
    let mut set = AddressSet::default();
    let Some(list) = list else { return set };
    not_empty(list, key, c);
    for one in &list.value {
        if let Err(bad) = check_address(&one.value) {
            let text = bad.to_string();
            let (title, remedy) = text.split_once(": ").unwrap_or((&text, ""));
            c.problems.error(
                one.span.clone(),
                title.to_owned(),
                "too wide for a device",
                remedy.to_owned(),
            );
        } else if let Err(error) = set.insert(&one.value) {
            let text = error.to_string();
            let (title, remedy) = text.split_once("; ").unwrap_or((&text, ""));
            c.problems.error(
                one.span.clone(),
                title.to_owned(),
                "no address",
                remedy.to_owned(),
            );
        }
    }
    set
}

/// The rate of a lane, as a limit that only those are counted for who have not authenticated.
fn rate(device: &Device, messages: u64) -> Limit {
    let mut most = [0; Counted::ALL.len()];
    most[Counted::Message.index()] = clamp(messages);
    Limit {
        name: format!("device {}", device.name).into(),
        listeners: device.listeners.clone(),
        networks: Some(device.networks.iter().copied().collect()),
        strangers: true,
        by_rule: false,
        window: Duration::from_secs(3_600),
        most,
        sessions: 0,
        network: NetworkPrefix::default(),
    }
}
