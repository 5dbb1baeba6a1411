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

    /// Some account knows more recipients. Where that is too many for all together, those accounts forget theirs that have done
    /// nothing for the longest time.
    pub(super) fn more_known(&mut self, more: usize) {
        self.known += more;
        if self.known <= self.known_max {
            return;
        }
        let of_kinds = Per::ALL.iter().map(|per| (*per, &self.accounts[*per as usize]));
        let mut all: Vec<(Moment, Per, Box<str>, usize)> = of_kinds
            .flat_map(|(per, accounts)| accounts.iter().map(move |(key, account)| (per, key, account)))
            .filter(|(_, _, account)| account.known() > 0)
            .map(|(per, key, account)| (account.touched(), per, key.clone(), account.known()))
            .collect();
        all.sort_unstable();
        // Accounts that are gone were not taken off.
        self.known = all.iter().map(|(.., known)| known).sum();
        // Room for so many that it is seldom made.
        let left = self.known_max - self.known_max / 16;
        for (_, per, key, known) in all {
            if self.known <= left {
                return;
            }
            if let Some(account) = self.accounts[per as usize].get_mut(&key) {
                account.forget_known();
                self.known -= known;
                self.changed.insert((per, key));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::account::Tracked;
    use crate::budget::deed::Deed;
    use crate::budget::rules::{Counted, Who};

    #[test]
    fn all_together_know_no_more_recipients_than_there_is_room_for() {
        let mut ledger = Ledger::new(100);
        ledger.known_max = 320;
        let tracked = Tracked {
            learnt: [Counted::FirstTimeRecipients].into(),
            ..Tracked::default()
        };
        ledger.tracked[Per::Login as usize] = std::sync::Arc::new(tracked);
        let names: Vec<String> = (0..40).map(|number| format!("user{number}")).collect();
        for (at, name) in (1_000..).zip(&names) {
            let recipients: Vec<u64> = (0..10).collect();
            let who = Who {
                login: Some(name),
                peer: None,
                sender_domain: None,
            };
            let deed = Deed {
                messages: 1,
                named: 10,
                recipients: &recipients,
                ..Deed::default()
            };
            ledger.add(&who, &deed, at);
            let known: usize = ledger
                .accounts(Per::Login)
                .map(|(_, account)| account.known())
                .sum();
            assert!(known <= 320, "{name}: {known}");
        }
        let known = |name: &str| ledger.account_of(Per::Login, name).unwrap().known();
        assert_eq!(["user0", "user5", "user20", "user39"].map(known), [0, 0, 10, 10]);
    }
}
