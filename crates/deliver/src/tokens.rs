//! Where OAuth tokens come from, as delivery sees it.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

/// Provides the tokens of logins. They are fetched and kept elsewhere, once for all connections.
pub trait Tokens: Send + Sync {
    /// A token for the login with this name that is still valid for a while.
    fn token<'a>(
        &'a self,
        login: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<SecretString, TokenError>> + Send + 'a>>;

    /// A host has refused this token. Returns whether to try another one: then the next [`Tokens::token`] returns it.
    fn refused(&self, login: &str, token: &SecretString) -> bool;

    /// The state of a login's token; `None` if it has none.
    fn state(&self, login: &str) -> Option<TokenState>;
}

/// There is no token now. The text says why and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(pub String);

/// The state of a login's token.
#[derive(Clone, Debug, Serialize)]
pub struct TokenState {
    /// When it expires; it is renewed before. `None` while there is no token.
    pub expires_at: Option<Timestamp>,
    /// Why there is none, or why it could not be renewed.
    pub problem: Option<String>,
}

/// For setups without OAuth.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTokens;

impl Tokens for NoTokens {
    fn token<'a>(
        &'a self,
        login: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<SecretString, TokenError>> + Send + 'a>> {
        Box::pin(async move {
            Err(TokenError(format!(
                "no provider of tokens for the login {login:?}"
            )))
        })
    }

    fn refused(&self, _login: &str, _token: &SecretString) -> bool {
        false
    }

    fn state(&self, _login: &str) -> Option<TokenState> {
        None
    }
}
