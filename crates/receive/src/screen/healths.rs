//! Which DNS lists work properly, for all sessions.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;
use postern_policy::screen::health::{ListHealth, News, Trouble};

/// Most zones that are remembered. A configuration has fewer; those of earlier ones may be
/// forgotten.
const ZONES_MAX: usize = 1_000;

/// Lists by zone.
#[derive(Default)]
pub(crate) struct ListHealths(Mutex<HashMap<String, ListHealth>>);

impl ListHealths {
    /// Notes the result of a question, and returns what to tell an administrator.
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
