//! Hosts for which TLS differs from what routes say.

use postern_mail::Domain;

use crate::domain_set::DomainSet;

/// The TLS demand of a host's name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HostDemand {
    /// Nothing.
    #[default]
    Nothing,
    /// No TLS.
    Never,
    /// No mail without TLS.
    Always,
    /// The same, and a certificate that is valid for the host's name.
    Verified,
}

/// Hosts by name, as in MX records and the configuration.
#[derive(Clone, Debug, Default)]
pub struct TlsHosts {
    /// Hosts with which TLS is not used.
    pub never: DomainSet,
    /// Hosts that get no mail without TLS.
    pub always: DomainSet,
    /// Hosts that must also have a valid certificate.
    pub verified: DomainSet,
}

impl TlsHosts {
    /// The demand of a host's name; the strictest counts.
    #[must_use]
    pub fn demand(&self, host: &str) -> HostDemand {
        let Ok(host) = Domain::parse(host, true) else {
            return HostDemand::Nothing;
        };
        let demands = [
            (&self.verified, HostDemand::Verified),
            (&self.always, HostDemand::Always),
            (&self.never, HostDemand::Never),
        ];
        let found = demands.into_iter().find(|(hosts, _)| hosts.contains(&host));
        found.map_or(HostDemand::Nothing, |(_, demand)| demand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_demand_counts() {
        let hosts = TlsHosts {
            never: DomainSet::new(["*.a.example", "old.b.example"]).unwrap(),
            always: DomainSet::new(["mx.a.example", "mx.b.example"]).unwrap(),
            verified: DomainSet::new(["mx.b.example"]).unwrap(),
        };
        #[rustfmt::skip]
        let cases = [
            ("mx.a.example",    HostDemand::Always),
            ("MX.B.example",    HostDemand::Verified),
            ("fax.a.example",   HostDemand::Never),
            ("a.example",       HostDemand::Nothing),
            ("",                HostDemand::Nothing),
        ];
        for (host, demand) in cases {
            assert_eq!(hosts.demand(host), demand, "{host}");
        }
    }
}
