//! Aliases by address and domain: the keys under which an address is looked up, and the meaning of right sides.
//!
//! Postfix calls them virtual aliases, sendmail its virtusertable. They apply to whole addresses, in any domain for which mail is
//! accepted, and come before the aliases file, which applies to local parts. Nothing is looked up here: [`keys`] says what to ask
//! for and in which order, [`goals`] what an answer means.

mod goal;
mod key;
mod refusal;

use serde::Deserialize;

pub use self::goal::{BadGoal, Goal, goals};
pub use self::key::{Key, Rank, keys};
pub use self::refusal::{BadRefusal, RefusalText};

/// The format of a table's entries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As in `[[alias]]`: the keys of both, `%1`, and an unmatched detail is passed on.
    #[default]
    Own,
    /// As in Postfix's virtual(5).
    Postfix,
    /// As in sendmail's virtusertable.
    Sendmail,
}

impl Form {
    /// Whether `%1`, `%2` and `%3` on the right side stand for parts of the address.
    #[must_use]
    pub const fn substitutes(self) -> bool {
        !matches!(self, Self::Postfix)
    }

    /// Whether a detail that the left side does not have is passed on to the right side by default: Postfix's
    /// `propagate_unmatched_extensions` includes `virtual`, sendmail drops it unless there is a `%2`.
    #[must_use]
    pub const fn keeps_detail(self) -> bool {
        !matches!(self, Self::Sendmail)
    }
}
