//! What a message is judged by, and what comes of it.

use crate::budget::Moment;
use crate::budget::account::Added;
use crate::budget::mark::{HeldMost, Mark};
use crate::budget::rules::{Action, Budget, Per};
use crate::budget::verdict::{AccountRefusal, Exceeded};

/// What budgets say of a deed, without counting it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Judged {
    /// All that it exceeds, the sternest first.
    pub exceeded: Vec<Exceeded>,
}

impl Judged {
    /// The first that has this done.
    #[must_use]
    pub fn with(&self, action: Action) -> Option<&Exceeded> {
        self.exceeded
            .iter()
            .find(|exceeded| exceeded.bound.action == action)
    }

    /// Why it is refused: unless the account is put on hold.
    #[must_use]
    pub fn refusal(&self) -> Option<&Exceeded> {
        self.exceeded
            .first()
            .filter(|first| first.bound.action == Action::Refuse)
    }
}

/// A message that was counted.
#[derive(Clone, Debug)]
pub struct Spent {
    /// Which one it was, of all that were counted since the beginning.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// Why it is held.
    pub hold: Option<Holding>,
    /// Why it is slowed, and for how many seconds it waits.
    pub slowed: Option<(Exceeded, u64)>,
    /// What is to be told, each once in its time.
    pub news: Vec<Exceeded>,
    pub(super) added: Vec<(Per, Box<str>, Added)>,
    pub(super) account: Box<str>,
    pub(super) octets: u64,
    pub(super) queue: Box<str>,
}

/// Why a message is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holding {
    /// It exceeds a budget, and puts its account on hold.
    Exceeded(Exceeded),
    /// Its account was on hold before.
    OnHold(Mark),
}

/// Why a message is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refused {
    /// It exceeds a budget.
    Exceeded(Box<Exceeded>),
    /// Its account is on hold, and no more of it is kept.
    Full(AccountRefusal),
}

/// What a message is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The budgets.
    pub budgets: &'a [Budget],
    /// How much of an account on hold is kept.
    pub held: HeldMost,
    /// Seconds between two messages of an account that is slowed, and how long one waits at most.
    pub pace: (u64, u64),
    /// Whether this one has waited before.
    pub has_waited: bool,
}

impl<'a> Terms<'a> {
    /// These budgets, and defaults.
    #[must_use]
    pub fn new(budgets: &'a [Budget]) -> Self {
        Self {
            budgets,
            held: HeldMost::default(),
            pace: (10, 60),
            has_waited: false,
        }
    }
}
