//! Whether the hosts to which mail is delivered can be found in DNS. Mail for a missing name is delayed for days, then bounces.

use postern_net::resolver::{ResolveError, Resolver};
use postern_policy::route::{Hop, HopHost, Target};

use crate::config::Config;
use crate::config::problem::Problems;
use crate::exit::chain;

/// Looks up each host in a route or in `fallback`.
pub(super) fn check(config: &Config, found: &mut Problems) {
    let Ok(resolver) = Resolver::new(&config.resolver) else {
        return;
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    for hop in hops(config) {
        if let Err(missing) = runtime.block_on(look_up(&hop.host, &resolver)) {
            found.warning(
                config.places.hop(hop),
                missing,
                "asked just now",
                "correct the name, or its records in DNS; mail for it waits until it has an address, and then bounces",
            );
        }
    }
}

/// All hosts, each once.
fn hops(config: &Config) -> Vec<&Hop> {
    let routes = &config.deliver.routes;
    let targets = routes
        .rules
        .iter()
        .map(|rule| &rule.target)
        .chain([&routes.local]);
    let named = targets.filter_map(|target| match target {
        Target::Hosts { via, .. } => Some(via),
        _ => None,
    });
    let mut hops: Vec<&Hop> = Vec::new();
    for hop in named.flatten().chain(&config.deliver.fallback) {
        if !hops.contains(&hop) {
            hops.push(hop);
        }
    }
    hops
}

/// What is missing if the host cannot be found.
async fn look_up(host: &HopHost, resolver: &Resolver) -> Result<(), String> {
    match host {
        HopHost::Ip(_) | HopHost::Unix(_) => Ok(()),
        HopHost::Name(name) => has_address(name, resolver).await,
        HopHost::Mx(domain) => match resolver.mx(domain).await {
            Ok(records) if records.iter().all(|record| record.exchange.is_empty()) => Err(format!(
                "the domain {domain} takes no mail: its MX record is \".\" (null MX)"
            )),
            Ok(records) => {
                let mut missing = String::new();
                for record in records {
                    match has_address(&record.exchange, resolver).await {
                        Ok(()) => return Ok(()),
                        Err(reason) => missing = reason,
                    }
                }
                Err(format!(
                    "no host of the MX records of {domain} can be reached: {missing}"
                ))
            }
            // The domain's own addresses stand in for its MX records (RFC 5321 section 5.1).
            Err(ResolveError::NoData(_)) => has_address(domain, resolver).await,
            Err(error) => Err(format!(
                "the domain {domain} has no MX records: {}",
                chain(&error)
            )),
        },
    }
}

async fn has_address(name: &str, resolver: &Resolver) -> Result<(), String> {
    match resolver.addresses(name).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the name {name} has no address: {}", chain(&error))),
    }
}
