//! The outcome for each line of the old configuration.

use std::collections::{BTreeSet, HashSet};

use crate::Origin;

/// The outcome for a line.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Fate {
    /// The new configuration does the same.
    Carried {
        /// The key, section or file that does it.
        to: String,
    },
    /// It does nearly the same, with a noticeable difference.
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

/// How much it matters that something is not carried over, or not exactly; the most serious first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Who may relay or log in, or the protection of mail and passwords, changes.
    Security,
    /// Mail that was not refused, lost or accepted before now is.
    Mail,
    /// Somebody has to change a habit.
    Habit,
    /// An operational detail.
    Detail,
}

/// Something in the old configuration, and its outcome.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Item {
    /// The lines that say it.
    pub at: Origin,
    /// What they say, in short; never a password.
    pub what: String,
    /// The outcome.
    pub fate: Fate,
}

impl Item {
    /// How much it matters that this is not carried over, or with a difference. `None` if there is nothing to read.
    #[must_use]
    pub fn weight(&self) -> Option<Weight> {
        match &self.fate {
            Fate::Missing { weight, .. } => Some(*weight),
            Fate::Changed { to, difference } => Some(weight_of(to, difference)),
            Fate::Carried { .. } | Fate::Meaningless { .. } => None,
        }
    }
}

/// How much a difference matters, by its place and its text.
fn weight_of(to: &str, difference: &str) -> Weight {
    const SECURITY: [&str; 11] = [
        "[relay]",
        "relay_domains",
        "[auth]",
        "[[login]]",
        "[tls]",
        "tls",
        "verify",
        "secret",
        "plaintext",
        "dnssec",
        "[[directory]] socket",
    ];
    const TRUST: [&str; 4] = ["relay", "password", "certificate", "logins may"];
    const MAIL: [&str; 8] = [
        "refuse",
        "lost",
        "bounce",
        "hears",
        "is told",
        "have none",
        "take no mail",
        "Start the helper",
    ];
    const HABIT: [&str; 2] = ["bring it along", "no effect any more"];
    let says = |words: &[&str]| words.iter().any(|word| difference.contains(word));
    if SECURITY.iter().any(|key| to.contains(key)) || says(&TRUST) {
        Weight::Security
    } else if says(&MAIL) {
        Weight::Mail
    } else if says(&HABIT) {
        Weight::Habit
    } else {
        Weight::Detail
    }
}

/// The report of an import.
#[derive(Clone, Debug, Default)]
pub struct Report {
    items: Vec<Item>,
    /// All items: each is reported once, however many parts of an import report it.
    told: HashSet<Item>,
    /// What is not carried over, or with a difference: its lines and text.
    weighty: HashSet<(Origin, String)>,
}

impl Report {
    /// Adds an outcome.
    pub fn add(&mut self, at: &Origin, what: impl Into<String>, fate: Fate) {
        let item = Item {
            at: at.clone(),
            what: what.into(),
            fate,
        };
        let is_weighty = item.weight().is_some();
        let key = (item.at.clone(), item.what.clone());
        let is_carried = matches!(item.fate, Fate::Carried { .. });
        // What was reported with a difference is not reported again without.
        if is_carried && self.weighty.contains(&key) || !self.told.insert(item.clone()) {
            return;
        }
        self.items.push(item);
        if is_weighty && self.weighty.insert(key.clone()) {
            let is_there = |item: &Item| {
                matches!(item.fate, Fate::Carried { .. }) && item.at == key.0 && item.what == key.1
            };
            self.items.retain(|item| !is_there(item));
        }
    }

    /// Everything that was added, in that order.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What is not carried over, the most serious first.
    #[must_use]
    pub fn missing(&self) -> Vec<&Item> {
        self.gravest_first(|fate| matches!(fate, Fate::Missing { .. }))
    }

    /// What is carried over with a difference, the most serious first.
    #[must_use]
    pub fn changed(&self) -> Vec<&Item> {
        self.gravest_first(|fate| matches!(fate, Fate::Changed { .. }))
    }

    fn gravest_first(&self, is_meant: impl Fn(&Fate) -> bool) -> Vec<&Item> {
        let mut found: Vec<&Item> = self.items.iter().filter(|item| is_meant(&item.fate)).collect();
        found.sort_by_key(|item| item.weight());
        found
    }

    /// Lines of a file that no item covers. `text` is the file's text, `is_active` says whether a line means anything.
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
    fn differences_have_weights() {
        let cases = [
            ("[relay]", "who may not relay hears 550", Weight::Security),
            (
                "relay_domains",
                "Hosts of this domain can no longer relay",
                Weight::Security,
            ),
            ("[[route]]", "no password goes to a host", Weight::Security),
            ("[[alias]]", "is refused at RCPT", Weight::Mail),
            (
                "[srs] domain",
                "mail for mailboxes keeps its sender",
                Weight::Detail,
            ),
        ];
        for (to, difference, expected) in cases {
            assert_eq!(weight_of(to, difference), expected, "{to}: {difference}");
        }
    }

    #[test]
    fn a_thing_is_told_of_once() {
        let at = Origin::line(&"f".into(), 1);
        let carried = || Fate::Carried { to: "k".to_owned() };
        let changed = || Fate::Changed {
            to: "k".to_owned(),
            difference: "refused".to_owned(),
        };
        let mut report = Report::default();
        for fate in [carried(), carried(), changed(), carried(), changed()] {
            report.add(&at, "a", fate);
        }
        report.add(&at, "b", carried());
        let told: Vec<&str> = report.items().iter().map(|item| item.what.as_str()).collect();
        assert_eq!(told, ["a", "b"]);
        assert_eq!(report.changed().len(), 1);
    }

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
