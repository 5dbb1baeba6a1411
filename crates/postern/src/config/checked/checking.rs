//! State shared by all steps of the check.

use std::path::Path;
use std::sync::Arc;

use postern_directory::tables::{DomainTable, RouteLookup, Tables};
use postern_mail::Domain;
use postern_policy::DomainSet;

use crate::config::file::Postern;
use crate::config::libraries::Libraries;
use crate::config::problem::Problems;
use crate::config::read::At;

/// State shared by all steps of the check.
pub(super) struct Checking<'a> {
    pub(super) file: &'a Postern,
    /// The base folder of relative paths.
    pub(super) base: &'a Path,
    pub(super) problems: &'a mut Problems,
    pub(super) hostname: String,
    pub(super) domain: Domain,
    pub(super) local_domains: DomainSet,
    pub(super) relay_domains: DomainSet,
    /// The tables opened so far.
    pub(super) tables: Tables,
    /// Tables of domains that are queried per domain.
    pub(super) domain_tables: Vec<Arc<DomainTable>>,
    /// Tables of routes that are queried per recipient.
    pub(super) route_tables: Vec<Arc<RouteLookup>>,
    pub(super) alias_domains: DomainSet,
    pub(super) libraries: Libraries,
}

/// The set of patterns, each of which has already been parsed.
pub(super) fn domain_set(patterns: &At<Vec<At<String>>>) -> DomainSet {
    let mut set = DomainSet::default();
    for pattern in &patterns.value {
        // An invalid pattern was reported when it was read.
        let _ = set.insert(pattern);
    }
    set
}

/// The values of a list without their positions.
pub(super) fn values<T: Clone>(list: &[At<T>]) -> Vec<T> {
    list.iter().map(|at| at.value.clone()).collect()
}

/// A number already checked against its bounds, in the setting's type.
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
