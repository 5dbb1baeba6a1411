//! One login's token: one fetch for all callers, renewal before it expires, waits after failures.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postern_events::{notice, shown};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::request::{AcquireError, Fetched, fetch};
use super::settings::{Grant, TokenSettings};
use super::store::{Stamp, Stored, TokenStore, TokenStoreError};
use crate::clock::unix_now;
use crate::http::HttpClient;

/// A token is renewed when a fifth of its lifetime is left, but at most this many seconds before it expires.
const RENEW_MAX: u64 = 300;

/// A token is not used in the last seconds before it expires: it has to last for a login.
const LAST_SECONDS: u64 = 5;

/// The first wait after a failure; it doubles with each further one.
const WAIT_FIRST: Duration = Duration::from_secs(2);

/// The longest wait after failures.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// The wait after a failure that only a person can resolve. Not infinite, since a provider's error may be temporary.
const WAIT_LASTING: Duration = Duration::from_secs(3_600);

/// A host's refusal causes at most one renewal in this time.
const FORCED_EVERY: Duration = Duration::from_secs(60);

/// The token of one login, shared by all deliveries.
pub struct TokenSource {
    settings: TokenSettings,
    http: HttpClient,
    store: TokenStore,
    shown: Mutex<Shown>,
    /// Held while a token is fetched: other callers wait for it.
    fetching: AsyncMutex<Fetching>,
}

/// What can be read without waiting.
#[derive(Default)]
struct Shown {
    token: Option<Token>,
    problem: Option<String>,
    forced: Option<Instant>,
    /// The next caller need not wait for the end of a pause.
    retry: bool,
}

#[derive(Clone)]
struct Token {
    secret: SecretString,
    /// Seconds since 1970.
    expires_at: u64,
    renew_at: u64,
}

#[derive(Default)]
struct Fetching {
    loaded: bool,
    refresh_token: Option<SecretString>,
    /// The digest of the configured refresh token from which this one descends.
    configured: Option<String>,
    /// The state of the file that the refresh token was read from.
    stamp: Stamp,
    failures: u32,
    not_before: Option<Instant>,
    failure: Option<AcquireError>,
}

/// The state of a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenStanding {
    /// When it expires, in seconds since 1970; `None` while there is none.
    pub expires_at: Option<u64>,
    /// Why there is none, or why it could not be renewed.
    pub problem: Option<String>,
}

impl TokenSource {
    /// Fetches nothing yet.
    ///
    /// # Errors
    ///
    /// If the authorities to verify the provider cannot be read.
    pub fn new(settings: TokenSettings, store: TokenStore) -> Result<Self, AcquireError> {
        Ok(Self {
            http: HttpClient::new(&settings.http)?,
            settings,
            store,
            shown: Mutex::default(),
            fetching: AsyncMutex::default(),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn settings(&self) -> &TokenSettings {
        &self.settings
    }

    /// A token that is still valid for a while; fetched if there is none.
    ///
    /// # Errors
    ///
    /// Why there is none. After a failure, the provider is not asked for a while, and the same error is returned at once.
    pub async fn token(self: &Arc<Self>) -> Result<SecretString, AcquireError> {
        if let Some(token) = self.current(|token, now| now < token.renew_at) {
            return Ok(token);
        }
        // In a task of its own: the caller may give up, and a refresh token that the provider has replaced by then must not
        // be lost.
        let source = Arc::clone(self);
        match tokio::spawn(async move { source.fetched().await }).await {
            Ok(fetched) => fetched,
            Err(error) => Err(AcquireError::Store(error.to_string())),
        }
    }

    /// Resolves when no fetch is in progress: awaited before the process ends, so that what the provider returns is stored.
    pub async fn settled(&self) {
        drop(self.fetching.lock().await);
    }

    async fn fetched(&self) -> Result<SecretString, AcquireError> {
        let mut fetching = self.fetching.lock().await;
        // Somebody else may have fetched it meanwhile.
        if let Some(token) = self.current(|token, now| now < token.renew_at) {
            return Ok(token);
        }
        let renewed = self.renew(&mut fetching).await;
        match renewed {
            Ok(token) => Ok(token),
            // The old one can be used until it expires.
            Err(error) => {
                let lasts = self.current(|token, now| now + LAST_SECONDS < token.expires_at);
                lasts.ok_or(error)
            }
        }
    }

    /// Renews the token if it is time. For a timer, so that nobody has to wait for it.
    pub async fn keep(self: &Arc<Self>) {
        let fresh = self.current(|token, now| now < token.renew_at).is_some();
        if !fresh {
            // The failure is logged and shown.
            let _ = self.token().await;
        }
    }

    /// A host has refused this token. Returns whether the next [`TokenSource::token`] gives another one.
    pub fn refused(&self, refused: &SecretString) -> bool {
        let mut shown = self.shown.lock();
        let is_current = shown
            .token
            .as_ref()
            .is_some_and(|token| token.secret.expose_secret() == refused.expose_secret());
        if !is_current {
            // It has already been renewed, or is about to be: another worker was refused first.
            return shown.token.is_some() || shown.forced.is_some_and(|at| at.elapsed() < FORCED_EVERY);
        }
        if shown.forced.is_some_and(|at| at.elapsed() < FORCED_EVERY) {
            return false;
        }
        shown.forced = Some(Instant::now());
        shown.token = None;
        true
    }

    /// The next caller does not get an earlier failure: its cause may have been fixed.
    pub fn retry(&self) {
        self.shown.lock().retry = true;
    }

    /// The state of the token.
    #[must_use]
    pub fn standing(&self) -> TokenStanding {
        let shown = self.shown.lock();
        TokenStanding {
            expires_at: shown.token.as_ref().map(|token| token.expires_at),
            problem: shown.problem.clone(),
        }
    }

    fn current(&self, good: impl Fn(&Token, u64) -> bool) -> Option<SecretString> {
        let now = unix_now();
        let shown = self.shown.lock();
        shown
            .token
            .as_ref()
            .filter(|token| good(token, now))
            .map(|token| token.secret.clone())
    }

    async fn renew(&self, fetching: &mut Fetching) -> Result<SecretString, AcquireError> {
        self.read_store(fetching).await;
        if let Some(token) = self.current(|token, now| now < token.renew_at) {
            return Ok(token);
        }
        if std::mem::take(&mut self.shown.lock().retry) {
            fetching.forget_failures();
        }
        if let Some(failure) = &fetching.failure
            && fetching.not_before.is_some_and(|at| Instant::now() < at)
        {
            return Err(failure.clone());
        }
        let result = self.fetch(fetching).await;
        match &result {
            Ok(_) => fetching.forget_failures(),
            Err(error) => {
                fetching.failures = fetching.failures.saturating_add(1);
                fetching.not_before = Some(Instant::now() + wait_after(error, fetching.failures));
                self.report(error);
                fetching.failure = Some(error.clone());
            }
        }
        result
    }

    async fn fetch(&self, fetching: &mut Fetching) -> Result<SecretString, AcquireError> {
        let refresh = match self.settings.grant {
            Grant::ClientCredentials => None,
            Grant::RefreshToken => {
                let token = fetching.refresh_token.clone();
                Some(token.ok_or_else(|| {
                    let text = "not authorized yet, so there is no refresh token".to_owned();
                    AcquireError::NotAuthorized(text, self.settings.login.clone())
                })?)
            }
        };
        let fetched = fetch(&self.http, &self.settings, refresh.as_ref()).await?;
        let replaced = fetched.refresh_token.is_some();
        let (token, mut stored) = take(fetched, refresh, &self.settings);
        stored.configured.clone_from(&fetching.configured);
        fetching.refresh_token.clone_from(&stored.refresh_token);
        let (kept, stamp) = self
            .with_store(move |store, login| (store.save(login, &stored), store.stamp(login)))
            .await;
        fetching.stamp = stamp;
        let secret = token.secret.clone();
        let expires_at = token.expires_at;
        {
            let mut shown = self.shown.lock();
            shown.token = Some(token);
            shown.problem = kept.as_ref().err().map(ToString::to_string);
        }
        if let Err(error) = kept {
            // The token itself is valid, but a refresh token that is not on disk is lost with the process.
            notice!(
                self.store.observers(),
                Login Error "token not kept",
                Login = self.settings.login,
                Replaced = replaced,
                Error = shown(&error),
            );
        }
        notice!(
            self.store.observers(),
            Login Info "token fetched",
            Login = self.settings.login,
            ExpiresInS = expires_at.saturating_sub(unix_now()),
        );
        Ok(secret)
    }

    /// Reads what is on disk: at the first call, and when another process has authorized the login again.
    async fn read_store(&self, fetching: &mut Fetching) {
        let (known, at_start) = (fetching.stamp, !fetching.loaded);
        let read = move |store: &TokenStore, login: &str| {
            let stamp = store.stamp(login);
            let changed = at_start || stamp != known;
            (changed.then(|| store.load(login)).transpose(), stamp)
        };
        let (found, stamp) = self.with_store(read).await;
        let found = match found {
            Ok(None) => return,
            Ok(Some(found)) => found,
            Err(error) => {
                notice!(
                    self.store.observers(),
                    Login Error "token not read",
                    Login = self.settings.login,
                    Error = shown(&error),
                );
                self.shown.lock().problem = Some(error.to_string());
                None
            }
        };
        fetching.stamp = stamp;
        fetching.loaded = true;
        fetching.forget_failures();
        let configured = self.settings.configured();
        let counts = |stored: &Stored| {
            // A token in the configuration that was not there when this was stored is newer, unless another process stored it
            // while this one ran.
            let newer = at_start && configured.is_some() && stored.configured != configured;
            stored.identity == self.settings.identity() && !newer
        };
        let Some(stored) = found.filter(counts) else {
            fetching.refresh_token = self.settings.refresh_token.clone();
            fetching.configured = configured;
            return;
        };
        fetching.refresh_token = stored
            .refresh_token
            .or_else(|| self.settings.refresh_token.clone());
        fetching.configured = stored.configured;
        if let Some((secret, expires_at)) = stored.access {
            let left = expires_at.saturating_sub(unix_now());
            let forced = self.shown.lock().forced.is_some();
            if left > LAST_SECONDS && !forced {
                self.shown.lock().token = Some(Token::new(secret, expires_at, left));
            }
        }
    }

    /// Accesses the disk on a thread that may block.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TokenStore, &str) -> (Result<T, TokenStoreError>, Stamp) + Send + 'static,
    ) -> (Result<T, TokenStoreError>, Stamp) {
        let (store, login) = (self.store.clone(), self.settings.login.clone());
        match tokio::task::spawn_blocking(move || work(&store, &login)).await {
            Ok(done) => done,
            Err(error) => (Err(TokenStoreError::Interrupted(error.to_string())), None),
        }
    }

    /// Once for each change.
    fn report(&self, error: &AcquireError) {
        let text = error.to_string();
        let mut state = self.shown.lock();
        if state.problem.as_ref() == Some(&text) {
            return;
        }
        state.problem = Some(text);
        drop(state);
        let (login, observers) = (&self.settings.login, self.store.observers());
        match error {
            AcquireError::Http { .. } | AcquireError::Discovery(_) => {
                notice!(observers, Login Warning "token not fetched, tried again", Login = login, Error = shown(error));
            }
            _ => notice!(observers, Login Error "token not fetched", Login = login, Error = shown(error)),
        }
    }
}

impl Fetching {
    fn forget_failures(&mut self) {
        self.failure = None;
        self.failures = 0;
        self.not_before = None;
    }
}

impl Token {
    fn new(secret: SecretString, expires_at: u64, lifetime: u64) -> Self {
        Self {
            secret,
            expires_at,
            renew_at: expires_at.saturating_sub((lifetime / 5).min(RENEW_MAX)),
        }
    }
}

/// The token, and what to store of it.
fn take(fetched: Fetched, refresh: Option<SecretString>, settings: &TokenSettings) -> (Token, Stored) {
    let expires_at = unix_now() + fetched.lifetime;
    let stored = Stored {
        identity: settings.identity(),
        refresh_token: fetched.refresh_token.or(refresh),
        configured: settings.configured(),
        access: Some((fetched.access_token.clone(), expires_at)),
    };
    (
        Token::new(fetched.access_token, expires_at, fetched.lifetime),
        stored,
    )
}

impl TokenStore {
    /// Stores what a person has authorized, for the server to find.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Store`], and [`AcquireError::Nonsense`] if the provider returned no refresh token.
    pub fn authorized(&self, settings: &TokenSettings, fetched: Fetched) -> Result<(), AcquireError> {
        if fetched.refresh_token.is_none() {
            return Err(AcquireError::Nonsense(
                "it comes without a refresh token: ask for one in `scope` (usually `offline_access`)",
            ));
        }
        let (_, stored) = take(fetched, None, settings);
        self.save(&settings.login, &stored)
            .map_err(|error| AcquireError::Store(error.to_string()))
    }
}

fn wait_after(error: &AcquireError, failures: u32) -> Duration {
    if error.is_lasting() {
        return WAIT_LASTING;
    }
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    WAIT_FIRST.saturating_mul(doubled).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        for (failures, seconds) in [(1, 2), (2, 4), (5, 32), (9, 300), (40, 300), (u32::MAX, 300)] {
            let error = AcquireError::Refused("invalid_client".into());
            assert_eq!(
                wait_after(&error, failures),
                Duration::from_secs(seconds),
                "{failures}"
            );
        }
        let lasting = AcquireError::NotAuthorized("revoked".into(), "isp".into());
        assert_eq!(wait_after(&lasting, 1), WAIT_LASTING);
    }

    #[test]
    fn renewal_comes_before_the_end() {
        for (lifetime, ahead) in [(3_600, 300), (300, 60), (10, 2), (1, 0)] {
            let token = Token::new("x".into(), 10_000, lifetime);
            assert_eq!(token.expires_at - token.renew_at, ahead, "{lifetime}");
        }
    }
}
