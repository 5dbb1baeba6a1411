//! Settings of DNS look-ups, and whether settings that need validated answers get them.

use std::net::SocketAddr;

use postern_net::resolver::{self, Dnssec, ResolverSettings};

use super::{Checking, values};
use crate::config::file::Postern;

pub(super) fn check(c: &mut Checking<'_>) -> ResolverSettings {
    let settings = settings(c.file);
    match settings.dnssec {
        Dnssec::Off => check_dane(c),
        Dnssec::Ad => warn_of_far_servers(c, &settings.asked()),
        Dnssec::Validate => {}
    }
    check_anchors(c, settings.dnssec);
    settings
}

fn settings(file: &Postern) -> ResolverSettings {
    let written = &file.dns;
    let servers = written.nameservers.as_ref().map(|servers| values(&servers.value));
    ResolverSettings {
        nameservers: servers.unwrap_or_default(),
        attempt_timeout: *written.attempt_timeout,
        timeout: *written.timeout,
        cache_size: *written.cache,
        dnssec: *written.dnssec,
        trust_anchors: written.trust_anchors.as_ref().map(|path| path.value.clone()),
    }
}

/// Anyone who can forge answers on the way from a name server can also forge their AD bit.
fn warn_of_far_servers(c: &mut Checking<'_>, asked: &[SocketAddr]) {
    let Some(far) = asked.iter().find(|server| !server.ip().is_loopback()) else {
        return;
    };
    let dns = &c.file.dns;
    let span = dns.nameservers.as_ref().and_then(|servers| servers.span.clone());
    c.problems.warning(
        span.or_else(|| dns.dnssec.span.clone()),
        format!("`dnssec = \"ad\"` believes the name server {far}, which is not on this host"),
        "whoever is between can forge its answers",
        "run a validating resolver here, such as unbound, and write `nameservers = [\"127.0.0.1:53\"]`; or `dnssec = \"validate\"`",
    );
}

/// An unusable file of anchors would only be noticed at start.
fn check_anchors(c: &mut Checking<'_>, dnssec: Dnssec) {
    let Some(path) = &c.file.dns.trust_anchors else {
        return;
    };
    if dnssec != Dnssec::Validate {
        c.problems.warning(
            path.span.clone(),
            "`trust_anchors` in [dns] has no effect",
            "used with `dnssec = \"validate\"` only",
            "remove it, or write `dnssec = \"validate\"`",
        );
    } else if let Err(error) = resolver::check_anchors(&path.value) {
        c.problems.error(
            path.span.clone(),
            error.to_string(),
            "cannot be used",
            "write DNSKEY records, one a line, as `dig . DNSKEY` prints them, and only those whose keys you have compared",
        );
    }
}

/// Unvalidated TLSA records prove nothing.
fn check_dane(c: &mut Checking<'_>) {
    for route in c.file.route.value.iter().filter(|route| route.tls.is_dane()) {
        c.problems.error(
            route.tls.span.clone(),
            "DANE without DNSSEC",
            "`dnssec` in [dns] is off",
            "add `dnssec = \"ad\"` to [dns] if a validating resolver is on this host, otherwise `dnssec = \"validate\"`",
        );
    }
}
