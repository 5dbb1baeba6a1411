//! Hosts as sendmail writes them.

/// The hosts in `[10.1.1.30]:[10.1.1.31]` and `mx2.example`: those in brackets are used directly, for others MX records are
/// looked up.
pub(super) fn hosts(text: &str, port: u16) -> Vec<String> {
    let mut hosts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (host, more) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, more)) => (bracketed(host), more),
            None => {
                let end = rest.find(':').unwrap_or(rest.len());
                (format!("mx:{}", &rest[..end]), &rest[end..])
            }
        };
        hosts.push(format!("{host}:{port}"));
        rest = more.trim_start_matches(':');
    }
    hosts
}

/// An address or name in brackets; IPv6 keeps its brackets.
pub(super) fn bracketed(host: &str) -> String {
    let host = host.trim_start_matches("IPv6:");
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// The port of the mailer in `esmtp:[smtp.provider.example]`; without one it is the relay's.
pub(super) fn port_of(host: &str, (relay, esmtp): (u16, u16)) -> u16 {
    match host.trim().split_once(':') {
        Some(("smtp" | "esmtp" | "smtp8" | "dsmtp", _)) => esmtp,
        _ => relay,
    }
}

/// The host in `esmtp:[smtp.provider.example]`, with its brackets.
pub(super) fn named(host: &str) -> &str {
    let host = host.trim();
    let mailers = ["smtp", "esmtp", "relay"];
    host.split_once(':')
        .filter(|(mailer, _)| mailers.contains(mailer))
        .map_or(host, |(_, host)| host)
}
