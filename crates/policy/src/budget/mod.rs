//! Budgets: how much a login, a network or a sender domain may send in a minute, an hour and a day, and what is done beyond it. A
//! stolen password sends until its budget stops it.
//!
//! [`rules`] says what an administrator has written, [`window`] counts in sliding windows, [`account`] is what is known of one login,
//! network or domain, [`deed`] is what counts, [`ledger`] has all of them and decides. The time comes in as [`Moment`], and never goes back.

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

/// A moment, in seconds of a clock of the caller's that goes on over restarts. Only differences count.
pub type Moment = u64;
