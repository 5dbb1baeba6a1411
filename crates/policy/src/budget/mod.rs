//! Budgets: how much a user, a network or a sender domain may send in a minute, an hour and a day, and what is done beyond that.
//! An account with a stolen password can send until its budget stops it.
//!
//! [`rules`] says what an administrator has written, [`window`] counts in sliding windows, [`usual`] learns what is usual, [`account`] is what is known of one login,
//! network or domain, [`deed`] is what counts, [`ledger`] has all of them and decides, [`trial`] says what it would have decided. The time comes in as [`Moment`], and never goes back.

pub mod account;
pub mod deed;
pub mod ledger;
pub mod mark;
pub mod recipients;
pub mod rules;
pub mod trial;
pub mod usual;
pub mod verdict;
pub mod window;

pub use self::account::Account;
pub use self::deed::Deed;
pub use self::ledger::{Ledger, Spent, Terms};
pub use self::mark::{Mark, MarkedBy};
pub use self::recipients::RecipientKey;
pub use self::rules::{Action, Bound, Budget, Counted, Multiple, Per, Span, Whom, budget_of};
pub use self::trial::{Caught, Trial};
pub use self::usual::Usual;
pub use self::verdict::{AccountRefusal, Exceeded};

#[cfg(test)]
mod tests;

/// A moment, in seconds of a clock of the caller's that continues across restarts. Only differences matter.
pub type Moment = u64;
