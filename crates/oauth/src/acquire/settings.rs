//! The settings with which a login's tokens are fetched.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::http::{Endpoint, HttpSettings};

/// How tokens are obtained.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grant {
    /// The client itself is the account (RFC 6749 section 4.4).
    ClientCredentials,
    /// Somebody has consented once, which yielded a refresh token (RFC 6749 section 6).
    RefreshToken,
}

/// Where the client's secret is sent in a request (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClientAuthentication {
    /// In the header `Authorization`.
    #[default]
    Basic,
    /// In the form.
    Post,
}

/// The settings with which a login's tokens are fetched.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The login's name in the configuration.
    pub login: String,
    /// How tokens are obtained.
    pub grant: Grant,
    /// The provider, which publishes a description; needed if an address is missing.
    pub issuer: Option<String>,
    /// Where tokens are fetched; by default from the issuer's description.
    pub token_endpoint: Option<Endpoint>,
    /// Where a device authorization starts; by default from the issuer's description.
    pub device_endpoint: Option<Endpoint>,
    /// The client, as it is registered at the provider.
    pub client_id: String,
    /// Its secret; public clients have none.
    pub client_secret: Option<SecretString>,
    /// Where the secret is sent.
    pub client_authentication: ClientAuthentication,
    /// The scope to request.
    pub scope: Option<String>,
    /// The audience of the token, if the provider asks for it (`audience`).
    pub audience: Option<String>,
    /// The first refresh token, if it was obtained elsewhere.
    pub refresh_token: Option<SecretString>,
    /// How the provider is reached.
    pub http: HttpSettings,
}

impl TokenSettings {
    /// Whether tokens fetched with `other` are also valid here: the same client at the same place for the same
    /// purpose.
    #[must_use]
    pub fn fetches_the_same(&self, other: &Self) -> bool {
        self.identity() == other.identity()
            && secret(self.client_secret.as_ref()) == secret(other.client_secret.as_ref())
            && secret(self.refresh_token.as_ref()) == secret(other.refresh_token.as_ref())
            && self.client_authentication == other.client_authentication
            && self.http == other.http
    }

    /// The digest of the configured refresh token, which distinguishes a new one from the previous one.
    pub(crate) fn configured(&self) -> Option<String> {
        let token = self.refresh_token.as_ref()?;
        Some(format!("{:x}", Sha256::digest(token.expose_secret())))
    }

    /// What a stored token belongs to: if this changes, the token no longer applies.
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
