//! Which DNS lists answer as lists do, for all sessions.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;
use postern_policy::screen::health::{ListHealth, News, Trouble};

/// Zones that are remembered. A configuration has fewer; those of earlier ones may be forgotten.
const ZONES_MAX: usize = 1_000;

/// Lists by their zone.
#[derive(Default)]
pub(crate) struct ListHealths(Mutex<HashMap<String, ListHealth>>);

impl ListHealths {
    /// Takes note of what came of a question, and says what an administrator is to be told.
    pub(crate) fn note(&self, zone: &str, trouble: Option<Trouble>, now: Instant) -> Option<News> {
        let mut healths = self.0.lock();
        if let Some(health) = healths.get_mut(zone) {
            return health.note(trouble, now);
        }
        if healths.len() >= ZONES_MAX {
            healths.clear();
        }
        healths.entry(zone.to_owned()).or_default().note(trouble, now)
    }
}
