//! An account as it is written down.

use serde::{Deserialize, Serialize};

use super::{Account, Count, RECENT_MAX, Recent};
use crate::budget::Moment;
use crate::budget::rules::{Counted, Span};
use crate::budget::usual::Usual;
use crate::budget::window::{Distinct, Sum};

/// What is counted, in which time, and its grains.
type Named<T> = (String, String, Vec<T>);

/// An account as it is written down.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct KeptAccount {
    /// By names of what is counted and of the time: grains and amounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sums: Vec<Named<(u64, u64)>>,
    /// Likewise: names and moments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    distinct: Vec<Named<(Box<str>, u64)>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    usual: Vec<(String, Usual)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    known: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recent: Vec<Recent>,
    #[serde(default)]
    next_at: Moment,
    touched: Moment,
}

impl Account {
    /// As it is written down.
    #[must_use]
    pub fn kept(&self, now: Moment) -> KeptAccount {
        let mut kept = KeptAccount {
            known: self.known.kept(),
            recent: self.recent.iter().cloned().collect(),
            next_at: self.next_at,
            touched: self.touched,
            usual: self
                .usual
                .iter()
                .map(|(counted, usual)| (counted.name().to_owned(), *usual))
                .collect(),
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

    /// As it was written down; what makes no sense is left out.
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
        let usual = kept.usual.into_iter();
        account.usual = usual
            .filter_map(|(counted, usual)| Some((Counted::by_name(&counted)?, usual)))
            .collect();
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
}
