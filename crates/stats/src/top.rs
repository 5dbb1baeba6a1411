//! The most frequent names of many, in bounded memory.

use serde::{Deserialize, Serialize};

use crate::counts::Counts;

/// Longest name, in octets; longer ones are truncated.
const NAME_MAX: usize = 255;

/// The most frequent names with their counts, and the rest (the algorithm Space-Saving: Metwally, Agrawal, El Abbadi 2005).
///
/// A name that arrives when all slots are taken gets that of the least frequent one, and its rank: so with n slots, a name that
/// makes up more than 1/n of the total always has one. The counts of a name are those since it got its slot; earlier ones are in
/// the rest.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Top {
    names: Vec<Named>,
    /// Counts of all names without a slot.
    rest: Counts,
}

/// A name with its counts.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Counts since it got its slot.
    #[serde(flatten)]
    pub counts: Counts,
    /// The weight of the name whose slot it took: at most that much of its own may be in the rest.
    #[serde(skip_serializing_if = "is_zero")]
    pub before: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Named {
    fn rank(&self) -> u64 {
        self.before + self.counts.weight()
    }
}

impl Top {
    /// Counts something for a name, with that many slots.
    pub fn add(&mut self, name: &str, counts: Counts, places: usize) {
        let name = cut(name);
        if let Some(at) = self.names.iter().position(|known| known.name == name) {
            self.names[at].counts += counts;
            // Frequent names are kept in front, where they are found quickly.
            if at > 0 && self.names[at].rank() > self.names[at - 1].rank() {
                self.names.swap(at, at - 1);
            }
            return;
        }
        if self.names.len() < places {
            self.names.push(Named {
                name: name.to_owned(),
                counts,
                before: 0,
            });
            return;
        }
        let least = self.names.iter_mut().min_by_key(|known| known.rank());
        let Some(least) = least else {
            self.rest += counts;
            return;
        };
        self.rest += least.counts;
        least.before = least.rank();
        least.name.clear();
        least.name.push_str(name);
        least.counts = counts;
    }

    /// Adds another one's counts, for example another day's.
    pub fn merge(&mut self, other: &Self, places: usize) {
        for named in &other.names {
            self.add(&named.name, named.counts, places);
        }
        self.rest += other.rest;
    }

    /// The names, the most frequent first.
    #[must_use]
    pub fn names(&self) -> Vec<&Named> {
        let mut names: Vec<&Named> = self.names.iter().collect();
        names.sort_by(|one, other| {
            let by_rank = other.counts.weight().cmp(&one.counts.weight());
            by_rank.then_with(|| one.name.cmp(&other.name))
        });
        names
    }

    /// The counts of all that are not among the names.
    #[must_use]
    pub const fn rest(&self) -> Counts {
        self.rest
    }
}

/// The name, truncated.
fn cut(name: &str) -> &str {
    let end = (0..=NAME_MAX.min(name.len()))
        .rev()
        .find(|at| name.is_char_boundary(*at));
    &name[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one() -> Counts {
        Counts {
            accepted: 1,
            bytes: 10,
            ..Counts::default()
        }
    }

    #[test]
    fn who_comes_often_keeps_the_place_however_many_others_come_once() {
        let mut top = Top::default();
        for number in 0..1_000 {
            top.add("often.example", one(), 10);
            top.add(&format!("once-{number}.example"), one(), 10);
        }
        let first = top.names()[0];
        assert_eq!(
            (first.name.as_str(), first.counts.accepted, first.before),
            ("often.example", 1_000, 0)
        );
        assert_eq!(top.names().len(), 10);
        let named: u64 = top.names().iter().map(|named| named.counts.accepted).sum();
        assert_eq!(named + top.rest().accepted, 2_000, "nothing is lost");
        top.add(&"x".repeat(1_000), one(), 10);
        assert!(top.names().iter().all(|named| named.name.len() <= NAME_MAX));
        let mut none = Top::default();
        none.add("a", one(), 0);
        assert_eq!((none.names().len(), none.rest()), (0, one()));
    }

    proptest! {
        #[test]
        fn names_and_rest_add_up_and_the_frequent_are_there(list in proptest::collection::vec(0_u8..40, 0..500), places in 1_usize..20) {
            let (mut top, mut exact) = (Top::default(), [0_u64; 40]);
            for name in &list {
                top.add(&name.to_string(), one(), places);
                exact[usize::from(*name)] += 1;
            }
            let named: u64 = top.names().iter().map(|named| named.counts.accepted).sum();
            prop_assert_eq!(named + top.rest().accepted, list.len() as u64);
            for (name, count) in exact.iter().enumerate() {
                let found = top.names().into_iter().find(|named| named.name == name.to_string());
                // More than its share, so it has a slot.
                prop_assert!(found.is_some() || *count <= list.len() as u64 / places as u64);
                if let Some(named) = found {
                    prop_assert!(named.counts.accepted <= *count && *count <= named.rank());
                }
            }
        }
    }
}
