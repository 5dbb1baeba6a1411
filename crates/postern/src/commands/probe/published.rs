//! What is published about a server, in DNS and in its domain's MTA-STS policy, and whether the server conforms.

use std::time::{Duration, Instant};

use postern_mail::Proof;
use postern_net::resolver::{Dnssec, Resolver, ResolverSettings};
use postern_net::tls::TlsaSet;
use postern_oauth::http::{Endpoint, HttpClient, HttpSettings};
use postern_policy::mta_sts::{Mode, Policy, id_of};

use super::report::{Mark, Report};
use crate::args::ProbeHostArgs;
use crate::exit::{Exit, Failure, chain};

/// The TLSA records of a host, and the names that its certificate may have with them.
pub(super) struct Dane {
    pub(super) records: TlsaSet,
    pub(super) names: Vec<String>,
}

/// A resolver according to the arguments. Only TLSA answers are validated: otherwise a name server that does not return
/// signatures would hide the rest.
pub(super) fn resolver(args: &ProbeHostArgs, dnssec: Dnssec) -> Result<Resolver, Failure> {
    let proves = dnssec != Dnssec::Off;
    Resolver::new(&ResolverSettings {
        nameservers: args.nameserver.clone(),
        dnssec,
        trust_anchors: args.trust_anchors.clone().filter(|_| proves),
        ..ResolverSettings::default()
    })
    .map_err(|error| Failure::from_error(Exit::System, "cannot look up names", &error))
}

/// Reports where the domain's mail goes, and what its policy demands of those hosts.
pub(super) async fn of_the_domain(
    args: &ProbeHostArgs,
    host: &str,
    report: &mut Report,
) -> Result<(), Failure> {
    let domain = args.domain.as_deref().unwrap_or(host);
    if domain.parse::<std::net::IpAddr>().is_ok() || !domain.contains('.') {
        return Ok(());
    }
    let resolver = resolver(args, Dnssec::Off)?;
    let begun = Instant::now();
    let records = resolver.mx(domain).await.unwrap_or_default();
    let hosts: Vec<String> = records.iter().map(|record| record.exchange.clone()).collect();
    if !hosts.is_empty() {
        let shown: Vec<String> = records
            .iter()
            .map(|record| format!("{} {}", record.preference, record.exchange))
            .collect();
        report.add("MX", Mark::Note, shown.join(", "), Some(begun.elapsed()));
    }
    let listed = hosts.iter().any(|name| same_host(name, host));
    if args.domain.is_some() && !listed {
        let text = format!("{host} is not among the MX hosts of {domain}");
        report.add("MX", Mark::Bad, text, None);
    }
    let hosts = if hosts.is_empty() || listed {
        vec![host.to_owned()]
    } else {
        hosts
    };
    mta_sts(args, &resolver, domain, &hosts, report).await;
    Ok(())
}

fn same_host(one: &str, other: &str) -> bool {
    one.trim_end_matches('.')
        .eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// Looks for the domain's policy, and checks whether it lists all of these hosts.
async fn mta_sts(
    args: &ProbeHostArgs,
    resolver: &Resolver,
    domain: &str,
    hosts: &[String],
    report: &mut Report,
) {
    let begun = Instant::now();
    let texts = resolver
        .txt(&format!("_mta-sts.{domain}"))
        .await
        .unwrap_or_default();
    let records: Vec<String> = texts
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .filter(|text| text.starts_with("v=STSv1"))
        .collect();
    let (mark, text) = match records.as_slice() {
        [] if args.domain.is_some() => (Mark::Note, format!("{domain} has none")),
        [] => return,
        [record] if id_of(record).is_some() => match policy(args, domain).await {
            Ok(policy) => judged(&policy, domain, hosts),
            Err(why) => (Mark::Bad, why),
        },
        [record] => (
            Mark::Bad,
            format!("the record at _mta-sts.{domain} has no id of letters and digits: {record}"),
        ),
        more => (
            Mark::Bad,
            format!("_mta-sts.{domain} has {} records, so none counts", more.len()),
        ),
    };
    report.add("MTA-STS", mark, text, Some(begun.elapsed()));
}

/// Fetches the policy, from a host that must present a certificate for its name (RFC 8461 section 3.3).
async fn policy(args: &ProbeHostArgs, domain: &str) -> Result<Policy, String> {
    let place = format!("https://mta-sts.{domain}/.well-known/mta-sts.txt");
    let endpoint = Endpoint::parse(&place).map_err(|error| format!("{place}: {error}"))?;
    let client = HttpClient::new(&HttpSettings {
        ca_file: args.ca.clone(),
        timeout: Duration::from_secs(args.timeout),
    });
    let client = client.map_err(|error| chain(&error))?;
    let answer = client
        .get(&endpoint)
        .await
        .map_err(|error| format!("{place}: {error}"))?;
    if answer.status != 200 {
        return Err(format!("{place}: status {}", answer.status));
    }
    Policy::read(&answer.body).map_err(|error| format!("{place} is not a policy: {error}"))
}

/// What a policy means for the hosts.
fn judged(policy: &Policy, domain: &str, hosts: &[String]) -> (Mark, String) {
    let age = counted(policy.max_age as usize / 86_400, "day");
    let what = format!(
        "{}, for {age}, names {}",
        policy.mode.word(),
        policy.mx.join(", ")
    );
    let unnamed: Vec<&str> = hosts
        .iter()
        .map(|host| host.trim_end_matches('.'))
        .filter(|host| !policy.names(host))
        .collect();
    match (policy.mode, unnamed.is_empty()) {
        (Mode::None, _) => (Mark::Note, format!("{domain} has taken its policy back")),
        (_, true) => (Mark::Good, what),
        (Mode::Testing, false) => (Mark::Note, format!("{what}, and not {}", unnamed.join(", "))),
        (Mode::Enforce, false) => {
            let text = format!(
                "{what}, and not {}: senders that heed it send it no mail",
                unnamed.join(", ")
            );
            (Mark::Bad, text)
        }
    }
}

/// Looks up the TLSA records of the server, first at the name to which its aliases lead (RFC 7672 section 2.2.2). None if none
/// are usable.
pub(super) async fn dane(
    args: &ProbeHostArgs,
    host: &str,
    port: u16,
    report: &mut Report,
) -> Result<Option<Dane>, Failure> {
    if host.parse::<std::net::IpAddr>().is_ok() || !host.contains('.') {
        return Ok(None);
    }
    let resolver = resolver(args, Dnssec::Validate)?;
    let canonical = resolver.proven_addresses(host).await.canonical;
    for base in canonical.iter().map(String::as_str).chain([host]) {
        let begun = Instant::now();
        let answer = resolver.tlsa(base, port).await;
        let name = format!("_{port}._tcp.{base}");
        let (mark, text) = match (answer.found, answer.proof) {
            (Ok(records), Proof::Secure) => match TlsaSet::read(&records) {
                Some(set) => {
                    let text = format!("{} at {name}, proven", counted(records.len(), "record"));
                    report.add("TLSA", Mark::Good, text, Some(begun.elapsed()));
                    let mut names = vec![base.to_owned(), host.to_owned()];
                    names.extend(args.domain.clone());
                    return Ok(Some(Dane { records: set, names }));
                }
                None => (
                    Mark::Bad,
                    format!("{name} has none of the usages 2 and 3: TLS counts as required, unverified"),
                ),
            },
            (Ok(_), Proof::Bogus) | (Err(_), Proof::Bogus) => (
                Mark::Bad,
                format!("what the DNS has at {name} is bogus: mail from senders with DANE waits"),
            ),
            (Ok(records), proof) => (
                Mark::Note,
                format!(
                    "{} at {name}, {proof}: without DNSSEC they do not count",
                    counted(records.len(), "record")
                ),
            ),
            (Err(error), _) if error.is_temporary() => (Mark::Note, format!("{name}: {error}")),
            (Err(_), _) => continue,
        };
        report.add("TLSA", mark, text, Some(begun.elapsed()));
        return Ok(None);
    }
    Ok(None)
}

fn counted(number: usize, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        more => format!("{more} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_hosts() {
        let policy = |mode| Policy {
            mode,
            max_age: 604_800,
            mx: vec!["mx1.example.org".to_owned()],
        };
        let hosts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        #[rustfmt::skip]
        let cases = [
            (Mode::Enforce, hosts(&["mx1.example.org."]),                   Mark::Good, "enforce, for 7 days, names mx1.example.org"),
            (Mode::Enforce, hosts(&["mx1.example.org", "mx2.example.org"]), Mark::Bad,  "enforce, for 7 days, names mx1.example.org, and not mx2.example.org: senders that heed it send it no mail"),
            (Mode::Testing, hosts(&["mx2.example.org"]),                    Mark::Note, "testing, for 7 days, names mx1.example.org, and not mx2.example.org"),
            (Mode::None,    hosts(&["mx2.example.org"]),                    Mark::Note, "example.org has taken its policy back"),
        ];
        for (mode, hosts, mark, text) in cases {
            assert_eq!(
                judged(&policy(mode), "example.org", &hosts),
                (mark, text.to_owned())
            );
        }
    }
}
