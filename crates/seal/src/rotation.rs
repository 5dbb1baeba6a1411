//! The keys of one domain over time: created, waiting for DNS, signing, retired, removed.
//!
//! A new key signs once DNS shows its record. The previous one stays in DNS for a while: mail that it signed is still in transit.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Algorithm;

/// Most keys of one domain at once.
pub const KEYS_MAX: usize = 20;

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It will sign once DNS shows its record.
    Next,
    /// It signs.
    Active,
    /// It no longer signs; its record must still be published.
    Retired,
}

/// One key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Its selector.
    pub selector: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub stage: Stage,
    /// Since when it has been in this stage.
    pub since: Timestamp,
}

/// All keys of a domain.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct KeyRing {
    /// The keys, the oldest first.
    pub keys: Vec<KeyEntry>,
}

/// The settings of a rotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationSettings {
    /// How long a key signs before a new one replaces it; `None` for ever.
    pub every: Option<Duration>,
    /// How long a retired key keeps its record. Default 7 days: longer than delivery is attempted.
    pub keep_old: Duration,
}

impl Default for RotationSettings {
    fn default() -> Self {
        Self {
            every: None,
            keep_old: Duration::from_secs(7 * 86_400),
        }
    }
}

/// What to do with the keys of a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// Create the next keys, with these algorithms.
    Make(Vec<Algorithm>),
    /// Sign with the next keys from now on: DNS shows them.
    Switch,
    /// Wait until DNS shows the records of these selectors.
    Await(Vec<String>),
    /// Remove these keys; their records can go.
    Remove(Vec<String>),
    /// Nothing.
    Rest,
}

/// A rotation cannot begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoRotation {
    /// One is in progress.
    #[error("the next keys are there already and wait for DNS")]
    UnderWay,
    /// There are too many keys.
    #[error("there are {KEYS_MAX} keys; old ones have to go first")]
    TooMany,
    /// There is a key with that selector.
    #[error("there is a key of that selector")]
    SameSelector,
}

impl KeyRing {
    /// The keys in this stage.
    pub fn at(&self, stage: Stage) -> impl Iterator<Item = &KeyEntry> {
        self.keys.iter().filter(move |key| key.stage == stage)
    }

    /// Whether the next keys wait for DNS.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.at(Stage::Next).next().is_some()
    }

    /// Adds the next keys.
    ///
    /// # Errors
    ///
    /// [`NoRotation`]; nothing is changed.
    pub fn begin(&mut self, next: Vec<(String, Algorithm)>, now: Timestamp) -> Result<(), NoRotation> {
        if self.is_rotating() {
            return Err(NoRotation::UnderWay);
        }
        if self.keys.len() + next.len() > KEYS_MAX {
            return Err(NoRotation::TooMany);
        }
        let is_there = |selector: &str| {
            self.keys
                .iter()
                .any(|key| key.selector.eq_ignore_ascii_case(selector))
        };
        if next.iter().any(|(selector, _)| is_there(selector)) {
            return Err(NoRotation::SameSelector);
        }
        self.keys
            .extend(next.into_iter().map(|(selector, algorithm)| KeyEntry {
                selector,
                algorithm,
                stage: Stage::Next,
                since: now,
            }));
        Ok(())
    }

    /// Makes the next keys sign, and retires the active ones. False if there is no next one.
    pub fn switch(&mut self, now: Timestamp) -> bool {
        if !self.is_rotating() {
            return false;
        }
        for key in &mut self.keys {
            let stage = match key.stage {
                Stage::Next => Stage::Active,
                Stage::Active => Stage::Retired,
                Stage::Retired => continue,
            };
            (key.stage, key.since) = (stage, now);
        }
        true
    }

    /// Removes the keys with the selectors `which`.
    pub fn remove(&mut self, which: impl Fn(&KeyEntry) -> bool) -> Vec<KeyEntry> {
        let (gone, left) = std::mem::take(&mut self.keys).into_iter().partition(which);
        self.keys = left;
        gone
    }

    /// What is to be done now, one thing at a time. `shown` says whether DNS has the key for a selector.
    #[must_use]
    pub fn act(&self, settings: &RotationSettings, shown: impl Fn(&str) -> bool, now: Timestamp) -> Act {
        let is_older = |key: &KeyEntry, time: Duration| {
            jiff::SignedDuration::try_from(time).is_ok_and(|time| now.duration_since(key.since) >= time)
        };
        let names = |keys: &mut dyn Iterator<Item = &KeyEntry>| {
            keys.map(|key| key.selector.clone()).collect::<Vec<_>>()
        };
        if self.is_rotating() {
            let missing = names(&mut self.at(Stage::Next).filter(|key| !shown(&key.selector)));
            return if missing.is_empty() {
                Act::Switch
            } else {
                Act::Await(missing)
            };
        }
        let old = names(
            &mut self
                .at(Stage::Retired)
                .filter(|key| is_older(key, settings.keep_old)),
        );
        if !old.is_empty() {
            return Act::Remove(old);
        }
        let mut active = self.at(Stage::Active).peekable();
        let is_due = |every| active.peek().is_some() && active.all(|key| is_older(key, every));
        if settings.every.is_some_and(is_due) {
            let mut algorithms: Vec<Algorithm> = self.at(Stage::Active).map(|key| key.algorithm).collect();
            algorithms.sort_unstable();
            algorithms.dedup();
            return Act::Make(algorithms);
        }
        Act::Rest
    }

    /// An unused selector: `r` or `e` for the algorithm, since two keys cannot share a selector, the month, and a letter if that
    /// is taken: `r202612`, `e202612b`.
    #[must_use]
    pub fn free_selector(&self, algorithm: Algorithm, now: Timestamp) -> String {
        let month = now.strftime("%Y%m").to_string();
        let before = match algorithm {
            Algorithm::RsaSha256 => "r",
            Algorithm::Ed25519Sha256 => "e",
        };
        let is_free = |name: &String| {
            !self
                .keys
                .iter()
                .any(|key| key.selector.eq_ignore_ascii_case(name))
        };
        std::iter::once(String::new())
            .chain(('b'..='z').map(String::from))
            .map(|behind| format!("{before}{month}{behind}"))
            .find(is_free)
            .unwrap_or_else(|| format!("{before}{}", now.as_second()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + day * DAY).unwrap()
    }

    fn ring(keys: &[(&str, Stage, i64)]) -> KeyRing {
        let entry = |(selector, stage, day): &(&str, Stage, i64)| KeyEntry {
            selector: (*selector).to_owned(),
            algorithm: Algorithm::RsaSha256,
            stage: *stage,
            since: at(*day),
        };
        KeyRing {
            keys: keys.iter().map(entry).collect(),
        }
    }

    #[test]
    fn what_is_to_be_done() {
        use Stage::{Active, Next, Retired};
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        type Case = (
            &'static str,
            KeyRing,
            Option<i64>,
            &'static [&'static str],
            i64,
            Act,
        );
        #[rustfmt::skip]
        let cases: &[Case] = &[
            // what the case shows                 keys                                               every     shown   day  act
            ("no keys",                            ring(&[]),                                         Some(90), &[],    0,   Act::Rest),
            ("first keys, not in DNS",             ring(&[("a", Next, 0)]),                           None,     &[],    1,   Act::Await(names(&["a"]))),
            ("first keys, one of two in DNS",      ring(&[("a", Next, 0), ("b", Next, 0)]),           None,     &["a"], 1,   Act::Await(names(&["b"]))),
            ("first keys in DNS",                  ring(&[("a", Next, 0)]),                           None,     &["a"], 1,   Act::Switch),
            ("a key that signs",                   ring(&[("a", Active, 0)]),                         None,     &["a"], 900, Act::Rest),
            ("not old enough",                     ring(&[("a", Active, 0)]),                         Some(90), &["a"], 89,  Act::Rest),
            ("old enough",                         ring(&[("a", Active, 0)]),                         Some(90), &["a"], 90,  Act::Make(vec![Algorithm::RsaSha256])),
            ("the next one waits for DNS",         ring(&[("a", Active, 0), ("b", Next, 90)]),        Some(90), &["a"], 99,  Act::Await(names(&["b"]))),
            ("the next one is in DNS",             ring(&[("a", Active, 0), ("b", Next, 90)]),        Some(90), &["b"], 99,  Act::Switch),
            ("mail of the old one is under way",   ring(&[("a", Retired, 0), ("b", Active, 0)]),      Some(90), &[],    6,   Act::Rest),
            ("no more",                            ring(&[("a", Retired, 0), ("b", Active, 0)]),      Some(90), &[],    7,   Act::Remove(names(&["a"]))),
            ("the old one goes before a new one",  ring(&[("a", Retired, 0), ("b", Active, 0)]),      Some(5),  &[],    9,   Act::Remove(names(&["a"]))),
            ("a clock that went back",             ring(&[("a", Active, 50)]),                        Some(90), &[],    0,   Act::Rest),
        ];
        for (shows, ring, every, shown, day, want) in cases {
            let settings = RotationSettings {
                every: every.map(|days| Duration::from_secs(days as u64 * DAY as u64)),
                ..RotationSettings::default()
            };
            let act = ring.act(&settings, |selector| shown.contains(&selector), at(*day));
            assert_eq!(act, *want, "{shows}");
        }
    }

    #[test]
    fn a_whole_life() {
        let mut ring = KeyRing::default();
        let rsa = Algorithm::RsaSha256;
        ring.begin(vec![("a".into(), rsa)], at(0)).unwrap();
        assert_eq!(
            ring.begin(vec![("b".into(), rsa)], at(0)),
            Err(NoRotation::UnderWay)
        );
        assert!(ring.switch(at(1)));
        assert!(!ring.switch(at(1)));
        assert_eq!(
            ring.begin(vec![("A".into(), rsa)], at(2)),
            Err(NoRotation::SameSelector)
        );
        ring.begin(vec![("b".into(), rsa)], at(2)).unwrap();
        assert_eq!(
            ring.at(Stage::Active).count(),
            1,
            "the old one signs until the switch"
        );
        ring.switch(at(3));
        let stages: Vec<_> = ring.keys.iter().map(|key| (&*key.selector, key.stage)).collect();
        assert_eq!(stages, [("a", Stage::Retired), ("b", Stage::Active)]);
        assert_eq!(ring.remove(|key| key.stage == Stage::Retired).len(), 1);
        let many = (0..KEYS_MAX).map(|n| (format!("s{n}"), rsa)).collect();
        assert_eq!(ring.begin(many, at(4)), Err(NoRotation::TooMany));
        let written = serde_json::to_string(&ring).unwrap();
        assert_eq!(serde_json::from_str::<KeyRing>(&written).unwrap(), ring);
    }

    #[test]
    fn selectors_are_not_used_twice() {
        let mut ring = KeyRing::default();
        let mut seen = Vec::new();
        for _ in 0..6 {
            for algorithm in Algorithm::ALL {
                let selector = ring.free_selector(algorithm, at(0));
                assert!(!seen.contains(&selector), "{selector}");
                ring.keys.push(KeyEntry {
                    selector: selector.clone(),
                    algorithm,
                    stage: Stage::Active,
                    since: at(0),
                });
                seen.push(selector);
            }
        }
        assert_eq!(&seen[..4], ["r202609", "e202609", "r202609b", "e202609b"]);
    }
}
