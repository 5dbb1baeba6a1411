//! What exceeds a budget, and how it is reported.

use std::fmt;

use postern_mail::Status;

use super::rules::{Action, Bound, Per};
use crate::rule::{Rule, Told, Verdict};

/// More than a budget allows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exceeded {
    /// The name of the budget.
    pub budget: Box<str>,
    /// What is counted separately.
    pub per: Per,
    /// The user, network or domain.
    pub key: Box<str>,
    /// The limit.
    pub bound: Bound,
    /// What the count would be.
    pub total: u64,
    /// How much is usual, where that is what counts.
    pub usual: Option<u64>,
    /// In how many seconds it would fit; `None` if never.
    pub again: Option<u64>,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bound {
            counted, span, most, ..
        } = self.bound;
        write!(
            out,
            "budget {:?}: {} {} in {} for {} {}, {most} allowed",
            self.budget,
            self.total,
            counted.words(self.total),
            span.words(),
            self.per.words(),
            self.key
        )?;
        match self.usual {
            Some(usual) => write!(out, ", {usual} usual"),
            None => Ok(()),
        }
    }
}

impl Exceeded {
    /// The text for the user whose mail is refused: what is too much, and when it can be sent.
    #[must_use]
    pub fn text(&self) -> String {
        let Bound { counted, span, .. } = self.bound;
        let whose = match self.per {
            Per::Login => "Your account",
            Per::Network => "Your network",
            Per::SenderDomain => "The sender's domain",
        };
        match self.again {
            Some(seconds) => format!(
                "{whose} {} in {}, try again in {}",
                counted.too_much(),
                span.latest(),
                span_of(seconds)
            ),
            None => format!(
                "This is more than may be sent at once: {} {}, {} allowed in {}",
                self.total,
                counted.words(self.total),
                self.bound.most,
                span.words()
            ),
        }
    }
}

/// A time span in words.
#[must_use]
pub fn span_of(seconds: u64) -> String {
    let (amount, unit) = match seconds {
        0..=90 => (seconds.max(1), "second"),
        91..=5_400 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3_600), "hour"),
    };
    let plural = if amount == 1 { "" } else { "s" };
    format!("{amount} {unit}{plural}")
}

impl Verdict for Exceeded {
    fn rule(&self) -> Rule {
        match self.bound.action {
            Action::Warn => Rule::BudgetWarned,
            Action::Delay => Rule::BudgetDelayed,
            Action::Refuse => Rule::BudgetRefused,
            Action::Hold => Rule::BudgetHeld,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        // Its text includes the time.
        None
    }
}

/// The reply code and status of mail that is refused by a budget.
pub const REFUSED: (u16, Status) = (450, Status(4, 7, 1));

/// Mail of an account on hold that is not kept either.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{account} is on hold, and {messages} messages of it are kept already")]
pub struct AccountRefusal {
    /// The account.
    pub account: Box<str>,
    /// How many messages are kept.
    pub messages: u64,
}

impl Verdict for AccountRefusal {
    fn rule(&self) -> Rule {
        Rule::AccountFull
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some((
            450,
            Status(4, 2, 1),
            "Your account is on hold, ask the administrator of this server",
        ))
    }
}
