//! Which sender addresses a login may use.

use postern_mail::{ReversePath, Status};
use serde::Deserialize;

/// The rule for senders of a login.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderRule {
    /// Any address, as in the seed procedure.
    #[default]
    Any,
    /// Only addresses that the login owns.
    Own,
}

/// Who has logged in.
#[derive(Clone, Copy, Debug)]
pub struct LoginIdentity<'a> {
    /// The canonical login. Where it is an address itself, the login owns that address.
    pub name: &'a str,
    /// The addresses that the directory gives the login.
    pub addresses: &'a [String],
}

/// Whether a sender may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SenderVerdict {
    /// It may.
    Allowed,
    /// It may not: rule `sender.own`, `553 5.7.1`.
    NotOwned,
}

impl SenderVerdict {
    /// The name of the rule that decided.
    #[must_use]
    pub fn rule(self) -> &'static str {
        todo!()
    }

    /// The reply of a refusal; `None` if allowed.
    #[must_use]
    pub fn reply(self) -> Option<(u16, Status, &'static str)> {
        todo!()
    }
}

/// Decides whether `login` may send as `sender`.
///
/// `<>` is always allowed: a user's program answers with it to requests for receipts (RFC 8098 section 3).
#[must_use]
pub fn sender(rule: SenderRule, login: &LoginIdentity<'_>, sender: &ReversePath) -> SenderVerdict {
    todo!("{rule:?} {login:?} {sender}")
}
