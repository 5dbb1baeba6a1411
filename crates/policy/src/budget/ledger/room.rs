//! Who has an account, where there is no room for all.

use super::{Ledger, OTHERS};
use crate::budget::Moment;
use crate::budget::account::Account;
use crate::budget::rules::Per;

impl Ledger {
    /// Under which name somebody is counted: his own, or, where there is no room for one more, that of all others.
    pub(super) fn place(&self, per: Per, key: Box<str>, now: Moment) -> Box<str> {
        let accounts = &self.accounts[per as usize];
        if accounts.len() < self.accounts_max || accounts.contains_key(&key) {
            return key;
        }
        let full_until = &self.full_until[per as usize];
        if now < full_until.get() {
            return OTHERS.into();
        }
        // Who does nothing more gives way first; whoever does something, later.
        let first = accounts.values().map(Account::over_at).min().unwrap_or(0);
        full_until.set(first);
        if now < first { OTHERS.into() } else { key }
    }

    pub(super) fn account(&mut self, per: Per, key: Box<str>) -> &mut Account {
        let accounts = &self.accounts[per as usize];
        if accounts.len() >= self.accounts_max && !accounts.contains_key(&key) && *key != *OTHERS {
            self.make_room(per);
        }
        self.accounts[per as usize].entry(key).or_default()
    }

    /// Some of those of whom nothing counts any more give way, those first who have done nothing for the longest time.
    fn make_room(&mut self, per: Per) {
        let (now, accounts) = (self.latest, &mut self.accounts[per as usize]);
        let over = accounts.iter().filter(|(_, account)| account.is_over(now));
        let mut over: Vec<(Moment, Box<str>)> = over
            .map(|(key, account)| (account.touched(), key.clone()))
            .collect();
        over.sort_unstable();
        for (_, key) in over.into_iter().take(self.accounts_max / 16 + 1) {
            accounts.remove(&key);
            self.changed.insert((per, key));
        }
    }
}
