//! Where OAuth tokens come from, as delivery sees it.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

/// Gives the tokens of logins. They are fetched and kept elsewhere, once for all connections.
pub trait Tokens: Send + Sync {
    /// A token for the login of this name that is good for a while yet.
    fn token<'a>(
        &'a self,
        login: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<SecretString, TokenError>> + Send + 'a>>;

    /// A host has refused this token. Whether another one is worth a try: then the next [`Tokens::token`] gives it.
    fn refused(&self, login: &str, token: &SecretString) -> bool;

    /// How the token of a login stands; `None` when it has none.
    fn state(&self, login: &str) -> Option<TokenState>;
}

/// There is no token now. The text says why and what helps.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(pub String);

/// The state of a login's token.
#[derive(Clone, Debug, Serialize)]
pub struct TokenState {
    /// When it runs out; it is renewed before. None while there is no token.
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
        Box::pin(async move { Err(TokenError(format!("nobody gives tokens for the login {login:?}"))) })
    }

    fn refused(&self, _login: &str, _token: &SecretString) -> bool {
        false
    }

    fn state(&self, _login: &str) -> Option<TokenState> {
        None
    }
}
