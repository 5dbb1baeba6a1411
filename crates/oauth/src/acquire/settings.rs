//! What a login's tokens are fetched with.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::http::{Endpoint, HttpSettings};

/// How tokens are come by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grant {
    /// The client itself is the account (RFC 6749 section 4.4).
    ClientCredentials,
    /// Somebody has agreed once, and left a refresh token (RFC 6749 section 6).
    RefreshToken,
}

/// Where the client's secret stands in a request (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClientAuthentication {
    /// In the header `Authorization`.
    #[default]
    Basic,
    /// In the form.
    Post,
}

/// What a login's tokens are fetched with.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The login's name in the configuration.
    pub login: String,
    /// How tokens are come by.
    pub grant: Grant,
    /// The provider, which describes itself; needed where an address is missing.
    pub issuer: Option<String>,
    /// Where tokens are fetched; by default where the issuer says.
    pub token_endpoint: Option<Endpoint>,
    /// Where a device begins; by default where the issuer says.
    pub device_endpoint: Option<Endpoint>,
    /// The client, as it is registered at the provider.
    pub client_id: String,
    /// Its secret; public clients have none.
    pub client_secret: Option<SecretString>,
    /// Where the secret stands.
    pub client_authentication: ClientAuthentication,
    /// What the token is to be good for.
    pub scope: Option<String>,
    /// Whom the token is for, where the provider asks (`audience`).
    pub audience: Option<String>,
    /// The first refresh token, where it was come by elsewhere.
    pub refresh_token: Option<SecretString>,
    /// How the provider is reached.
    pub http: HttpSettings,
}

impl TokenSettings {
    /// Whether tokens fetched with `other` are good here too: the same client at the same place for the same purpose.
    #[must_use]
    pub fn fetches_the_same(&self, other: &Self) -> bool {
        self.identity() == other.identity()
            && secret(self.client_secret.as_ref()) == secret(other.client_secret.as_ref())
            && secret(self.refresh_token.as_ref()) == secret(other.refresh_token.as_ref())
            && self.client_authentication == other.client_authentication
            && self.http == other.http
    }

    /// The digest of the configured refresh token, which tells a new one from the one of before.
    pub(crate) fn configured(&self) -> Option<String> {
        let token = self.refresh_token.as_ref()?;
        Some(format!("{:x}", Sha256::digest(token.expose_secret())))
    }

    /// What a stored token belongs to: after a change of it, the token is another's.
    pub(crate) fn identity(&self) -> String {
        let endpoint = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(ToString::to_string);
        format!(
            "{:?}",
            (
                self.grant,
                &self.issuer,
                endpoint(&self.token_endpoint),
                &self.client_id,
                &self.scope,
                &self.audience,
            )
        )
    }
}

fn secret(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret)
}
