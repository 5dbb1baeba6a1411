//! The settings of access rules, already checked.

use std::time::Duration;

use postern_directory::tables::Lookup;
use postern_filter::Address;
use postern_policy::access::AccessRules;

/// Access rules with the tables and services that they ask.
#[derive(Clone, Debug, Default)]
pub struct AccessSettings {
    /// The rules.
    pub rules: AccessRules,
    /// The tables behind [`AccessRules::look_ups`], by the same numbers.
    pub tables: Vec<Lookup>,
    /// The policy services behind [`AccessRules::services`], by the same numbers.
    pub services: Vec<ServiceSettings>,
}

/// A policy service, as Postfix's `check_policy_service` asks one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceSettings {
    /// Its name in the log.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// Longest time for an answer, the wait for a connection included. Default 30 seconds.
    pub timeout: Duration,
    /// Whether mail is accepted without it when it fails; otherwise mail is deferred with `451 4.3.5`. Default no.
    pub optional: bool,
    /// Most connections to it at once; further requests wait. Default 50.
    pub connections: usize,
    /// How long an idle connection is kept. Default 5 minutes.
    pub idle_time: Duration,
}

impl ServiceSettings {
    /// With the default limits.
    #[must_use]
    pub fn new(name: &str, address: Address) -> Self {
        Self {
            name: name.to_owned(),
            address,
            timeout: Duration::from_secs(30),
            optional: false,
            connections: 50,
            idle_time: Duration::from_secs(300),
        }
    }
}
