//! What all steps of the check use.

use std::path::Path;
use std::sync::Arc;

use postern_directory::tables::{DomainTable, RouteLookup, Tables};
use postern_mail::Domain;
use postern_policy::DomainSet;

use crate::config::file::Postern;
use crate::config::libraries::Libraries;
use crate::config::problem::Problems;
use crate::config::read::At;

/// What all steps of the check use.
pub(super) struct Checking<'a> {
    pub(super) file: &'a Postern,
    /// The folder that relative paths start at.
    pub(super) base: &'a Path,
    pub(super) problems: &'a mut Problems,
    pub(super) hostname: String,
    pub(super) domain: Domain,
    pub(super) local_domains: DomainSet,
    pub(super) relay_domains: DomainSet,
    /// Those that were opened so far.
    pub(super) tables: Tables,
    /// Those of domains that are asked for each.
    pub(super) domain_tables: Vec<Arc<DomainTable>>,
    /// Those of routes that are asked for each recipient.
    pub(super) route_tables: Vec<Arc<RouteLookup>>,
    pub(super) alias_domains: DomainSet,
    pub(super) libraries: Libraries,
}

/// The set of patterns of which each was read as one already.
pub(super) fn domain_set(patterns: &At<Vec<At<String>>>) -> DomainSet {
    let mut set = DomainSet::default();
    for pattern in &patterns.value {
        // A pattern that is no good was reported when it was read.
        let _ = set.insert(pattern);
    }
    set
}

/// The values of a list without their places.
pub(super) fn values<T: Clone>(list: &[At<T>]) -> Vec<T> {
    list.iter().map(|at| at.value.clone()).collect()
}

/// A number that was read within bounds, in the type that the setting has.
pub(super) fn clamp<T: TryFrom<u64> + Largest>(number: u64) -> T {
    T::try_from(number).unwrap_or(T::LARGEST)
}

/// Types with a largest value.
pub(super) trait Largest {
    const LARGEST: Self;
}

macro_rules! largest {
    ($($type:ty)*) => {
        $(impl Largest for $type {
            const LARGEST: Self = Self::MAX;
        })*
    };
}

largest!(u8 u16 u32 usize);
