//! Settings of delivery: routes that lead somewhere, times in a sensible order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use postern_deliver::{Limits, ReportSettings, Settings, Timeouts};
use postern_mail::{Domain, Status};
use postern_policy::DomainSet;
use postern_policy::alias::RefusalText;
use postern_policy::origin::{LoginSet, SenderSet};
use postern_policy::retry::RetrySettings;
use postern_policy::route::{Hop, HopHost, Protocol, RouteRule, RouteTable, Target, TlsLevel};
use postern_policy::transport::TlsHosts;
use postern_table::Reference;

use super::receiving::literal_domain;
use super::{Checking, clamp, domain_set, lanes, maps, screen, smarthosts, system, values};
use crate::config::file::{self, RouteTo};
use crate::config::place;
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::shown::Shown;

pub(super) fn check(c: &mut Checking<'_>, shown: &Shown) -> Settings {
    let written = &c.file.delivery;
    Settings {
        hostname: c.hostname.clone(),
        own_names: values(&written.own_names.value),
        routes: routes(c, shown),
        route_tables: maps::askers(&c.route_tables),
        logins: smarthosts::check(c),
        retry: retry(c),
        limits: Limits {
            min_free: *c.file.admission.min_free,
            ..limits(written)
        },
        timeouts: timeouts(c),
        reports: ReportSettings {
            return_size_max: *written.return_size,
            double_bounce_to: written.double_bounce_to.as_ref().map(|at| at.value.clone()),
        },
        mx_port: clamp(*written.mx_port),
        fallback: values(&written.fallback.value),
        mx_networks: values(&written.mx_networks),
        address_literals: *c.file.relay.address_literals,
        tls_hosts: TlsHosts {
            never: domain_set(&written.tls.never),
            always: domain_set(&written.tls.always),
            verified: domain_set(&written.tls.verified),
        },
        listeners: listeners(c),
        chunking: *written.chunking,
        eight_bit: *written.eight_bit,
        received_max: clamp(*c.file.limits.received_fields),
        outward: None,
        srs: screen::srs(c),
        system: system::check(c),
    }
}

fn routes(c: &mut Checking<'_>, shown: &Shown) -> RouteTable {
    let maildir = maildir(c);
    let users = system::target(c.file);
    let lane = lanes::of_delivery(c);
    let places = place::of_tables(shown, "[[route]]");
    let mut rules = Vec::new();
    let mut maps = Vec::new();
    for (number, route) in c.file.route.value.iter().enumerate() {
        if route.table.is_some() {
            maps.extend(maps::of_route(route, &lane, c));
            continue;
        }
        let Some(mut rule) = rule(
            route,
            (&maildir, &users),
            (&c.file.login.value[..], &c.file.pipe.value[..]),
            c.problems,
        ) else {
            continue;
        };
        rule.lane = lanes::of_route(route, c.problems).or(&lane);
        rule.place = places.get(number).map_or("", String::as_str).into();
        rules.push(rule);
    }
    warn_of_shadowed(&c.file.route.value, c.problems);
    warn_of_common_maildirs(c, &maildir);
    warn_of_local_that_leaves(c);
    warn_of_relay_without_route(c);
    warn_of_own_listener(c);
    system::warn_of_exclusion(c);
    let lmtp = &c.file.delivery.lmtp;
    let local = if *c.file.delivery.system_users {
        users
    } else if let Some(target) = program(c) {
        target
    } else if lmtp.is_empty() {
        Target::Maildir(maildir)
    } else {
        if let Some(maildir) = &c.file.delivery.maildir {
            c.problems.error(
                maildir.span.clone(),
                "`maildir` and `lmtp` in [delivery] exclude each other",
                "never used",
                "keep the one that local mail is to go to",
            );
        }
        Target::Hosts {
            via: values(&lmtp.value),
            protocol: Protocol::Lmtp,
        }
    };
    RouteTable {
        rules,
        local_domains: stays_here(c),
        local,
        separator: *c.file.identity.tag_separator,
        filter: lanes::filter(c, &lane),
        maps,
        lane,
    }
}

/// The program for local mail, if any.
fn program(c: &mut Checking<'_>) -> Option<Target> {
    let delivery = &c.file.delivery;
    let pipe = delivery.pipe.as_ref()?;
    let maildir = delivery.maildir.as_ref().map(|at| ("maildir", at.span.clone()));
    let lmtp = (!delivery.lmtp.is_empty()).then(|| ("lmtp", delivery.lmtp.span.clone()));
    for (key, span) in maildir.into_iter().chain(lmtp) {
        c.problems.error(
            span,
            format!("`{key}` and `pipe` in [delivery] exclude each other"),
            "never used",
            "keep the one that local mail is to go to",
        );
    }
    system::program(pipe, &c.file.pipe.value, c.problems)
}

/// Domains whose mail stays here. Even without any, there is a postmaster at `localhost`.
fn stays_here(c: &Checking<'_>) -> DomainSet {
    let mut domains = c.local_domains.clone();
    if literal_domain(c).is_none() {
        // It is a domain, so it goes in.
        let _ = domains.insert("localhost");
    }
    domains
}

fn maildir(c: &mut Checking<'_>) -> PathBuf {
    match &c.file.delivery.maildir {
        Some(pattern) => {
            check_pattern(pattern, c.problems);
            warn_of_shared(pattern, &c.file.local_domains, c.problems);
            pattern.value.clone()
        }
        None if has_several(&c.file.local_domains) => {
            c.file.state_dir.join("mail").join("{domain}").join("{local}")
        }
        None => c.file.state_dir.join("mail").join("{local}"),
    }
}

fn has_several(domains: &At<Vec<At<String>>>) -> bool {
    let stands_for_several = |domain: &At<String>| domain.contains('*') || Reference::is_meant(domain);
    domains.len() > 1 || domains.iter().any(stands_for_several)
}

/// A pattern without the domain would mix mail for `info` in different domains.
fn warn_of_shared(pattern: &At<PathBuf>, domains: &At<Vec<At<String>>>, problems: &mut Problems) {
    if has_several(domains) && !pattern.to_string_lossy().contains("{domain}") {
        problems.warning(
            pattern.span.clone(),
            "users of the same name in different domains share one Maildir",
            "no {domain} in it",
            format!(
                "write \"{}\", and move what lies there",
                pattern.to_string_lossy().replace("{local}", "{domain}/{local}")
            ),
        );
    }
}

/// Two routes with the same pattern without the domain mix the mail of domains just like one route for both.
fn warn_of_common_maildirs(c: &mut Checking<'_>, usual: &PathBuf) {
    let file = c.file;
    let has_domain = |pattern: &Path| pattern.to_string_lossy().contains("{domain}");
    let local = file.delivery.maildir.as_ref().and_then(|at| at.span.clone());
    let mut seen: Vec<(&PathBuf, Vec<String>)> = Vec::new();
    if file.delivery.lmtp.is_empty() && file.delivery.pipe.is_none() && !*file.delivery.system_users {
        seen.push((usual, lower(&file.local_domains)));
    }
    let to_maildir = |route: &&At<file::RouteTable>| {
        route.to.as_ref().is_some_and(|to| to.value == RouteTo::Maildir) && route.via.is_none()
    };
    for route in file.route.iter().filter(to_maildir) {
        let Some(domains) = &route.domains else { continue };
        let pattern = route.maildir.as_ref().map_or(usual, |at| &at.value);
        if has_domain(pattern) {
            continue;
        }
        let names = lower(domains);
        let other = seen
            .iter()
            .filter(|(earlier, _)| *earlier == pattern)
            .flat_map(|(_, others)| others)
            .find(|other| !names.contains(other));
        if let (Some(other), Some(first)) = (other, names.first()) {
            let place = route.maildir.as_ref().and_then(|at| at.span.clone());
            c.problems.warning(
                place.or_else(|| domains.span.clone()).or_else(|| local.clone()),
                format!("users of the same name in {other} and {first} share one Maildir"),
                "the pattern of both has no {domain}",
                format!(
                    "write `maildir = \"{}\"`, and move what lies there",
                    pattern.to_string_lossy().replace("{local}", "{domain}/{local}")
                ),
            );
        }
        seen.push((pattern, names));
    }
}

fn lower(domains: &At<Vec<At<String>>>) -> Vec<String> {
    domains.iter().map(|domain| domain.to_lowercase()).collect()
}

/// A local domain with a route that sends its mail elsewhere by SMTP: one of the two is a mistake.
fn warn_of_local_that_leaves(c: &mut Checking<'_>) {
    let locals = lower(&c.file.local_domains);
    for route in &c.file.route.value {
        let leaves = route.to.as_ref().is_some_and(|to| to.value == RouteTo::Mx)
            || route.via.is_some() && *route.protocol == Protocol::Smtp;
        for domain in route.domains.iter().flat_map(|domains| &domains.value) {
            let name = domain.to_lowercase();
            let is_local =
                locals.contains(&name) || c.local_domains.contains(&Domain::Name(name.as_str().into()));
            if !leaves || name == "*" || !is_local {
                continue;
            }
            c.problems.warning(
                domain.span.clone(),
                format!("{:?} is in `local_domains`, and this route takes its mail elsewhere", domain.value),
                "mailboxes here, or on another server?",
                "name the domain in `relay_domains` instead if its mailboxes are elsewhere; otherwise remove it from this route",
            );
        }
    }
}

/// Mail for a relay domain without a route follows its MX records, the first of which is often this server.
fn warn_of_relay_without_route(c: &mut Checking<'_>) {
    // A table may contain the domain.
    if c.file.route.iter().any(|route| route.table.is_some()) {
        return;
    }
    let mut routed = DomainSet::default();
    for domain in c
        .file
        .route
        .iter()
        .flat_map(|route| &route.domains)
        .flat_map(|list| &list.value)
    {
        // An invalid pattern was reported when it was read.
        let _ = routed.insert(domain);
    }
    let recipients = c.file.route.iter().flat_map(|route| &route.recipients);
    for recipient in recipients.flat_map(|list| &list.value) {
        if let Some(domain) = recipient.strip_prefix('@') {
            let _ = routed.insert(domain);
        }
    }
    for domain in &c.file.relay_domains.value {
        // A pattern is covered by itself, or by anything that covers a name below it.
        let name = domain.to_lowercase();
        let one = name
            .strip_prefix("*.")
            .map_or_else(|| name.clone(), |rest| format!("x.{rest}"));
        // The domains in a table may change.
        if domain.value == "*" || Reference::is_meant(domain) || routed.contains(&Domain::Name(one.into())) {
            continue;
        }
        c.problems.warning(
            domain.span.clone(),
            format!("no route says where the mail for {:?} goes", domain.value),
            "MX records decide, and they may name this server",
            format!(
                "add a [[route]] with `domains = [{:?}]` and `via = [\"host:25\"]`, or with `to = \"mx\"` if MX records are meant",
                domain.value
            ),
        );
    }
}

/// A pattern without the local part would put all mail into one folder.
fn check_pattern(pattern: &At<PathBuf>, problems: &mut Problems) {
    let text = pattern.to_string_lossy();
    if !text.contains("{local}") {
        problems.error(
            pattern.span.clone(),
            "the Maildir pattern puts all mail into one folder",
            "no {local} in it",
            format!("write for example \"{text}/{{local}}\""),
        );
    }
    let rest = text.replace("{local}", "").replace("{domain}", "");
    if rest.contains(['{', '}']) {
        problems.error(
            pattern.span.clone(),
            "the Maildir pattern has an unknown placeholder",
            "known: {local} and {domain}",
            "write for example \"/var/mail/{domain}/{local}\"",
        );
    }
}

fn rule(
    route: &At<file::RouteTable>,
    places: (&PathBuf, &Target),
    (logins, pipes): (&[At<file::LoginTable>], &[At<file::PipeTable>]),
    problems: &mut Problems,
) -> Option<RouteRule> {
    let named = |list: &Option<At<Vec<At<String>>>>| {
        // An invalid entry was reported when it was read.
        list.as_ref()
            .is_some_and(|list| !list.is_empty() || problems.are_within(list.span.as_ref()))
    };
    if !named(&route.domains) && !named(&route.recipients) {
        let span = route
            .domains
            .as_ref()
            .map_or(&route.span, |domains| &domains.span);
        problems.error(
            span.clone(),
            "a route without domains",
            "never used",
            "name the recipient domains by `domains`, `[\"*\"]` for all, or addresses by `recipients`",
        );
    }
    check_tls(route, problems);
    let login = smarthosts::of_route(route, logins, problems);
    Some(RouteRule {
        domains: route.domains.as_ref().map(domain_set).unwrap_or_default(),
        recipients: address_set(&route.recipients),
        target: target(route, places, pipes, problems)?,
        tls: *route.tls,
        verify: route.verifies(),
        senders: senders(route),
        logins: logins_of(route),
        login,
        ..RouteRule::new(DomainSet::default(), Target::Mx)
    })
}

fn senders(route: &file::RouteTable) -> SenderSet {
    address_set(&route.senders)
}

/// Invalid patterns were reported when they were read.
fn address_set(list: &Option<At<Vec<At<String>>>>) -> SenderSet {
    let mut set = SenderSet::default();
    for pattern in list.iter().flat_map(|list| &list.value) {
        let _ = set.insert(pattern);
    }
    set
}

fn logins_of(route: &file::RouteTable) -> LoginSet {
    let mut set = LoginSet::default();
    for pattern in route.logins.iter().flat_map(|list| &list.value) {
        let _ = set.insert(pattern);
    }
    set
}

fn check_tls(route: &At<file::RouteTable>, problems: &mut Problems) {
    check_fingerprints(route, problems);
    for (what, list) in [("senders", &route.senders), ("logins", &route.logins)] {
        // A condition without entries would match everything, but looks as if it matched nothing.
        if let Some(list) = list.as_ref().filter(|list| list.is_empty())
            && !problems.are_within(list.span.as_ref())
        {
            problems.error(
                list.span.clone(),
                format!("`{what}` in [[route]] is empty"),
                "for nobody, or for all?",
                "name them, or leave the key out for all",
            );
        }
    }
    if let Some(verify) = route.verify.as_ref().filter(|_| route.tls.is_dane()) {
        problems.error(
            verify.span.clone(),
            "`verify` on a route with DANE has no effect",
            "the TLSA records say what is verified",
            "remove it, or write `tls = \"required\"`",
        );
    } else if route.verifies() && !route.tls.is_always() {
        problems.error(
            route.verify.as_ref().and_then(|verify| verify.span.clone()),
            "`verify` on a route whose TLS is not required has no effect",
            "needs `tls = \"required\"`",
            "add `tls = \"required\"` to this [[route]], or `\"implicit\"` for port 465",
        );
    }
}

fn check_fingerprints(route: &At<file::RouteTable>, problems: &mut Problems) {
    let Some(list) = &route.fingerprints else { return };
    if list.is_empty() && !problems.are_within(list.span.as_ref()) {
        problems.error(
            list.span.clone(),
            "`fingerprints` in [[route]] is empty",
            "no certificate would do, or any?",
            "name them, or leave the key out",
        );
    } else if !matches!(*route.tls, TlsLevel::Required | TlsLevel::Implicit) {
        problems.error(
            list.span.clone(),
            "`fingerprints` on a route whose TLS is not required",
            "needs `tls = \"required\"`",
            "add `tls = \"required\"` to this [[route]], or `\"implicit\"` for port 465",
        );
    } else if let Some(verify) = &route.verify {
        problems.error(
            verify.span.clone(),
            "`verify` on a route with `fingerprints` has no effect",
            "the fingerprints say which certificates are taken",
            "remove it",
        );
    }
}

fn target(
    route: &At<file::RouteTable>,
    (maildir, users): (&PathBuf, &Target),
    pipes: &[At<file::PipeTable>],
    problems: &mut Problems,
) -> Option<Target> {
    let to = route.to.as_ref().map(|to| to.value);
    if let Some(pipe) = route.pipe.as_ref().filter(|_| to != Some(RouteTo::Pipe)) {
        problems.error(
            pipe.span.clone(),
            "`pipe` on a route that goes to no program",
            "never used",
            "write `to = \"pipe\"`",
        );
    }
    if route.maildir.is_some() && to != Some(RouteTo::Maildir) {
        problems.error(
            route.maildir.as_ref().and_then(|at| at.span.clone()),
            "`maildir` on a route that does not deliver to one",
            "never used",
            "add `to = \"maildir\"` instead of `via`",
        );
    }
    match (&route.via, to) {
        (Some(via), None) if !via.is_empty() => {
            check_hops(via, *route.protocol, problems);
            check_ports(via, route, problems);
            Some(Target::Hosts {
                via: values(&via.value),
                protocol: *route.protocol,
            })
        }
        (None, Some(RouteTo::Mx)) => Some(Target::Mx),
        (None, Some(RouteTo::Local)) => Some(Target::Local),
        (None, Some(RouteTo::System)) => Some(users.clone()),
        (None, Some(RouteTo::Pipe)) => match &route.pipe {
            Some(name) => system::program(name, pipes, problems),
            None => {
                problems.error(
                    route.to.as_ref().and_then(|at| at.span.clone()),
                    "a route to a program that has no name",
                    "which one?",
                    "add `pipe` with the name of a [[pipe]]",
                );
                None
            }
        },
        (None, Some(RouteTo::Discard)) => Some(Target::Discard),
        (None, Some(RouteTo::Refuse)) => Some(Target::Refuse(refusal(route))),
        (None, None) if route.refuse.is_some() => Some(Target::Refuse(refusal(route))),
        (None, Some(RouteTo::Maildir)) => {
            if let Some(pattern) = &route.maildir {
                check_pattern(pattern, problems);
                if let Some(domains) = &route.domains {
                    warn_of_shared(pattern, domains, problems);
                }
            }
            let pattern = route.maildir.as_ref().map_or(maildir, |pattern| &pattern.value);
            Some(Target::Maildir(pattern.clone()))
        }
        (Some(_), Some(_)) => {
            problems.error(
                route.to.as_ref().and_then(|at| at.span.clone()),
                "a route with both `via` and `to`",
                "`via` says where already",
                "remove one of them",
            );
            None
        }
        (Some(via), None) if problems.are_within(via.span.as_ref()) => None,
        (via, None) => {
            let span = via
                .as_ref()
                .map_or_else(|| route.span.clone(), |via| via.span.clone());
            problems.error(
                span,
                "a route without a target",
                "has no host",
                "add `via = [\"host:25\"]`, or `to = \"mx\"` for MX records, or `to = \"maildir\"`",
            );
            None
        }
    }
}

/// The reply for a recipient whose route refuses.
fn refusal(route: &file::RouteTable) -> RefusalText {
    match &route.refuse {
        Some(refuse) => refuse.value.clone(),
        None => RefusalText {
            code: 550,
            status: Status(5, 7, 1),
            text: "Mail for this address is not taken".into(),
        },
    }
}

fn check_hops(via: &At<Vec<At<Hop>>>, protocol: Protocol, problems: &mut Problems) {
    for hop in &via.value {
        if matches!(hop.host, HopHost::Unix(_)) && protocol == Protocol::Smtp {
            problems.warning(
                hop.span.clone(),
                "SMTP over a Unix socket",
                "usually LMTP",
                "add `protocol = \"lmtp\"` to this [[route]]",
            );
        }
    }
}

/// Ports whose TLS mode differs from the route's.
fn check_ports(via: &At<Vec<At<Hop>>>, route: &file::RouteTable, problems: &mut Problems) {
    for hop in &via.value {
        let (title, remedy) = match (hop.port, *route.tls) {
            (25 | 587, TlsLevel::Implicit) => (
                format!("port {} does not use implicit TLS", hop.port),
                "write the port, usually 465, or `tls = \"required\"`",
            ),
            (465, TlsLevel::Opportunistic | TlsLevel::Dane | TlsLevel::DaneOnly | TlsLevel::Required) => (
                "port 465 uses implicit TLS".to_owned(),
                "write `tls = \"implicit\"` in this [[route]]",
            ),
            _ => continue,
        };
        problems.warning(hop.span.clone(), title, "will not connect", remedy);
    }
}

/// Finds domains already covered by an earlier route with the same conditions.
fn warn_of_shadowed(routes: &[At<file::RouteTable>], problems: &mut Problems) {
    let mut seen: Vec<(String, SenderSet, LoginSet)> = Vec::new();
    for (domain, route) in routes.iter().flat_map(|route| {
        let domains = route.domains.iter().flat_map(|domains| &domains.value);
        domains.map(move |domain| (domain, route))
    }) {
        let name = (domain.to_lowercase(), senders(route), logins_of(route));
        if seen.contains(&name) {
            problems.warning(
                domain.span.clone(),
                format!("an earlier route matches the mail for {:?}", domain.value),
                "never used",
                "remove it here or there",
            );
        }
        seen.push(name);
    }
}

/// Where this server listens, on fixed ports.
fn listeners(c: &Checking<'_>) -> Vec<SocketAddr> {
    let addresses = c.file.listener.iter().flat_map(|list| &list.value);
    addresses
        .filter_map(|listener| listener.address.as_ref())
        .map(|address| address.value)
        .filter(|address| address.port() != 0)
        .collect()
}

/// A route to one of our own listeners is a loop.
fn warn_of_own_listener(c: &mut Checking<'_>) {
    let listeners = listeners(c);
    let own = |hop: &Hop| {
        let HopHost::Ip(ip) = hop.host else { return false };
        listeners.iter().any(|address| {
            address.port() == hop.port
                && (address.ip() == ip || (address.ip().is_unspecified() && ip.is_loopback()))
        })
    };
    let hops = c
        .file
        .route
        .iter()
        .filter_map(|route| route.via.as_ref())
        .flat_map(|via| &via.value);
    for hop in hops.filter(|hop| own(hop)) {
        c.problems.error(
            hop.span.clone(),
            "a route back to this server",
            "one of our own listeners",
            "name the next server, or change the port",
        );
    }
}

fn retry(c: &mut Checking<'_>) -> RetrySettings {
    let written = &c.file.retry;
    if written.intervals.is_empty() && !c.problems.are_within(written.intervals.span.as_ref()) {
        c.problems.error(
            written.intervals.span.clone(),
            "`intervals` in [retry] is empty",
            "no time to try again",
            "write for example `intervals = [\"5m\", \"30m\", \"2h\"]`",
        );
    }
    if !written.warn_after.is_zero() && *written.warn_after >= *written.expire_after {
        // The default warning is skipped if mail expires before it.
        if let Some(span) = &written.warn_after.span {
            c.problems.error(
                Some(span.clone()),
                "`warn_after` in [retry] is not before `expire_after`",
                "comes after the bounce",
                "make it shorter, or \"0\" for no warning",
            );
        }
    }
    let warn = *written.warn_after;
    RetrySettings {
        intervals: values(&written.intervals.value),
        expire_after: *written.expire_after,
        warn_after: (!warn.is_zero() && warn < *written.expire_after).then_some(warn),
    }
}

fn limits(written: &file::Delivery) -> Limits {
    Limits {
        connections_per_destination: clamp(*written.connections_per_destination),
        connections: clamp(*written.connections),
        rate_per_destination: written.rate_per_destination.as_ref().map(|rate| rate.value),
        recipients_per_transaction: clamp(*written.recipients_per_transaction),
        messages_per_connection: clamp(*written.messages_per_connection),
        unsettled_per_connection: clamp(*written.unsettled_per_connection),
        waiting_per_destination: clamp(*written.waiting_per_destination),
        waiting: clamp(*written.waiting),
        addresses_per_attempt: clamp(*written.addresses_per_attempt),
        dead_pause_max: *written.dead_pause,
        ..Limits::default()
    }
}

fn timeouts(c: &Checking<'_>) -> Timeouts {
    let written = &c.file.delivery.timeouts;
    Timeouts {
        connect: *written.connect,
        greeting: *written.greeting,
        hello: *written.hello,
        tls: *written.tls,
        login: *written.login,
        mail: *written.mail,
        recipient: *written.recipient,
        data: *written.data,
        block: *written.block,
        end_of_data: *written.end_of_data,
        quit: *written.quit,
        idle: *written.idle,
        shutdown: *c.file.shutdown.grace,
        resolve: *written.resolve,
        crowded: *written.crowded,
    }
}
