//! How mail goes over routes: source address, host name, concurrency, pinned certificates; and the after-queue filter.

use std::net::IpAddr;
use std::sync::Arc;

use postern_policy::DomainSet;
use postern_policy::route::{Hop, HopHost, Lane, Pins, Protocol, Rate, RouteRule, Target};

use super::{Checking, clamp};
use crate::config::file::RouteTable;
use crate::config::problem::Problems;
use crate::config::read::At;

/// What `[delivery]` says for all routes. Its limits are in the settings of delivery.
pub(super) fn of_delivery(c: &mut Checking<'_>) -> Lane {
    let written = &c.file.delivery;
    let mut lane = Lane {
        helo: written.helo_name.as_ref().map(|name| name.value.as_str().into()),
        family: *written.ip,
        ..Lane::default()
    };
    sources(&written.source_address, &mut lane, c.problems);
    lane
}

/// What a route says.
pub(super) fn of_route(route: &At<RouteTable>, problems: &mut Problems) -> Lane {
    let number = |at: &Option<At<u64>>| at.as_ref().map(|at| at.value);
    let mut lane = Lane {
        helo: route.helo_name.as_ref().map(|name| name.value.as_str().into()),
        family: route.ip.as_ref().map(|ip| ip.value).unwrap_or_default(),
        connections: number(&route.connections_per_destination).map(clamp),
        messages_per_connection: number(&route.messages_per_connection).map(clamp),
        recipients: number(&route.recipients_per_transaction).map(clamp),
        rate: route
            .rate_per_destination
            .as_ref()
            .and_then(|rate| Rate::per_second(rate.value)),
        pins: pins(route),
        ..Lane::default()
    };
    if let Some(list) = &route.source_address {
        sources(list, &mut lane, problems);
    }
    lane
}

/// The fingerprints of the hosts' certificates.
fn pins(route: &RouteTable) -> Pins {
    let written = route.fingerprints.iter().flat_map(|list| &list.value);
    // They are 64 digits each, or were reported when they were read.
    let octets = |digits: &At<String>| -> Option<[u8; 32]> {
        let mut octets = [0; 32];
        for (place, octet) in octets.iter_mut().enumerate() {
            *octet = u8::from_str_radix(digits.value.get(2 * place..2 * place + 2)?, 16).ok()?;
        }
        Some(octets)
    };
    Pins::new(written.filter_map(octets).collect())
}

/// One address of each family.
fn sources(list: &At<Vec<At<IpAddr>>>, lane: &mut Lane, problems: &mut Problems) {
    for address in &list.value {
        let twice = match address.value {
            IpAddr::V4(ip) => lane.source_v4.replace(ip).is_some(),
            IpAddr::V6(ip) => lane.source_v6.replace(ip).is_some(),
        };
        if twice {
            problems.error(
                address.span.clone(),
                "`source_address` names two addresses of one kind",
                "which one is meant?",
                "keep one for IPv4 and one for IPv6",
            );
        }
    }
}

/// The after-queue filter.
pub(super) fn filter(c: &mut Checking<'_>, lane: &Lane) -> Option<Arc<RouteRule>> {
    let comes_back = c
        .file
        .listener
        .iter()
        .flat_map(|list| &list.value)
        .any(|listener| *listener.filtered);
    let Some(written) = &c.file.delivery.filter else {
        // Rules and tables may also send messages to the filter.
        let detours = !c.file.access.value.is_empty() || !c.file.header_check.value.is_empty();
        if comes_back && !detours {
            c.problems.warning(
                None,
                "a listener with `filtered = true`, and no `filter` in [delivery]",
                "",
                "name the filter, or remove the listener",
            );
        }
        return None;
    };
    let (protocol, host) = match written.strip_prefix("lmtp:") {
        Some(host) => (Protocol::Lmtp, host),
        None => (Protocol::Smtp, written.strip_prefix("smtp:").unwrap_or(written)),
    };
    let hop = match Hop::parse(host, 10_024) {
        Ok(hop) if !matches!(hop.host, HopHost::Mx(_)) => hop,
        _ => {
            c.problems.error(
                written.span.clone(),
                format!("`filter` in [delivery]: {host:?} is not a host with a port"),
                "cannot be reached",
                "write for example `filter = \"127.0.0.1:10024\"`",
            );
            return None;
        }
    };
    if !comes_back {
        c.problems.error(
            written.span.clone(),
            "`filter` in [delivery], and no listener to which it hands mail back",
            "its mail would loop forever",
            "add a [[listener]] with `address = \"127.0.0.1:10025\"` and `filtered = true`",
        );
    }
    let via = vec![hop];
    Some(Arc::new(RouteRule {
        // The filter is not a remote host: settings for remote hosts do not apply to it.
        lane: Lane {
            source_v4: None,
            source_v6: None,
            family: postern_policy::route::Family::Any,
            ..lane.clone()
        },
        place: "[delivery]".into(),
        ..RouteRule::new(DomainSet::default(), Target::Hosts { via, protocol })
    }))
}
