//! The state of all users, networks and sender domains, and the decision whether they may send more.
//!
//! Only who has logged in or may relay has an account here: strangers cannot make it grow. Each kind has room of its own. Where that is
//! full, those of whom nothing counts any more give way, and others do not: newcomers then share one account ([`OTHERS`]), which
//! puts nobody on hold. Judging and counting are one step
//! ([`Ledger::spend`]), so that sessions in parallel cannot get past a bound together.

mod kept;
mod room;
mod terms;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

pub use self::terms::{Holding, Judged, Refused, Spent, Terms};
use super::Moment;
use super::account::{Account, Added, Tracked, Window};
use super::deed::{Deed, Note};
use super::mark::{Mark, MarkedBy};
use super::recipients::KNOWN_ALL_MAX;
use super::rules::{Action, Bound, Budget, Counted, Per, Span, Who, budget_of, network_name};
use super::verdict::{AccountRefusal, Exceeded};

/// Default for the most accounts of each kind.
pub const ACCOUNTS_MAX: usize = 100_000;

/// The name of the account shared by those for whom there is no room.
pub const OTHERS: &str = "(others)";

/// What is always counted for users, to show their accounts and their usual volume.
const ALWAYS: [Window; 5] = [
    (Counted::SentMessages, Span::Hour),
    (Counted::SentMessages, Span::Day),
    (Counted::SentRecipients, Span::Hour),
    (Counted::SentRecipients, Span::Day),
    (Counted::Networks, Span::Day),
];

/// All accounts.
#[derive(Debug)]
pub struct Ledger {
    accounts: [HashMap<Box<str>, Account>; Per::ALL.len()],
    marks: BTreeMap<Box<str>, Mark>,
    tracked: [Arc<Tracked>; Per::ALL.len()],
    accounts_max: usize,
    /// How many recipients all accounts together have at most, and may have.
    known: usize,
    known_max: usize,
    /// Until then nobody gives way, where a kind is full.
    full_until: [Cell<Moment>; Per::ALL.len()],
    /// The latest moment: time does not go back.
    latest: Moment,
    number: u64,
    changed: HashSet<(Per, Box<str>)>,
    /// Incremented with each change of the accounts on hold, and its value when they were last taken to be written.
    marks_version: u64,
    marks_taken: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(ACCOUNTS_MAX)
    }
}

impl Ledger {
    /// Remembers up to this many of each kind.
    #[must_use]
    pub fn new(accounts_max: usize) -> Self {
        Self {
            accounts: Default::default(),
            marks: BTreeMap::new(),
            tracked: Default::default(),
            accounts_max: accounts_max.max(1),
            known: 0,
            known_max: KNOWN_ALL_MAX,
            full_until: Default::default(),
            latest: 0,
            number: 0,
            changed: HashSet::new(),
            marks_version: 0,
            marks_taken: 0,
        }
    }

    /// From now on counts what these budgets limit, and forgets the rest. If there are any, or with `learns`, it always counts
    /// what users send.
    pub fn keep(&mut self, budgets: &[Budget], learns: bool) {
        for per in Per::ALL {
            let of_kind = budgets.iter().filter(|budget| budget.per == per);
            let mut tracked = Tracked::default();
            for bound in of_kind.flat_map(|budget| &budget.bounds) {
                tracked.windows.insert((bound.counted, bound.span));
                if bound.usual.is_some() {
                    tracked.learnt.insert(bound.counted);
                }
            }
            if per == Per::Login && (learns || !budgets.is_empty()) {
                tracked.windows.extend(ALWAYS);
            }
            if per == Per::Login && learns {
                tracked.learnt.insert(Counted::SentRecipients);
            }
            if *self.tracked[per as usize] != tracked {
                let accounts = self.accounts[per as usize].values_mut();
                accounts.for_each(|account| account.keep(&tracked));
                self.tracked[per as usize] = Arc::new(tracked);
            }
        }
    }

    /// Whether messages need to be judged: whether anything is counted, or an account is on hold.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        !self.marks.is_empty() || self.tracked.iter().any(|tracked| !tracked.is_empty())
    }

    /// Whether it matters who the recipients are.
    #[must_use]
    pub fn knows_recipients(&self) -> bool {
        self.tracked.iter().any(|tracked| tracked.knows_recipients())
    }

    /// The budgets' verdict on a deed now. Nothing is counted.
    #[must_use]
    pub fn judge(&self, budgets: &[Budget], who: &Who<'_>, deed: &Deed<'_>, now: Moment) -> Judged {
        let now = self.latest.max(now);
        let empty = Account::default();
        let mut exceeded = Vec::new();
        for per in Per::ALL {
            let (Some(budget), Some(key)) = (budget_of(budgets, per, who), who.key(per)) else {
                continue;
            };
            let key = self.place(per, key, now);
            let account = self.accounts[per as usize].get(&key).unwrap_or(&empty);
            let bounds = budget.bounds.iter();
            exceeded.extend(bounds.filter_map(|bound| {
                let most = account.most(bound, now)?;
                let total = account.total_after((bound.counted, bound.span), deed, now);
                (total > most).then(|| {
                    let bound = Bound {
                        most,
                        action: shared(bound.action, &key),
                        ..*bound
                    };
                    Exceeded {
                        budget: budget.name.clone(),
                        per,
                        key: key.clone(),
                        bound,
                        total,
                        usual: bound
                            .usual
                            .and_then(|rule| account.usual((bound.counted, bound.span), rule.days, now)),
                        again: account.fits_in(&bound, deed, now),
                    }
                })
            }));
        }
        // If several refuse, the one with the longest wait says when to try again.
        let wait = |one: &Exceeded| one.again.unwrap_or(u64::MAX);
        exceeded.sort_by_key(|one| std::cmp::Reverse((one.bound.action, wait(one))));
        Judged { exceeded }
    }

    /// Counts a message, if it may be accepted. One that a budget holds puts its account on hold, and messages of an account on
    /// hold are held, whatever else budgets say.
    ///
    /// # Errors
    ///
    /// [`Refused`]: nothing was counted.
    pub fn spend(
        &mut self,
        terms: &Terms<'_>,
        who: &Who<'_>,
        deed: &Deed<'_>,
        now: Moment,
    ) -> Result<Spent, Refused> {
        let now = self.goes_on(now);
        let account = account_name(who);
        let judged = self.judge(terms.budgets, who, deed, now);
        let hold = match (self.marks.get(&account), judged.with(Action::Hold)) {
            (Some(mark), _) => Some(Holding::OnHold(mark.clone())),
            (None, Some(exceeded)) => Some(Holding::Exceeded(exceeded.clone())),
            (None, None) => None,
        };
        if hold.is_none()
            && let Some(exceeded) = judged.refusal()
        {
            return Err(Refused::Exceeded(Box::new(exceeded.clone())));
        }
        if let Some(Holding::OnHold(mark)) = &hold
            && !terms.held.has_room(mark, deed.octets)
        {
            return Err(Refused::Full(AccountRefusal {
                account,
                messages: mark.messages,
            }));
        }
        let slowed = match (&hold, judged.with(Action::Delay)) {
            (None, Some(exceeded)) if !terms.has_waited => Some(self.slowed(exceeded, terms.pace, now)?),
            _ => None,
        };
        let news = self.news(&judged, now);
        let deed = &Deed {
            held: hold.is_some(),
            ..*deed
        };
        let added = self.add(who, deed, now);
        if let Some(Holding::Exceeded(exceeded)) = &hold {
            let by = MarkedBy::Budget(exceeded.budget.clone());
            let mark = Mark::new(by, &exceeded.to_string(), now);
            self.marks.insert(account.clone(), mark);
        }
        if hold.is_some() {
            self.count_held(&account, deed.octets);
        }
        self.number += 1;
        Ok(Spent {
            number: self.number,
            at: now,
            hold,
            slowed,
            news,
            added,
            account,
            octets: deed.octets,
            queue: deed.queue.into(),
        })
    }

    /// Counts what is not a message: refused recipients, bounces, failed logins. Only for existing accounts, so that made-up
    /// names leave nothing behind.
    pub fn happened(
        &mut self,
        who: &Who<'_>,
        deed: &Deed<'_>,
        budgets: &[Budget],
        now: Moment,
    ) -> Vec<Exceeded> {
        let now = self.goes_on(now);
        for per in Per::ALL {
            let Some(key) = who.key(per) else { continue };
            let tracked = &self.tracked[per as usize];
            if let Some(account) = self.accounts[per as usize].get_mut(&key) {
                account.add(tracked, deed, now);
                self.changed.insert((per, key));
            }
        }
        let judged = self.judge(budgets, who, &Deed::default(), now);
        self.news(&judged, now)
    }

    /// Begins an account after a successful login, so that what happens to it is counted.
    pub fn begin(&mut self, who: &Who<'_>, now: Moment) {
        let now = self.goes_on(now);
        for per in [Per::Login, Per::Network] {
            if self.tracked[per as usize].is_empty() {
                continue;
            }
            if let Some(key) = who.key(per) {
                let key = self.place(per, key, now);
                self.account(per, key);
            }
        }
    }

    /// Takes back the count of a message that could not be accepted after all. An account on hold stays so.
    pub fn take_back(&mut self, spent: &Spent) {
        for (per, key, added) in &spent.added {
            if let Some(account) = self.accounts[*per as usize].get_mut(key) {
                account.take_back(added, spent.at, &spent.queue);
                self.changed.insert((*per, key.clone()));
            }
        }
        if spent.hold.is_some()
            && let Some(mark) = self.marks.get_mut(&spent.account)
        {
            mark.messages = mark.messages.saturating_sub(1);
            mark.octets = mark.octets.saturating_sub(spent.octets);
            self.marks_version += 1;
        }
    }

    /// Counts again what is stored with a message in the queue, and was not in the store.
    pub fn replay(&mut self, note: &Note) {
        let now = self.goes_on(note.at);
        self.number = self.number.max(note.number);
        let network = note.peer.map(network_name);
        let who = Who {
            login: note.login.as_deref(),
            peer: note.peer,
            sender_domain: note.domain.as_deref(),
        };
        let deed = Deed {
            queue: &note.queue,
            messages: 1,
            named: note.named,
            recipients: &note.recipients,
            octets: note.octets,
            network: network.as_deref(),
            country: note.country.as_deref(),
            held: note.hold.is_some() || self.marks.contains_key(&account_name(&who)),
            ..Deed::default()
        };
        self.add(&who, &deed, now);
        let account = account_name(&who);
        if let Some((budget, reason)) = &note.hold {
            let mark = || Mark::new(MarkedBy::Budget(budget.clone()), reason, note.at);
            self.marks.entry(account.clone()).or_insert_with(mark);
        }
        if self.marks.contains_key(&account) {
            self.count_held(&account, note.octets);
        }
    }

    /// Has a message of a client wait that a budget slows down to one in so many seconds: for how long.
    ///
    /// # Errors
    ///
    /// It would wait longer than is allowed: too many wait already.
    pub fn slowed(
        &mut self,
        exceeded: &Exceeded,
        (pace, most): (u64, u64),
        now: Moment,
    ) -> Result<(Exceeded, u64), Refused> {
        let now = self.goes_on(now);
        let account = self.account(exceeded.per, exceeded.key.clone());
        match account.turn(pace, most, now) {
            Some(seconds) => {
                self.changed.insert((exceeded.per, exceeded.key.clone()));
                Ok((exceeded.clone(), seconds))
            }
            None => Err(Refused::Exceeded(Box::new(Exceeded {
                again: Some(most.max(pace)),
                bound: Bound {
                    action: Action::Refuse,
                    ..exceeded.bound
                },
                ..exceeded.clone()
            }))),
        }
    }

    /// Puts an account on hold.
    pub fn hold(&mut self, account: &str, administrator: &str, reason: &str, now: Moment) -> &Mark {
        let now = self.goes_on(now);
        self.marks_version += 1;
        let by = MarkedBy::Administrator(administrator.into());
        let mark = || Mark {
            told: true,
            ..Mark::new(by, reason, now)
        };
        self.marks.entry(account.into()).or_insert_with(mark)
    }

    /// Releases an account, whose counts are reset; `None` if it is not on hold.
    pub fn release(&mut self, account: &str, now: Moment) -> Option<Mark> {
        self.goes_on(now);
        let mark = self.marks.remove(account)?;
        self.marks_version += 1;
        for per in [Per::Login, Per::Network] {
            if let Some(known) = self.accounts[per as usize].get_mut(account) {
                known.begin_afresh();
                self.changed.insert((per, account.into()));
            }
        }
        Some(mark)
    }

    /// The accounts on hold.
    pub fn marks(&self) -> impl Iterator<Item = (&str, &Mark)> {
        self.marks.iter().map(|(name, mark)| (&**name, mark))
    }

    /// Whether an account is on hold, and why.
    #[must_use]
    pub fn mark(&self, account: &str) -> Option<&Mark> {
        self.marks.get(account)
    }

    /// The accounts on hold that were not reported yet. They count as reported from now on.
    pub fn untold(&mut self) -> Vec<(Box<str>, Mark)> {
        let mut untold = Vec::new();
        for (name, mark) in self.marks.iter_mut().filter(|(_, mark)| !mark.told) {
            untold.push((name.clone(), mark.clone()));
            mark.told = true;
            self.marks_version += 1;
        }
        untold
    }

    /// One account.
    #[must_use]
    pub fn account_of(&self, per: Per, key: &str) -> Option<&Account> {
        self.accounts[per as usize].get(key)
    }

    /// All accounts of a kind.
    pub fn accounts(&self, per: Per) -> impl Iterator<Item = (&str, &Account)> {
        let accounts = self.accounts[per as usize].iter();
        accounts.map(|(key, account)| (&**key, account))
    }

    /// The moment to use: not before any other seen so far.
    #[must_use]
    pub fn now(&self, now: Moment) -> Moment {
        self.latest.max(now)
    }

    fn goes_on(&mut self, now: Moment) -> Moment {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// What of it to report: limits exceeded for the first time in a while.
    fn news(&mut self, judged: &Judged, now: Moment) -> Vec<Exceeded> {
        let mut news = Vec::new();
        for exceeded in &judged.exceeded {
            let bound = &exceeded.bound;
            if bound.action == Action::Warn
                && self
                    .account(exceeded.per, exceeded.key.clone())
                    .is_news(bound, now)
            {
                news.push(exceeded.clone());
            }
        }
        news
    }

    fn add(&mut self, who: &Who<'_>, deed: &Deed<'_>, now: Moment) -> Vec<(Per, Box<str>, Added)> {
        let mut all = Vec::new();
        for per in Per::ALL {
            let tracked = Arc::clone(&self.tracked[per as usize]);
            let Some(key) = who.key(per).filter(|_| !tracked.is_empty()) else {
                continue;
            };
            let key = self.place(per, key, now);
            let account = self.account(per, key.clone());
            let known = account.known();
            let added = account.add(&tracked, deed, now);
            let more = account.known().saturating_sub(known);
            self.more_known(more);
            self.changed.insert((per, key.clone()));
            all.push((per, key, added));
        }
        all
    }

    fn count_held(&mut self, account: &str, octets: u64) {
        if let Some(mark) = self.marks.get_mut(account) {
            mark.messages += 1;
            mark.octets = mark.octets.saturating_add(octets);
        }
        self.marks_version += 1;
    }
}

/// What is done: an account that several share puts nobody on hold for what another has done.
fn shared(action: Action, key: &str) -> Action {
    match action {
        Action::Hold if key == OTHERS => Action::Refuse,
        action => action,
    }
}

/// Whose account is put on hold: that of who has logged in, or else the network's.
#[must_use]
pub fn account_name(who: &Who<'_>) -> Box<str> {
    let network = || who.peer.map(network_name).unwrap_or_default();
    who.login.map_or_else(network, Into::into)
}
