//! What the connections of a provider share.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::grants::Grants;
use super::keys::SigningKey;

/// The client accepted for introspection and at the token endpoint.
pub const CLIENT_ID: &str = "postern-test";

/// Its secret, with characters that must be escaped.
pub const CLIENT_SECRET: &str = "s3cret: with %+& in it";

/// The audience of tokens unless a test says otherwise.
pub const AUDIENCE: &str = "https://mail.relay.test";

/// The owner of tokens unless a test says otherwise.
pub const OWNER: &str = "tester@relay.test";

/// What connections share.
pub(super) struct Shared {
    pub(super) issuer: String,
    pub(super) tls: Arc<rustls::ServerConfig>,
    pub(super) state: Mutex<State>,
    pub(super) stop: AtomicBool,
}

/// What changes while it runs.
pub(super) struct State {
    /// The signing key comes last.
    pub(super) keys: Vec<SigningKey>,
    /// Opaque tokens that are active, with their claims.
    pub(super) opaque: HashMap<String, Map<String, Value>>,
    pub(super) grants: Grants,
    /// Requests by path.
    pub(super) requests: HashMap<String, usize>,
    /// The status that every request gets, if the test breaks the provider.
    pub(super) broken: Option<u16>,
    /// Lifetime of tokens from the token endpoint, in seconds.
    pub(super) lifetime: u64,
    pub(super) next: u64,
    /// How many keys there have been.
    pub(super) generation: u64,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims of a token that is valid for five minutes.
    pub(super) fn claims(&self, lifetime: u64) -> Map<String, Value> {
        let now = unix_now();
        let claims = json!({
            "iss": self.issuer, "sub": "f3b1-0001", "aud": AUDIENCE, "azp": CLIENT_ID, "scope": "openid smtp",
            "iat": now, "exp": now + lifetime, "email": OWNER, "email_verified": true,
        });
        claims.as_object().cloned().unwrap_or_default()
    }
}

/// Seconds since 1970.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
