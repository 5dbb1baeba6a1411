//! What became of each line of the old configuration.

use std::collections::{BTreeSet, HashSet};

use crate::Origin;

/// What became of a line.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Fate {
    /// The new configuration does the same.
    Carried {
        /// The key, section or file that does it.
        to: String,
    },
    /// It does nearly the same: somebody notices a difference.
    Changed {
        /// The key, section or file that does it.
        to: String,
        /// What is different, and for whom.
        difference: String,
    },
    /// There is nothing to carry over.
    Meaningless {
        /// Why.
        why: String,
    },
    /// It is not carried over.
    Missing {
        /// How much that matters.
        weight: Weight,
        /// What to do.
        remedy: String,
    },
}

/// How much it matters that something is not carried over; the gravest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Mail is refused, lost or let through that was not before.
    Mail,
    /// Somebody has to do something else than before.
    Habit,
    /// A detail of operation.
    Detail,
}

/// Something that the old configuration says, and what became of it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Item {
    /// The lines that say it.
    pub at: Origin,
    /// What they say, in short; never a password.
    pub what: String,
    /// What became of it.
    pub fate: Fate,
}

/// The report of an import.
#[derive(Clone, Debug, Default)]
pub struct Report {
    items: Vec<Item>,
    /// All but what is carried over, which is told of once however many parts of an import say so.
    told: HashSet<Item>,
}

impl Report {
    /// Adds what became of something.
    pub fn add(&mut self, at: &Origin, what: impl Into<String>, fate: Fate) {
        let item = Item {
            at: at.clone(),
            what: what.into(),
            fate,
        };
        if matches!(item.fate, Fate::Carried { .. }) || self.told.insert(item.clone()) {
            self.items.push(item);
        }
    }

    /// All that was added, in that order.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What is not carried over, the gravest first.
    #[must_use]
    pub fn missing(&self) -> Vec<&Item> {
        let mut missing: Vec<(Weight, &Item)> = Vec::new();
        for item in &self.items {
            if let Fate::Missing { weight, .. } = item.fate {
                missing.push((weight, item));
            }
        }
        missing.sort_by_key(|(weight, _)| *weight);
        missing.into_iter().map(|(_, item)| item).collect()
    }

    /// Lines of a file that no item is about. `text` is the file's text, `is_active` says whether a line of it says anything.
    #[must_use]
    pub fn passed_over(&self, file: &str, text: &str, is_active: &dyn Fn(&str) -> bool) -> Vec<u32> {
        let about: BTreeSet<u32> = self
            .items
            .iter()
            .filter(|item| item.at.file.as_ref() == file)
            .flat_map(|item| item.at.first..=item.at.last)
            .collect();
        let lines = (1..).zip(text.lines());
        lines
            .filter(|(number, line)| is_active(line) && !about.contains(number))
            .map(|(number, _)| number)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_come_first_and_lines_are_not_passed_over() {
        let mut report = Report::default();
        let file = "f".into();
        let missing = |weight| Fate::Missing {
            weight,
            remedy: String::new(),
        };
        report.add(
            &Origin {
                file: std::sync::Arc::clone(&file),
                first: 1,
                last: 2,
            },
            "a",
            missing(Weight::Detail),
        );
        report.add(&Origin::line(&file, 4), "b", missing(Weight::Mail));
        let order: Vec<&str> = report.missing().iter().map(|item| item.what.as_str()).collect();
        assert_eq!(order, ["b", "a"]);
        assert_eq!(
            report.passed_over("f", "x\ny\nz\nb\n\n", &|line| !line.is_empty()),
            [3]
        );
        assert_eq!(report.passed_over("g", "x\n", &|_| true), [1]);
    }
}
