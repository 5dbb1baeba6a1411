//! Budgets: how much a user, a network or a sender domain may send in a minute, an hour and a day, and what is done beyond that.
//! An account with a stolen password can send until its budget stops it.
//!
//! [`rules`] is what an administrator has configured, [`window`] counts in sliding windows, [`account`] is the state of one user,
//! network or domain, [`deed`] is what counts, [`ledger`] has all accounts and decides. Time comes in as [`Moment`], and never
//! goes back.

pub mod account;
pub mod deed;
pub mod ledger;
pub mod mark;
pub mod rules;
pub mod verdict;
pub mod window;

pub use self::account::Account;
pub use self::deed::Deed;
pub use self::ledger::{Ledger, Spent};
pub use self::mark::{Mark, MarkedBy};
pub use self::rules::{Action, Bound, Budget, Counted, Per, Span, Whom, budget_of};
pub use self::verdict::{AccountRefusal, Exceeded};

#[cfg(test)]
mod tests;

/// A moment, in seconds of a clock of the caller's that continues across restarts. Only differences matter.
pub type Moment = u64;
