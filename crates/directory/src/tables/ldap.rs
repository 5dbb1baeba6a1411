//! Tables in LDAP directories.

use std::time::Duration;

use ldap3::{Scope, SearchEntry, dn_escape, ldap_escape};

use super::settings::{LdapTable, ResultRules};
use crate::environment::Environment;
use crate::ldap::{Fleets, Identity, Search, of_search};
use crate::time;
use crate::verdict::Outage;
use postern_table::Expansion;

/// Most entries of one answer.
const ENTRIES_MAX: i32 = 1_000;

/// A directory, and what is searched for.
pub(super) struct LdapSource {
    base: Expansion,
    filter: Expansion,
    scope: Scope,
    attributes: Vec<String>,
    result: ResultRules,
    timeout: Duration,
    fleets: Fleets,
}

impl LdapSource {
    /// Makes no connection yet. The error says which setting is wrong.
    pub(super) fn new(settings: &LdapTable, environment: &Environment) -> Result<Self, String> {
        let sample = settings.filter.fill("u@a.b.c.d.e.f.g.h.i", "", &escaped);
        if settings.filter.is_fixed() {
            return Err("the filter would find the same for every key: it has to name the key".into());
        }
        if sample.is_none_or(|filter| ldap3::parse_filter(&filter).is_err()) {
            return Err("the filter is not a valid one of LDAP (RFC 4515), such as (mail=%s)".into());
        }
        if settings.attributes.is_empty() {
            return Err("no attribute is named whose values are used".into());
        }
        let fleets = match &settings.bind {
            Some((dn, password)) => {
                let identity = Identity {
                    dn: dn.clone(),
                    password: password.clone(),
                };
                Fleets::with_identity(&settings.servers, Some(identity), environment)
            }
            None => Fleets::new(&settings.servers, environment),
        };
        Ok(Self {
            base: settings.base.clone(),
            filter: settings.filter.clone(),
            scope: settings.servers.scope.of_library(),
            attributes: settings.attributes.clone(),
            result: settings.result.clone(),
            timeout: settings.servers.timeout,
            fleets: fleets.map_err(|error| error.text())?,
        })
    }

    /// The value of a key.
    pub(super) async fn get(&self, key: &str) -> Result<Option<String>, Outage> {
        let base = self.base.fill(key, "", &|part| dn_escape(part).into_owned());
        let filter = self.filter.fill(key, "", &escaped);
        let (Some(base), Some(filter)) = (base, filter) else {
            return Ok(None);
        };
        if !self.result.holds(key) {
            return Ok(None);
        }
        let attributes: Vec<&str> = self.attributes.iter().map(String::as_str).collect();
        let search = Search {
            base: &base,
            scope: self.scope,
            filter: &filter,
            attributes: &attributes,
            limit: ENTRIES_MAX,
        };
        let end = time::now() + self.timeout;
        let fleet = self.fleets.current(end).await?;
        let ask = async |index: usize, deadline| {
            let (entries, result) = fleet.servers[index].searches.search(&search, deadline).await?;
            // A base that contains a part of the key need not exist.
            if result.rc == 32 && !self.base.is_fixed() {
                return Ok(Vec::new());
            }
            of_search(&result)?;
            Ok(entries)
        };
        let entries = fleet.failover.ask(end, ask).await?;
        if entries.len() >= usize::try_from(ENTRIES_MAX).unwrap_or(usize::MAX) {
            return Err(Outage::new("more than 1,000 entries for one key"));
        }
        let values: Vec<String> = entries.iter().flat_map(|entry| self.values(entry)).collect();
        self.result.join(key, &values).map_err(Outage::new)
    }

    /// The values of the attributes, in their order.
    fn values<'e>(&self, entry: &'e SearchEntry) -> impl Iterator<Item = String> + use<'_, 'e> {
        let of = |name: &'_ String| {
            let found = entry
                .attrs
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, values)| values.clone()).unwrap_or_default()
        };
        self.attributes.iter().flat_map(of)
    }
}

fn escaped(part: &str) -> String {
    ldap_escape(part).into_owned()
}
