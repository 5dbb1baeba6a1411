//! Settings of the receiving side.

use std::sync::Arc;

use ipnet::IpNet;
use postern_mail::{AddressLimits, Domain};
use postern_net::tls::ServerTls;
use postern_policy::admission::{AdmissionSettings, PoolShares};
use postern_policy::network::NetworkPrefix;
use postern_policy::patience::PatienceSettings;
use postern_policy::privacy::Privacy;
use postern_policy::relay::{CertificateRule, RelayRules};
use postern_policy::room::RoomSettings;
use postern_policy::srs::LOCAL_MAX;
use postern_policy::throttle::ThrottleSettings;
use postern_receive::{AuthRule, Extensions, Limits, NextHops, ProbeSettings, Role, Settings, Timeouts};

use super::{
    Checking, clamp, domain_set, identity, local, logins, milters, networks, screen, tables, values,
};
use crate::config::file::LocalRecipients;
use crate::config::read::At;

pub(super) fn check(c: &mut Checking<'_>, tls: Option<&ServerTls>) -> Settings {
    let file = c.file;
    warn_of_loads(c);
    check_greeting(c);
    let (identity, owner_tables) = identity::check(c);
    Settings {
        greeting: file.greeting.value.clone(),
        privacy: Privacy::parse(values(&file.privacy.value)).unwrap_or_default(),
        relay: relay(c),
        accept_unknown: *file.local_recipients == LocalRecipients::Any,
        relay_recipients: tables::open_all(&file.relay_recipients.value, c),
        next_hops: next_hops(c),
        domain_tables: c.domain_tables.clone(),
        local: local::rules(&identity, c),
        identity,
        owner_tables,
        milters: milters::check(c),
        auth: logins::check(c, tls),
        admission: admission(c),
        room: room(c),
        patience: PatienceSettings {
            errors: clamp(*file.limits.errors),
            delay: *file.timeouts.error_delay,
        },
        throttle: throttle(c),
        probes: ProbeSettings {
            unknown_per_hour: clamp(*c.file.limits.unknown_recipients),
            lookups_per_minute: clamp(*c.file.limits.recipient_lookups),
        },
        screen: screen::check(c),
        limits: limits(c),
        timeouts: timeouts(c),
        extensions: Extensions {
            chunking: *file.extensions.chunking,
            binarymime: *file.extensions.binarymime && *file.extensions.chunking,
            smtputf8: *file.extensions.smtputf8,
            dsn: *file.extensions.dsn,
        },
        hide_submitter: *file.relay.hide_submitter,
        show_login: *file.relay.show_login,
        received_max: clamp(*file.limits.received_fields),
        ..Settings::new(&c.hostname, c.domain.clone())
    }
}

/// Domains whose recipients the next hop is asked about.
fn next_hops(c: &mut Checking<'_>) -> Option<Arc<NextHops>> {
    let written = &c.file.ask_next_hop;
    if written.is_empty() {
        return None;
    }
    for pattern in &written.value {
        let is_relayed = match Domain::parse(pattern, true) {
            Ok(domain) => c.relay_domains.contains(&domain) || !c.domain_tables.is_empty(),
            // A wildcard, or everything.
            Err(_) => true,
        };
        if !is_relayed {
            c.problems.warning(
                pattern.span.clone(),
                format!("{:?} in `ask_next_hop` is not in `relay_domains`", pattern.value),
                "has no effect",
                "name it in `relay_domains`, or remove it here",
            );
        }
    }
    Some(Arc::new(NextHops::new(domain_set(written))))
}

/// The greeting begins with the name of the host (RFC 5321 section 4.3.1), and its placeholders are known.
fn check_greeting(c: &mut Checking<'_>) {
    let greeting = &c.file.greeting;
    let mut rest = greeting.value.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let name = after.split_once('}').map_or(after, |(name, _)| name);
        if !matches!(name, "hostname" | "date") {
            c.problems.error(
                greeting.span.clone(),
                "`greeting` has an unknown placeholder",
                "neither {hostname} nor {date}",
                "write for example `greeting = \"{hostname} Postern\"`",
            );
            return;
        }
        rest = after;
    }
    let first = greeting.value.split(' ').next().unwrap_or_default();
    if first != "{hostname}" && !first.eq_ignore_ascii_case(&c.hostname) {
        c.problems.warning(
            greeting.span.clone(),
            "`greeting` does not begin with the name of this host",
            "clients take the first word for it",
            "write for example `greeting = \"{hostname} Postern\"`",
        );
    }
}

fn relay(c: &mut Checking<'_>) -> RelayRules {
    let written = &c.file.relay;
    networks::refuse_everybody(
        &written.networks,
        "`networks` in [relay]",
        "an open relay",
        c.problems,
    );
    let networks: Vec<IpNet> = values(&written.networks);
    for rule in &written.certificate.value {
        let is_empty = rule.issuer.is_none() && rule.subject.is_none() && rule.fingerprint.is_none();
        if is_empty && !c.problems.are_about("fingerprint") {
            c.problems.error(
                rule.span.clone(),
                "a certificate rule without `issuer`, `subject` and `fingerprint` matches nothing",
                "names no certificate",
                "add one of them; `postern cert show FILE` prints all three",
            );
        }
    }
    let without_ca = c.file.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none());
    if without_ca && let Some(rule) = written.certificate.value.first() {
        c.problems.error(
            rule.span.clone(),
            "certificate rules need `client_ca`, which verifies client certificates",
            "can never match",
            "add `client_ca` to [tls]",
        );
    }
    let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    let rule = |rule: &At<crate::config::file::CertificateTable>| CertificateRule {
        name: text(&rule.name).unwrap_or_default(),
        issuer: text(&rule.issuer),
        subject: text(&rule.subject),
        fingerprint: text(&rule.fingerprint),
    };
    RelayRules {
        local_domains: c.local_domains.clone(),
        relay_domains: c.relay_domains.clone(),
        alias_domains: c.alias_domains.clone(),
        networks,
        certificates: written.certificate.value.iter().map(rule).collect(),
        login_relays: *written.logins,
        address_literals: *written.address_literals,
        literal_domain: literal_domain(c),
    }
}

/// The local domain that an address literal of this host stands for: the host's if it is local, otherwise the first.
pub(super) fn literal_domain(c: &Checking<'_>) -> Option<Domain> {
    if c.local_domains.contains_by_name(&c.domain) {
        return Some(c.domain.clone());
    }
    let mut written = c.file.local_domains.iter();
    written.find_map(|domain| Domain::parse(&domain.value, true).ok())
}

fn network(c: &Checking<'_>) -> NetworkPrefix {
    NetworkPrefix {
        v4: clamp(*c.file.admission.network_bits_v4),
        v6: clamp(*c.file.admission.network_bits_v6),
    }
}

/// The shares of the pools. One that no listener can use is available to the others.
fn shares(c: &mut Checking<'_>) -> PoolShares {
    let written = &c.file.admission;
    let percents = [
        &written.mx_percent,
        &written.submission_percent,
        &written.known_percent,
    ];
    if percents.iter().map(|percent| percent.value).sum::<u64>() > 100 {
        c.problems.error(
            percents.iter().find_map(|percent| percent.span.clone()),
            "`mx_percent`, `submission_percent` and `known_percent` in [admission] add up to more than 100",
            "one of three shares",
            "make them smaller: the rest goes to whoever comes first",
        );
    }
    let listeners = || c.file.listener.iter().flat_map(|all| &all.value);
    let serves = |role: Role| listeners().any(|listener| listener.role.value == role);
    let may_log_in = |auth: &Option<At<AuthRule>>, role: Role| match auth {
        Some(auth) => auth.value != AuthRule::Off,
        None => role == Role::Submission,
    };
    let relay = &c.file.relay;
    let anybody_known = listeners().any(|listener| may_log_in(&listener.auth, listener.role.value))
        || !relay.networks.value.is_empty()
        || !relay.certificate.value.is_empty();
    let share = |percent: &At<u64>, used: bool| if used { clamp(percent.value) } else { 0 };
    PoolShares {
        mx: share(&written.mx_percent, serves(Role::Mx)),
        submission: share(&written.submission_percent, serves(Role::Submission)),
        known: share(&written.known_percent, anybody_known),
    }
}

fn room(c: &Checking<'_>) -> RoomSettings {
    let written = &c.file.admission;
    RoomSettings {
        min_free: *written.min_free,
        memory: *written.memory,
        bodies: clamp(*written.bodies),
        bodies_per_network: clamp(*written.bodies_per_network),
    }
}

fn admission(c: &mut Checking<'_>) -> AdmissionSettings {
    let shares = shares(c);
    let written = &c.file.admission;
    let load = |at: &Option<At<f64>>| at.as_ref().map(|at| at.value);
    AdmissionSettings {
        connections_per_second: written.connections_per_second.as_ref().map(|at| clamp(at.value)),
        sessions_per_network: Some(clamp(*written.sessions_per_network)),
        sessions_per_wide_network: clamp(*written.sessions_per_wide_network),
        sessions_per_login: clamp(*written.sessions_per_login),
        shares,
        network: network(c),
        sessions: clamp(*written.sessions),
        queue_only_load: load(&written.queue_only_load),
        delay_load: load(&written.delay_load),
        refuse_load: load(&written.refuse_load),
        delay: *written.delay,
        recipients: clamp(*c.file.limits.recipients),
        message_size: *c.file.message_size_limit,
    }
}

/// Load thresholds should rise: queue, slow down, refuse.
fn warn_of_loads(c: &mut Checking<'_>) {
    let written = &c.file.admission;
    let Some(refuse) = &written.refuse_load else {
        return;
    };
    for (name, load) in [
        ("queue_only_load", &written.queue_only_load),
        ("delay_load", &written.delay_load),
    ] {
        if let Some(load) = load
            && load.value >= refuse.value
        {
            c.problems.warning(
                load.span.clone(),
                format!(
                    "`{name}` is never reached: new connections are refused from {}",
                    refuse.value
                ),
                "not below `refuse_load`",
                format!("set it below {}", refuse.value),
            );
        }
    }
}

fn throttle(c: &mut Checking<'_>) -> ThrottleSettings {
    let written = &c.file.auth;
    if *written.first_delay > *written.longest_delay {
        c.problems.error(
            written
                .first_delay
                .span
                .clone()
                .or_else(|| written.longest_delay.span.clone()),
            "`first_delay` in [auth] is longer than `longest_delay`",
            "cannot be both",
            "make `longest_delay` longer",
        );
    }
    if *written.lockout_time > *written.longest_lockout {
        let span = written.lockout_time.span.clone();
        c.problems.error(
            span.or_else(|| written.longest_lockout.span.clone()),
            "`lockout_time` in [auth] is longer than `longest_lockout`",
            "cannot be both",
            "make `longest_lockout` longer",
        );
    }
    let usual = ThrottleSettings::default();
    let network_failures_max = clamp(*written.network_failures);
    let until_lockout = written.network_failures_until_lockout.as_ref();
    if let Some(lockout) = until_lockout.filter(|lockout| lockout.value < *written.network_failures) {
        c.problems.warning(
            lockout.span.clone(),
            "`network_failures` in [auth] is never reached: the network is locked out before it is slowed",
            "below `network_failures`",
            "set it above `network_failures`",
        );
    }
    ThrottleSettings {
        free_failures: clamp(*written.free_failures),
        first_delay: *written.first_delay,
        delay_max: *written.longest_delay,
        failures_max: clamp(*written.failures_until_lockout),
        window: *written.window,
        lockout_time: *written.lockout_time,
        lockout_time_max: *written.longest_lockout,
        network_failures_max,
        network_lockout_failures: until_lockout.map_or_else(
            || usual.network_lockout_failures.max(network_failures_max),
            |lockout| clamp(lockout.value),
        ),
        login_failures_max: clamp(*written.login_failures),
        network: network(c),
        entries_max: clamp(*written.remembered),
    }
}

fn limits(c: &Checking<'_>) -> Limits {
    let written = &c.file.limits;
    Limits {
        command_line_max: clamp(*written.command_line),
        auth_line_max: clamp(*written.auth_line),
        text_line_max: clamp(*written.text_line),
        header_max: *written.header,
        address: AddressLimits {
            local_max: clamp(*written.local_part),
            domain_max: clamp(*written.domain),
            path_max: clamp(*written.path),
            // Rewritten senders must come back here, and contain a whole address.
            rewritten_max: if c.file.srs.is_some() {
                LOCAL_MAX
            } else {
                clamp(*written.local_part)
            },
        },
        mistakes_max: clamp(*written.mistakes),
        idle_commands_max: clamp(*written.idle_commands),
        refused_recipients_max: clamp(*written.refused_recipients),
        failed_logins_max: clamp(*written.failed_logins),
    }
}

fn timeouts(c: &Checking<'_>) -> Timeouts {
    let written = &c.file.timeouts;
    Timeouts {
        command: *written.command,
        login: *written.login,
        idle: *written.idle,
        stress: *written.stress,
        data_block: *written.data_block,
        data_total: *written.data_total,
        auth: *written.auth,
        tls_handshake: *written.tls_handshake,
        write: *written.write,
        reverse_lookup: *written.reverse_lookup,
        proxy_header: *written.proxy_header,
        greeting_delay: *written.greeting_delay,
        shutdown: *c.file.shutdown.grace,
    }
}
