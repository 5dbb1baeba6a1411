//! The state of one user, network or sender domain.

use std::collections::{BTreeSet, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Moment;
use super::deed::Deed;
use super::rules::{Bound, Counted, Span};
use super::window::{Distinct, Sum};

/// Most recipients of an account that are remembered; the least recently used are forgotten first.
pub const KNOWN_MAX: usize = 4_096;

/// Most messages that are remembered as evidence.
pub const RECENT_MAX: usize = 10;

/// What is counted, and in which time span.
pub type Window = (Counted, Span);

/// The state of one user, network or sender domain.
#[derive(Clone, Debug, Default)]
pub struct Account {
    windows: Vec<(Window, Count)>,
    known: Known,
    /// What was recently reported, and when.
    told: Vec<(Window, Moment)>,
    /// When the next message is accepted from an account that is slowed down.
    next_at: Moment,
    recent: VecDeque<Recent>,
    touched: Moment,
}

#[derive(Clone, Debug)]
enum Count {
    Sum(Sum),
    Distinct(Distinct),
}

/// Recipients of earlier mail, by a hash of their address.
#[derive(Clone, Debug, Default)]
struct Known {
    order: VecDeque<u64>,
    all: HashSet<u64>,
}

/// An accepted message.
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

/// What is counted, in which time span, and its grains.
type Named<T> = (String, String, Vec<T>);

/// An account as it is stored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct KeptAccount {
    /// By the names of what is counted and of the time span: grains and amounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sums: Vec<Named<(u64, u64)>>,
    /// Likewise: names and grains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    distinct: Vec<Named<(Box<str>, u64)>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    known: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recent: Vec<Recent>,
    #[serde(default)]
    next_at: Moment,
    touched: Moment,
}

/// What was counted for a deed, to be taken back if it does not happen.
#[derive(Clone, Debug, Default)]
pub struct Added {
    sums: Vec<(Window, u64)>,
    distinct: Vec<(Window, Box<str>)>,
}

impl Account {
    /// The current count.
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
                let mut new: Vec<u64> = deed
                    .recipients
                    .iter()
                    .filter(|one| !self.known.all.contains(one))
                    .copied()
                    .collect();
                new.sort_unstable();
                new.dedup();
                new.len() as u64
            }
            Counted::RefusedRecipients => deed.refused_recipients,
            Counted::Bounces => deed.bounces,
            Counted::FailedLogins => deed.failed_logins,
            Counted::SentOctets => deed.octets,
            Counted::Networks | Counted::Countries => 0,
        }
    }

    /// Counts a deed in these windows, and returns what was counted.
    pub fn add(&mut self, tracked: &BTreeSet<Window>, deed: &Deed<'_>, now: Moment) -> Added {
        let mut added = Added::default();
        for &window in tracked {
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
        if tracked
            .iter()
            .any(|(counted, _)| *counted == Counted::FirstTimeRecipients)
        {
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

    /// Whether something is news: whether it was not reported within the time span in which it is counted. Afterwards it is no
    /// longer news.
    pub fn is_news(&mut self, window: Window, now: Moment) -> bool {
        self.told.retain(|((_, span), at)| at + span.seconds() > now);
        let is_news = !self.told.iter().any(|(told, _)| *told == window);
        if is_news {
            self.told.push((window, now));
        }
        is_news
    }

    /// The last messages, the oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &Recent> {
        self.recent.iter()
    }

    /// The networks or countries, and roughly how many seconds ago each was last seen.
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

    /// Whether nothing that it did still counts.
    #[must_use]
    pub const fn is_over(&self, now: Moment) -> bool {
        self.touched + Span::Day.seconds() + Span::Day.grain() < now
    }

    /// Forgets windows that are not counted any more.
    pub fn keep(&mut self, tracked: &BTreeSet<Window>) {
        self.windows.retain(|(window, _)| tracked.contains(window));
    }

    /// Resets all counts. Its earlier recipients are still known.
    pub fn begin_afresh(&mut self) {
        self.windows.clear();
        self.told.clear();
        self.next_at = 0;
    }

    /// In the form in which it is stored.
    #[must_use]
    pub fn kept(&self, now: Moment) -> KeptAccount {
        let mut kept = KeptAccount {
            known: self.known.order.iter().copied().collect(),
            recent: self.recent.iter().cloned().collect(),
            next_at: self.next_at,
            touched: self.touched,
            ..KeptAccount::default()
        };
        for ((counted, span), count) in &self.windows {
            let (counted, span_name) = (counted.name().to_owned(), span.name().to_owned());
            match count {
                Count::Sum(sum) => kept.sums.push((counted, span_name, sum.kept(*span, now))),
                Count::Distinct(distinct) => {
                    kept.distinct
                        .push((counted, span_name, distinct.kept(*span, now)));
                }
            }
        }
        kept
    }

    /// From the stored form; what is malformed is left out.
    #[must_use]
    pub fn restored(kept: KeptAccount) -> Self {
        let window = |counted: &str, span: &str| Some((Counted::by_name(counted)?, Span::by_name(span)?));
        let mut account = Self {
            next_at: kept.next_at,
            touched: kept.touched,
            recent: kept.recent.into_iter().take(RECENT_MAX).collect(),
            ..Self::default()
        };
        account.known.add(&kept.known);
        for (counted, span, sums) in kept.sums {
            if let Some(window) = window(&counted, &span).filter(|window| !window.0.is_distinct()) {
                account.windows.push((window, Count::Sum(Sum::restored(sums))));
            }
        }
        for (counted, span, names) in kept.distinct {
            if let Some(window) = window(&counted, &span).filter(|window| window.0.is_distinct()) {
                let distinct = Distinct::restored(names);
                account.windows.push((window, Count::Distinct(distinct)));
            }
        }
        account
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

impl Known {
    fn add(&mut self, recipients: &[u64]) {
        for &one in recipients {
            if !self.all.insert(one) {
                continue;
            }
            self.order.push_back(one);
            if self.order.len() > KNOWN_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.all.remove(&oldest);
            }
        }
    }
}

/// The hash by which recipients are remembered: FNV-1a of 64 bits over the address in lower case. It is stored, so it must not
/// change.
#[must_use]
pub fn recipient_hash(address: &str) -> u64 {
    address.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}
