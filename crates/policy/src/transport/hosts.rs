//! Hosts with which TLS is otherwise than routes say.

use postern_mail::Domain;

use crate::domain_set::DomainSet;

/// What a host's name demands of TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HostDemand {
    /// Nothing.
    #[default]
    Nothing,
    /// That there be none.
    Never,
    /// That there be no mail without it.
    Always,
    /// The same, and a certificate that is valid for the host's name.
    Verified,
}

/// Hosts by their names, as MX records and the configuration have them.
#[derive(Clone, Debug, Default)]
pub struct TlsHosts {
    /// Those with which it is not used.
    pub never: DomainSet,
    /// Those that get no mail without it.
    pub always: DomainSet,
    /// Those that have to have a valid certificate as well.
    pub verified: DomainSet,
}

impl TlsHosts {
    /// What a host's name demands; the strictest demand counts.
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
