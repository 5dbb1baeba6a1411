//! A provider that does not answer: what follows for a token, and who is told.

use parking_lot::Mutex;
use postern_events::{Observers, notice};

use super::jwks::KeySet;
use super::refusal::Refusal;

/// That cannot be determined now.
#[derive(Debug)]
pub(super) struct Outage(pub(super) String);

impl Outage {
    pub(super) const fn new(reason: String) -> Self {
        Self(reason)
    }
}

/// Why a token was not accepted.
#[derive(Debug)]
pub(super) enum Trouble {
    Refused(Refusal),
    Outage(Outage),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Outage> for Trouble {
    fn from(outage: Outage) -> Self {
        Self::Outage(outage)
    }
}

/// Reports changes of a provider's state, only once each.
pub(super) struct Watch {
    issuer: String,
    problem: Mutex<Option<String>>,
    observers: Observers,
}

impl Watch {
    pub(super) fn new(issuer: String, observers: Observers) -> Self {
        Self {
            issuer,
            problem: Mutex::default(),
            observers,
        }
    }

    /// Why the provider did not answer the last time.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }

    /// Records how an exchange with the provider ended.
    pub(super) fn note(&self, problem: Option<&str>) {
        let before = std::mem::replace(&mut *self.problem.lock(), problem.map(str::to_owned));
        match (before, problem) {
            (None, Some(reason)) => {
                notice!(
                    self.observers,
                    Oauth Warning "provider fails",
                    Provider = self.issuer,
                    Reason = reason,
                );
            }
            (Some(_), None) => {
                notice!(self.observers, Oauth Info "provider answers again", Provider = self.issuer);
            }
            _ => {}
        }
    }

    /// Records the keys.
    pub(super) fn keys(&self, before: Option<&KeySet>, now: &KeySet) {
        let keys = now.describe();
        if before.is_none_or(|before| before.describe() != keys) {
            notice!(self.observers, Oauth Info "provider keys", Provider = self.issuer, Keys = keys);
        }
    }
}
