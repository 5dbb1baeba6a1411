//! Storing and restoring the state.

use super::{Account, Ledger, Mark, Moment, Per};

impl Ledger {
    /// The number of the last counted message: what is stored now includes all up to it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The latest moment.
    #[must_use]
    pub const fn latest(&self) -> Moment {
        self.latest
    }

    /// The accounts that have changed since the last call; `None` for those dropped because nothing counts any more.
    pub fn take_changed(&mut self) -> Vec<(Per, Box<str>, Option<&Account>)> {
        let latest = self.latest;
        for per in Per::ALL {
            self.accounts[per as usize].retain(|key, account| {
                let is_forgotten = account.is_forgotten(latest);
                if is_forgotten {
                    self.changed.insert((per, key.clone()));
                }
                !is_forgotten
            });
        }
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|(per, key)| {
                let account = self.accounts[per as usize].get(&key);
                (per, key, account)
            })
            .collect()
    }

    /// The accounts taken could not be written.
    pub fn changed_still(&mut self, keys: impl IntoIterator<Item = (Per, Box<str>)>, marks: bool) {
        self.changed.extend(keys);
        if marks {
            self.marks_version += 1;
        }
    }

    /// Whether anything must be written.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.marks_version != self.marks_taken || !self.changed.is_empty()
    }

    /// The accounts on hold, if they have changed since the last call.
    pub fn take_marks(&mut self) -> Option<Vec<(Box<str>, Mark)>> {
        if self.marks_taken == self.marks_version {
            return None;
        }
        self.marks_taken = self.marks_version;
        let marks = self.marks.iter();
        Some(marks.map(|(name, mark)| (name.clone(), mark.clone())).collect())
    }

    /// A number that is incremented whenever the accounts on hold change.
    #[must_use]
    pub const fn marks_version(&self) -> u64 {
        self.marks_version
    }

    /// Restores what was stored.
    pub fn restore(
        &mut self,
        (number, latest): (u64, Moment),
        accounts: Vec<(Per, Box<str>, Account)>,
        marks: Vec<(Box<str>, Mark)>,
    ) {
        self.number = self.number.max(number);
        self.latest = self.latest.max(latest);
        let mut known = 0;
        for (per, key, mut account) in accounts {
            let of_kind = &mut self.accounts[per as usize];
            if of_kind.len() < self.accounts_max {
                account.keep(&self.tracked[per as usize]);
                known += account.known();
                of_kind.insert(key, account);
            }
        }
        self.more_known(known);
        self.marks.extend(marks);
    }
}
