//! The state of one user, network or sender domain.

mod kept;

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

pub use self::kept::KeptAccount;
use super::Moment;
use super::deed::Deed;
use super::recipients::Known;
use super::rules::{Bound, Counted, Multiple, Span};
use super::usual::Usual;
use super::window::{Distinct, Sum};

/// Messages that are remembered as evidence.
pub const RECENT_MAX: usize = 10;

/// How long it is remembered to whom an account has sent, and how much is usual, in seconds: it may be away for two months.
const REMEMBERED: u64 = 60 * 86_400;

/// What is counted, and in what time.
pub type Window = (Counted, Span);

/// What is counted of accounts of a kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tracked {
    /// In windows.
    pub windows: BTreeSet<Window>,
    /// Of what is learnt how much is usual.
    pub learnt: BTreeSet<Counted>,
}

impl Tracked {
    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.learnt.is_empty()
    }

    /// Whether it matters who recipients are.
    #[must_use]
    pub fn knows_recipients(&self) -> bool {
        let mut all = self
            .windows
            .iter()
            .map(|(counted, _)| counted)
            .chain(&self.learnt);
        all.any(|counted| *counted == Counted::FirstTimeRecipients)
    }
}

/// What is known of one login, network or sender domain.
#[derive(Clone, Debug, Default)]
pub struct Account {
    windows: Vec<(Window, Count)>,
    usual: Vec<(Counted, Usual)>,
    known: Known,
    /// What was told lately, and when.
    told: Vec<(Limit, Moment)>,
    /// When the next message may be taken, of an account that is slowed.
    next_at: Moment,
    recent: VecDeque<Recent>,
    touched: Moment,
}

/// Which bound it was: a window may have several. One that is learnt goes up and down, and is the same one.
type Limit = (Window, Result<u64, Multiple>);

#[derive(Clone, Debug)]
enum Count {
    Sum(Sum),
    Distinct(Distinct),
}

/// A message that was taken.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Recent {
    /// Its queue id.
    pub queue: Box<str>,
    /// When it was accepted.
    pub at: Moment,
    /// The client's network.
    pub network: Box<str>,
    /// Number of recipients.
    pub recipients: u64,
    /// Size in octets.
    pub octets: u64,
}

/// What was counted of a deed, to be taken back if it does not happen.
#[derive(Clone, Debug, Default)]
pub struct Added {
    sums: Vec<(Window, u64)>,
    distinct: Vec<(Window, Box<str>)>,
    learnt: Vec<(Counted, u64)>,
}

impl Account {
    /// How much a bound allows now; `None` while it is not known what is usual.
    #[must_use]
    pub fn most(&self, bound: &Bound, now: Moment) -> Option<u64> {
        match &bound.usual {
            None => Some(bound.most),
            Some(rule) => self.usual_of(bound.counted)?.allows(bound.span, rule, now),
        }
    }

    /// How much of a kind is usual, once that is known after so many days.
    #[must_use]
    pub fn usual(&self, (counted, span): Window, days: u32, now: Moment) -> Option<u64> {
        self.usual_of(counted)?.amount(span, days, now)
    }

    fn usual_of(&self, counted: Counted) -> Option<&Usual> {
        let mut all = self.usual.iter();
        all.find(|(known, _)| *known == counted).map(|(_, usual)| usual)
    }

    fn learn(&mut self, counted: Counted, amount: u64, now: Moment) {
        let at = self.usual.iter().position(|(known, _)| *known == counted);
        let at = at.unwrap_or_else(|| {
            self.usual.push((counted, Usual::default()));
            self.usual.len() - 1
        });
        self.usual[at].1.add(amount, now);
    }

    /// How much of a kind there is now.
    #[must_use]
    pub fn total(&self, (counted, span): Window, now: Moment) -> u64 {
        match self.count((counted, span)) {
            Some(Count::Sum(sum)) => sum.total(span, now),
            Some(Count::Distinct(distinct)) => distinct.total(span, now),
            None => 0,
        }
    }

    /// The count after a deed.
    #[must_use]
    pub fn total_after(&self, (counted, span): Window, deed: &Deed<'_>, now: Moment) -> u64 {
        let one = deed.one(counted);
        match (self.count((counted, span)), one) {
            (Some(Count::Distinct(distinct)), Some(one)) => distinct.total_with(one, span, now),
            (None, Some(_)) => 1,
            (Some(Count::Distinct(distinct)), None) => distinct.total(span, now),
            (Some(Count::Sum(sum)), _) => sum.total(span, now).saturating_add(self.amount(counted, deed)),
            (None, None) => self.amount(counted, deed),
        }
    }

    /// In how many seconds a deed is within a limit; `None` if never.
    #[must_use]
    pub fn fits_in(&self, bound: &Bound, deed: &Deed<'_>, now: Moment) -> Option<u64> {
        let amount = self.amount(bound.counted, deed);
        match (self.count((bound.counted, bound.span)), deed.one(bound.counted)) {
            (Some(Count::Sum(sum)), _) => sum.fits_in(amount, bound.most, bound.span, now),
            (Some(Count::Distinct(distinct)), Some(one)) => {
                distinct.fits_in(one, bound.most, bound.span, now)
            }
            _ => (amount <= bound.most).then_some(0),
        }
    }

    /// How much a deed adds to a count; new recipients are those to whom nothing was sent before.
    fn amount(&self, counted: Counted, deed: &Deed<'_>) -> u64 {
        match counted {
            Counted::SentMessages => deed.messages,
            Counted::SentRecipients => deed.named,
            Counted::FirstTimeRecipients => {
                let all = deed.recipients.iter();
                all.filter(|one| !self.known.contains(**one)).count() as u64
            }
            Counted::RefusedRecipients => deed.refused_recipients,
            Counted::Bounces => deed.bounces,
            Counted::ReturnedBounces => deed.returned_bounces,
            Counted::Complaints => deed.complaints,
            Counted::FailedLogins => deed.failed_logins,
            Counted::SentOctets => deed.octets,
            Counted::Networks | Counted::Countries => 0,
        }
    }

    /// Counts a deed in these windows, and says what was counted.
    pub fn add(&mut self, tracked: &Tracked, deed: &Deed<'_>, now: Moment) -> Added {
        let mut added = Added::default();
        for &counted in tracked.learnt.iter().filter(|_| !deed.held) {
            let amount = self.amount(counted, deed);
            if amount > 0 {
                self.learn(counted, amount, now);
                added.learnt.push((counted, amount));
            }
        }
        for &window in &tracked.windows {
            let (counted, span) = window;
            if let Some(one) = deed.one(counted) {
                let Count::Distinct(distinct) = self.count_mut(window) else {
                    continue;
                };
                if distinct.add(one, span, now) {
                    added.distinct.push((window, one.into()));
                }
                continue;
            }
            let amount = self.amount(counted, deed);
            if amount > 0
                && let Count::Sum(sum) = self.count_mut(window)
            {
                sum.add(amount, span, now);
                added.sums.push((window, amount));
            }
        }
        if tracked.knows_recipients() {
            self.known.add(deed.recipients);
        }
        if deed.messages > 0 {
            self.remember(deed, now);
        }
        self.touched = self.touched.max(now);
        added
    }

    fn remember(&mut self, deed: &Deed<'_>, now: Moment) {
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent {
            queue: deed.queue.into(),
            at: now,
            network: deed.network.unwrap_or_default().into(),
            recipients: deed.named,
            octets: deed.octets,
        });
    }

    /// Takes back what was counted at `then`.
    pub fn take_back(&mut self, added: &Added, then: Moment, queue: &str) {
        for ((counted, span), amount) in &added.sums {
            if let Count::Sum(sum) = self.count_mut((*counted, *span)) {
                sum.take_back(*amount, *span, then);
            }
        }
        for (window, one) in &added.distinct {
            if let Count::Distinct(distinct) = self.count_mut(*window) {
                distinct.take_back(one);
            }
        }
        for (counted, amount) in &added.learnt {
            if let Some((_, usual)) = self.usual.iter_mut().find(|(known, _)| known == counted) {
                usual.take_back(*amount, then);
            }
        }
        self.recent.retain(|recent| *recent.queue != *queue);
    }

    /// How long a message waits of an account that is slowed down to one in `pace` seconds, in order of arrival. It takes its
    /// turn unless that is longer than `most`.
    pub fn turn(&mut self, pace: u64, most: u64, now: Moment) -> Option<u64> {
        let at = self.next_at.max(now);
        let wait = at - now;
        if wait > most {
            return None;
        }
        self.next_at = at.saturating_add(pace);
        Some(wait)
    }

    /// Whether something is news: it was not told within the time in which it is counted. From now on it is none.
    pub fn is_news(&mut self, bound: &Bound, now: Moment) -> bool {
        self.told.retain(|(((_, span), _), at)| at + span.seconds() > now);
        let limit = bound.usual.map_or(Ok(bound.most), Err);
        let what = ((bound.counted, bound.span), limit);
        let is_news = !self.told.iter().any(|(told, _)| *told == what);
        if is_news {
            self.told.push((what, now));
        }
        is_news
    }

    /// The last messages, the oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &Recent> {
        self.recent.iter()
    }

    /// Which networks or countries there are, and how many seconds ago each was seen last.
    #[must_use]
    pub fn names(&self, (counted, span): Window, now: Moment) -> Vec<(Box<str>, u64)> {
        match self.count((counted, span)) {
            Some(Count::Distinct(distinct)) => distinct.names(span, now),
            _ => Vec::new(),
        }
    }

    /// When it last did something.
    #[must_use]
    pub const fn touched(&self) -> Moment {
        self.touched
    }

    /// To how many it is known to have sent.
    pub(super) fn known(&self) -> usize {
        self.known.len()
    }

    /// Forgets to whom it has sent.
    pub(super) fn forget_known(&mut self) {
        self.known = Known::default();
    }

    /// Whether nothing that it did still counts.
    #[must_use]
    pub const fn is_over(&self, now: Moment) -> bool {
        self.over_at() <= now
    }

    /// From when on nothing that it has done so far counts any more.
    #[must_use]
    pub const fn over_at(&self) -> Moment {
        self.touched + Span::Day.seconds() + Span::Day.grain() + 1
    }

    /// Whether nothing of it is remembered any more: neither to whom it has sent nor how much is usual, either.
    #[must_use]
    pub fn is_forgotten(&self, now: Moment) -> bool {
        let is_empty = self.usual.is_empty() && self.known.is_empty();
        self.is_over(now) && (is_empty || self.touched + REMEMBERED < now)
    }

    /// Forgets what is not counted any more.
    pub fn keep(&mut self, tracked: &Tracked) {
        self.windows
            .retain(|(window, _)| tracked.windows.contains(window));
        self.usual.retain(|(counted, _)| tracked.learnt.contains(counted));
    }

    /// Begins afresh: what it did does not count any more. To whom it has sent is still known, and what is usual.
    pub fn begin_afresh(&mut self) {
        self.windows.clear();
        self.usual.iter_mut().for_each(|(_, usual)| usual.forget_today());
        self.told.clear();
        self.next_at = 0;
    }

    fn count(&self, window: Window) -> Option<&Count> {
        let mut windows = self.windows.iter();
        windows
            .find(|(known, _)| *known == window)
            .map(|(_, count)| count)
    }

    fn count_mut(&mut self, window: Window) -> &mut Count {
        let at = self.windows.iter().position(|(known, _)| *known == window);
        let at = at.unwrap_or_else(|| {
            let count = if window.0.is_distinct() {
                Count::Distinct(Distinct::default())
            } else {
                Count::Sum(Sum::default())
            };
            self.windows.push((window, count));
            self.windows.len() - 1
        });
        &mut self.windows[at].1
    }
}
