//! The client's name in `HELO` or `EHLO`: whether it can be a host name, and whether it is this server's.

use std::net::IpAddr;

use postern_mail::Domain;

use super::finding::Finding;
use crate::DomainSet;

/// A `HELO` name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeloName {
    /// A full host name, lower-case.
    Host(String),
    /// An address, in brackets or not.
    Address {
        /// The address.
        address: IpAddr,
        /// Whether it is in brackets, as required.
        bracketed: bool,
    },
    /// Anything else; empty without `HELO` or `EHLO`.
    Other(String),
}

impl HeloName {
    /// Reads the client's name.
    #[must_use]
    pub fn of(said: &str) -> Self {
        if let Ok(address) = said.parse::<IpAddr>() {
            return Self::Address {
                address,
                bracketed: false,
            };
        }
        match Domain::parse(said, true) {
            Ok(Domain::Name(name)) if name.contains('.') => Self::Host(name.into()),
            Ok(Domain::Literal(address)) => Self::Address {
                address,
                bracketed: true,
            },
            _ => Self::Other(said.to_owned()),
        }
    }

    /// The name to look up in DNS.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Host(name) => Some(name),
            Self::Address { .. } | Self::Other(_) => None,
        }
    }
}

/// What is wrong with the form of a name (RFC 5321 section 4.1.1.1).
#[must_use]
pub fn judge_syntax(name: &HeloName) -> Option<Finding> {
    match name {
        HeloName::Host(_) | HeloName::Address { bracketed: true, .. } => None,
        HeloName::Address { address, .. } => Some(Finding::HeloSyntax(address.to_string())),
        HeloName::Other(said) => Some(Finding::HeloSyntax(said.clone())),
    }
}

/// Whether a `HELO` name cannot be a host name, full or not, or an address.
#[must_use]
pub fn is_invalid(name: &HeloName) -> bool {
    match name {
        HeloName::Host(_) | HeloName::Address { .. } => false,
        HeloName::Other(said) => !Domain::parse(said, true).is_ok_and(|domain| domain.name().is_some()),
    }
}

/// Whether a stranger uses a name or address of this server. `is_own` recognises own addresses. Names below a local domain are
/// not own names: other hosts of the site may send from outside.
#[must_use]
pub fn judge_own(
    name: &HeloName,
    hostname: &str,
    local_domains: &DomainSet,
    is_own: impl Fn(IpAddr) -> bool,
) -> Option<Finding> {
    match name {
        HeloName::Host(name) => {
            let is_own = name.eq_ignore_ascii_case(hostname) || local_domains.names_exactly(name);
            is_own.then(|| Finding::HeloOwn(name.clone()))
        }
        HeloName::Address { address, .. } => is_own(*address).then(|| Finding::HeloOwn(address.to_string())),
        HeloName::Other(said) => {
            let first = hostname.split('.').next().unwrap_or(hostname);
            let is_own = said.eq_ignore_ascii_case(first) || said.eq_ignore_ascii_case("localhost");
            is_own.then(|| Finding::HeloOwn(said.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_call_themselves() {
        let local = DomainSet::new(["own.example", "*.site.example"]).unwrap();
        #[rustfmt::skip]
        let cases = [
            // said                     a name by its form  this server's
            ("mail.away.example",       true,               false),
            ("MAIL.Away.Example",       true,               false),
            ("under_score.example",     true,               false),
            ("mx.own.example",          true,               true),
            ("MX.OWN.EXAMPLE",          true,               true),
            ("own.example",             true,               true),
            ("branch.own.example",      true,               false),
            ("a.site.example",          true,               false),
            ("[192.0.2.1]",             true,               true),
            ("[192.0.2.7]",             true,               false),
            ("[IPv6:2001:db8::7]",      true,               false),
            ("192.0.2.7",               false,              false),
            ("192.0.2.1",               false,              true),
            ("2001:db8::7",             false,              false),
            ("[192.0.2.300]",           false,              false),
            ("localhost",               false,              true),
            ("mx",                      false,              true),
            ("friend",                  false,              false),
            ("a..example",              false,              false),
            ("-a.example",              false,              false),
            ("a.example:25",            false,              false),
            ("#7",                      false,              false),
            ("1.2",                     false,              false),
            ("",                        false,              false),
        ];
        let own: IpAddr = "192.0.2.1".parse().unwrap();
        for (said, good, is_own) in cases {
            let name = HeloName::of(said);
            assert_eq!(judge_syntax(&name).is_none(), good, "{said}: {name:?}");
            let found = judge_own(&name, "mx.own.example", &local, |address| address == own);
            assert_eq!(found.is_some(), is_own, "{said}");
        }
    }

    #[test]
    fn a_name_may_be_short_and_still_a_name() {
        let cases = [
            ("mx", false),
            ("localhost", false),
            ("mail.away.example", false),
            ("192.0.2.7", false),
            ("[192.0.2.7]", false),
            ("[192.0.2.300]", true),
            ("a..example", true),
            ("-a.example", true),
            ("#7", true),
            ("", true),
        ];
        for (said, invalid) in cases {
            assert_eq!(is_invalid(&HeloName::of(said)), invalid, "{said}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_said_has_a_meaning(said in "\\PC{0,300}") {
            let _ = judge_syntax(&HeloName::of(&said));
        }
    }
}
