//! The owner of a token.

use super::settings::AccountRule;

/// The owner of a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The login, as the provider names it.
    pub login: String,
    /// The provider's issuer.
    pub issuer: String,
    /// Whether a directory must know the login.
    pub account: AccountRule,
    /// When the token expires, in seconds since 1970; `None` if its provider does not say.
    pub ends: Option<u64>,
}
