//! Aliases by address and domain: under which keys an address is looked for, and what a right side means.
//!
//! Postfix calls them virtual aliases, sendmail its virtusertable. They hold for whole addresses, in any domain that mail is taken
//! for, and go before the aliases file, which holds for local parts. Nothing here looks anything up: [`keys`] says what to ask for
//! and in which order, [`goals`] what an answer means.

mod goal;
mod key;
mod refusal;

use serde::Deserialize;

pub use self::goal::{BadGoal, Goal, goals};
pub use self::key::{Key, Rank, keys};
pub use self::refusal::{BadRefusal, RefusalText};

/// How the entries of a table are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As in `[[alias]]`: the keys of both, `%1`, and a detail that was not asked for goes along.
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

    /// Whether a detail that the left side does not have goes along to the right side, unless said otherwise: Postfix's
    /// `propagate_unmatched_extensions` has `virtual` in it, sendmail drops what no `%2` asks for.
    #[must_use]
    pub const fn keeps_detail(self) -> bool {
        !matches!(self, Self::Sendmail)
    }
}
