//! `postern check`: tries each lane for devices with strangers, as an open relay is looked for.

use std::net::IpAddr;
use std::sync::Arc;

use postern_mail::{ForwardPath, Mailbox, ReversePath};
use postern_policy::device::Device;
use postern_policy::relay::RelayVerdict;
use postern_receive::judge::Judge;
use postern_receive::{ListenerSettings, Settings};

use crate::config::Config;
use crate::config::problem::Problems;

/// Addresses that stand in examples, and belong to nobody.
const STRANGE_PEERS: [[u8; 4]; 3] = [[192, 0, 2, 77], [198, 51, 100, 77], [203, 0, 113, 77]];

/// Tries each lane at each listener; says what was tried of each.
pub(super) fn look(config: &Config, found: &mut Problems) -> Vec<String> {
    let general = Arc::new(config.receive.clone());
    let mut proven = Vec::new();
    for device in &config.receive.devices {
        let mut open = Vec::new();
        for listener in &config.listeners {
            let settings = general.at(&listener.settings);
            open.extend(strangers_taken(device, &listener.settings, &settings));
        }
        match open.first() {
            None => proven.push(format!(
                "[[device]] {:?}: refuses a strange recipient, a strange sender and a strange network",
                device.name
            )),
            Some(what) => found.error(
                None,
                format!("[[device]] {:?} is open: {what}", device.name),
                "tried as `postern explain` does",
                "look at `networks` in [relay], [[listener]] and [[device]]",
            ),
        }
    }
    proven
}

/// What is taken that should not be.
fn strangers_taken(device: &Device, listener: &ListenerSettings, settings: &Settings) -> Vec<String> {
    let (Some(stranger), Some((sender, recipient))) = (stranger(), &device.example) else {
        return Vec::new();
    };
    let strange = STRANGE_PEERS.map(IpAddr::from);
    let outside = strange
        .into_iter()
        .find(|peer| !device.networks.iter().any(|network| network.contains(peer)));
    let inside = device.networks.first().map(|network| network.network());
    // What is for this server itself anybody may bring.
    let recipient = (!is_own(recipient, settings)).then_some(recipient);
    let tries = [
        (inside, sender, Some(&stranger), "its devices may send to anybody"),
        (inside, &stranger, recipient, "its devices may send as anybody"),
        (outside, sender, recipient, "others may send as its devices do"),
        (outside, sender, Some(&stranger), "anybody may send to anybody"),
    ];
    let mut open = Vec::new();
    for (peer, from, to, what) in tries {
        let (Some(peer), Some(to)) = (peer, to) else {
            continue;
        };
        let judge = Judge {
            settings,
            listener,
            peer,
            certificate: None,
            identity: None,
            trusted: false,
            local_user: None,
        };
        // Who may relay in any case is not let in by the lane.
        if judge.relay_reason().is_some() {
            continue;
        }
        let to = ForwardPath::Mailbox {
            mailbox: to.clone(),
            source_route: false,
        };
        let verdict = judge.by_lane(judge.relay(&to, false), &ReversePath::Mailbox(from.clone()), &to);
        if !matches!(verdict, Err(_) | Ok(RelayVerdict::Refuse(_))) {
            open.push(format!("{what}, at the listener {}", listener.name));
        }
    }
    open
}

fn is_own(recipient: &Mailbox, settings: &Settings) -> bool {
    let (relay, domain) = (&settings.relay, recipient.domain());
    relay.is_here(domain) || relay.relay_domains.contains_by_name(domain)
}

/// An address that nobody has (RFC 6761).
fn stranger() -> Option<Mailbox> {
    "stranger@open-relay.invalid".parse().ok()
}
