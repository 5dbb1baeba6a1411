//! The zone of the tests: our judge gets answers from memory, all others from unbound.

use std::net::IpAddr;

use futures_util::FutureExt as _;
use futures_util::future::ready;
use postern_seal::dns::{Dns, Family, Lookup, NoAnswer};

/// Lines as for [`Unbound::start`](postern_testkit::unbound::Unbound::start).
pub(crate) struct Zone(pub(crate) String);

impl Zone {
    /// The values of a name.
    fn find(&self, name: &str, kind: &str) -> Result<Vec<String>, NoAnswer> {
        let mut found = Vec::new();
        for line in self.0.lines().map(str::trim) {
            match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
                [zone, "SERVFAIL"] if name == zone || name.ends_with(&format!(".{zone}")) => {
                    return Err(NoAnswer::Temporary("no answer".to_owned()));
                }
                [at, its, value] if at.eq_ignore_ascii_case(name) && its == kind => {
                    found.push(value.to_owned());
                }
                _ => {}
            }
        }
        if found.is_empty() {
            Err(NoAnswer::Nothing)
        } else {
            Ok(found)
        }
    }
}

impl Dns for Zone {
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>> {
        let found = self.find(name, "TXT");
        ready(found.map(|texts| texts.into_iter().map(String::into_bytes).collect())).boxed()
    }

    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, Vec<IpAddr>> {
        let kind = if family == Family::V4 { "A" } else { "AAAA" };
        let found = self.find(host, kind);
        ready(found.map(|values| values.iter().map(|value| value.parse().unwrap()).collect())).boxed()
    }

    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Vec<String>> {
        let host = |value: String| {
            value
                .rsplit(' ')
                .next()
                .unwrap_or_default()
                .trim_end_matches('.')
                .to_owned()
        };
        ready(
            self.find(domain, "MX")
                .map(|values| values.into_iter().map(host).collect()),
        )
        .boxed()
    }

    fn names(&self, _: IpAddr) -> Lookup<'_, Vec<String>> {
        ready(Err(NoAnswer::Nothing)).boxed()
    }
}
