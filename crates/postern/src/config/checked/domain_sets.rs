//! Domains in the file and in tables.

use std::sync::Arc;

use postern_directory::tables::DomainTable;
use postern_policy::{AskedDomains, DomainSet};
use postern_table::Reference;

use super::{Checking, tables};
use crate::config::read::At;

/// The set of patterns, and of tables of domains.
pub(super) fn domains_and_tables(
    patterns: &At<Vec<At<String>>>,
    key: &str,
    c: &mut Checking<'_>,
) -> DomainSet {
    let mut set = DomainSet::default();
    for pattern in &patterns.value {
        if !Reference::is_meant(pattern) {
            // An invalid pattern was reported when it was read.
            let _ = set.insert(pattern);
            continue;
        }
        let span = &pattern.span;
        let Ok(reference) = Reference::parse(pattern) else {
            continue;
        };
        let Some(lookup) = tables::open(&reference, span.clone(), c) else {
            continue;
        };
        if tables::is_listed(&lookup) {
            tables::domains(&lookup, &mut set, span.clone(), key, c);
        } else {
            let table = Arc::new(DomainTable::new(lookup));
            set.ask(Arc::clone(&table) as Arc<dyn AskedDomains>);
            c.domain_tables.push(table);
        }
    }
    set
}
