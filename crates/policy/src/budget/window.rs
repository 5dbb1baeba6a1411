//! Counting in sliding windows, in bounded memory.
//!
//! A window is divided into grains ([`Span::grain`]), and holds one more of them than fit, since it may begin within one. So
//! nothing is forgotten too early: no interval of that length ever has more than allowed. A count may stay for up to a grain
//! longer.

use std::collections::{BTreeMap, VecDeque};

use super::Moment;
use super::rules::Span;

/// Most distinct values that a window remembers. With more, only the most recent ones count.
pub const DISTINCT_MAX: usize = 1_000;

/// Grains that a window holds besides the current one.
const fn grains(span: Span) -> u64 {
    span.seconds() / span.grain()
}

/// Whether what was counted in a grain still counts.
const fn counts(grain: u64, now: Moment, span: Span) -> bool {
    grain + grains(span) >= now / span.grain()
}

/// In how many seconds a grain leaves the window.
const fn leaves_in(grain: u64, now: Moment, span: Span) -> u64 {
    ((grain + grains(span) + 1) * span.grain()).saturating_sub(now)
}

/// A sum.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sum {
    /// Grains in which something was counted, the oldest first.
    grains: VecDeque<(u64, u64)>,
}

impl Sum {
    /// The current sum.
    #[must_use]
    pub fn total(&self, span: Span, now: Moment) -> u64 {
        let current = self.grains.iter().filter(|(grain, _)| counts(*grain, now, span));
        current.fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    /// Counts some more.
    pub fn add(&mut self, amount: u64, span: Span, now: Moment) {
        if amount == 0 {
            return;
        }
        while self
            .grains
            .front()
            .is_some_and(|(grain, _)| !counts(*grain, now, span))
        {
            self.grains.pop_front();
        }
        let grain = now / span.grain();
        match self.grains.back_mut() {
            // A later grain, after a clock was set back, takes it too: it is forgotten later, never earlier.
            Some((last, sum)) if *last >= grain => *sum = sum.saturating_add(amount),
            _ => self.grains.push_back((grain, amount)),
        }
    }

    /// Takes back what was counted at `then` but did not happen.
    pub fn take_back(&mut self, amount: u64, span: Span, then: Moment) {
        let grain = then / span.grain();
        let mut left = amount;
        for (at, sum) in self.grains.iter_mut().filter(|(at, _)| *at >= grain) {
            let taken = left.min(*sum);
            (*sum, left) = (*sum - taken, left - taken);
            debug_assert!(*at >= grain);
        }
        self.grains.retain(|(_, sum)| *sum > 0);
    }

    /// In how many seconds `wanted` more fit below `most`; `None` if never.
    #[must_use]
    pub fn fits_in(&self, wanted: u64, most: u64, span: Span, now: Moment) -> Option<u64> {
        let room = most.checked_sub(wanted)?;
        let mut total = self.total(span, now);
        if total <= room {
            return Some(0);
        }
        for (grain, amount) in &self.grains {
            if !counts(*grain, now, span) {
                continue;
            }
            total = total.saturating_sub(*amount);
            if total <= room {
                return Some(leaves_in(*grain, now, span));
            }
        }
        None
    }

    /// Grains and amounts, to be stored.
    #[must_use]
    pub fn kept(&self, span: Span, now: Moment) -> Vec<(u64, u64)> {
        let current = self.grains.iter().filter(|(grain, _)| counts(*grain, now, span));
        current.copied().collect()
    }

    /// From the stored form.
    #[must_use]
    pub fn restored(mut kept: Vec<(u64, u64)>) -> Self {
        kept.sort_unstable();
        kept.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = earlier.1.saturating_add(later.1);
            }
            same
        });
        Self { grains: kept.into() }
    }
}

/// Different ones, each with the moment in which it was seen last.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Distinct {
    seen: BTreeMap<Box<str>, Moment>,
}

/// Whether what was counted at a moment still counts.
const fn counts_of(then: Moment, now: Moment, span: Span) -> bool {
    counts(then / span.grain(), now, span)
}

impl Distinct {
    /// The current number.
    #[must_use]
    pub fn total(&self, span: Span, now: Moment) -> u64 {
        let current = self.seen.values().filter(|then| counts_of(**then, now, span));
        current.count() as u64
    }

    /// The number with one more.
    #[must_use]
    pub fn total_with(&self, one: &str, span: Span, now: Moment) -> u64 {
        let known = self.seen.get(one).is_some_and(|then| counts_of(*then, now, span));
        self.total(span, now) + u64::from(!known)
    }

    /// Counts one; true if it is new.
    pub fn add(&mut self, one: &str, span: Span, now: Moment) -> bool {
        if let Some(seen) = self.seen.get_mut(one) {
            let is_new = !counts_of(*seen, now, span);
            *seen = now.max(*seen);
            return is_new;
        }
        if self.seen.len() >= DISTINCT_MAX {
            self.seen.retain(|_, then| counts_of(*then, now, span));
        }
        if self.seen.len() >= DISTINCT_MAX {
            let oldest = self.seen.iter().min_by_key(|(_, then)| **then);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.seen.remove(&oldest);
            }
        }
        self.seen.insert(one.into(), now);
        true
    }

    /// Takes back one that was counted but did not happen.
    pub fn take_back(&mut self, one: &str) {
        self.seen.remove(one);
    }

    /// In how many seconds `one` more fits below `most`; `None` if never.
    #[must_use]
    pub fn fits_in(&self, one: &str, most: u64, span: Span, now: Moment) -> Option<u64> {
        if self.total_with(one, span, now) <= most {
            return Some(0);
        }
        if most == 0 {
            return None;
        }
        let others = self.seen.iter().filter(|(name, _)| &***name != one);
        let mut grains: Vec<u64> = others
            .map(|(_, then)| *then / span.grain())
            .filter(|grain| counts(*grain, now, span))
            .collect();
        grains.sort_unstable();
        // Of the others, all but `most - 1` must leave the window.
        let gone = grains.len().checked_sub(usize::try_from(most).ok()?)?;
        grains.get(gone).map(|grain| leaves_in(*grain, now, span))
    }

    /// Which there are, and how many seconds ago each was seen last.
    #[must_use]
    pub fn names(&self, span: Span, now: Moment) -> Vec<(Box<str>, u64)> {
        let current = self.seen.iter().filter(|(_, then)| counts_of(**then, now, span));
        current
            .map(|(name, then)| (name.clone(), now.saturating_sub(*then)))
            .collect()
    }

    /// Names and moments, to be kept.
    #[must_use]
    pub fn kept(&self, span: Span, now: Moment) -> Vec<(Box<str>, u64)> {
        let current = self.seen.iter().filter(|(_, then)| counts_of(**then, now, span));
        current.map(|(name, then)| (name.clone(), *then)).collect()
    }

    /// From the stored form.
    #[must_use]
    pub fn restored(kept: Vec<(Box<str>, u64)>) -> Self {
        Self {
            seen: kept.into_iter().take(DISTINCT_MAX).collect(),
        }
    }
}
