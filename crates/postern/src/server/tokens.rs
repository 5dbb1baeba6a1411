//! Token sources for logins at smarthosts: created from the configuration, kept across reloads, renewed by a timer.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use postern_deliver::{TokenError, TokenState, Tokens};
use postern_events::Observers;
use postern_oauth::acquire::{TokenSettings, TokenSource, TokenStore};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

/// How often to check whether a token must be renewed.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// All sources, by the login's name.
pub(super) type Sources = HashMap<String, Arc<TokenSource>>;

/// The sources of the current configuration.
pub(super) struct TokenSources {
    store: TokenStore,
    current: ArcSwap<Sources>,
}

impl TokenSources {
    /// Without any source.
    pub(super) fn new(state_dir: &Path, observers: &Observers) -> Arc<Self> {
        Arc::new(Self {
            store: TokenStore::new(state_dir).with_observers(observers.clone()),
            current: ArcSwap::default(),
        })
    }

    /// Sources for these settings; those whose settings have not changed stay, with their tokens.
    ///
    /// # Errors
    ///
    /// What cannot be used, as text.
    pub(super) fn prepare(&self, settings: Vec<TokenSettings>) -> Result<Sources, String> {
        let before = self.current.load();
        let make = |settings: TokenSettings| {
            let name = settings.login.clone();
            let same = before
                .get(&name)
                .filter(|source| source.settings().fetches_the_same(&settings));
            if let Some(source) = same {
                return Ok((name, Arc::clone(source)));
            }
            match TokenSource::new(settings, self.store.clone()) {
                Ok(source) => Ok((name, Arc::new(source))),
                Err(error) => Err(format!("the tokens of the login {name:?}: {error}")),
            }
        };
        settings.into_iter().map(make).collect()
    }

    /// Switches to these.
    pub(super) fn take(&self, sources: Sources) {
        // What failed may have been fixed before the reload.
        for source in sources.values() {
            source.retry();
        }
        self.current.store(Arc::new(sources));
    }

    /// Renews tokens before they expire, until `stop`; at start, fetches missing ones, so that problems show before mail waits
    /// for them.
    pub(super) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let sources = self.current.load_full();
            let keep = sources.values().map(|source| {
                let source = Arc::clone(source);
                tokio::spawn(async move { source.keep().await })
            });
            for kept in keep.collect::<Vec<_>>() {
                let _ = kept.await;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// The expiry of existing tokens, by the login's name.
    pub(super) fn ends(&self) -> Vec<(String, u64)> {
        let sources = self.current.load();
        let ends = sources
            .iter()
            .filter_map(|(name, source)| Some((name.clone(), source.standing().expires_at?)));
        ends.collect()
    }

    /// Resolves when no fetch is in progress.
    pub(super) async fn settled(&self) {
        for source in self.current.load_full().values() {
            source.settled().await;
        }
    }

    fn source(&self, login: &str) -> Option<Arc<TokenSource>> {
        self.current.load().get(login).cloned()
    }
}

impl Tokens for TokenSources {
    fn token<'a>(
        &'a self,
        login: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<SecretString, TokenError>> + Send + 'a>> {
        Box::pin(async move {
            let Some(source) = self.source(login) else {
                return Err(TokenError(
                    "the configuration names no provider for it any more".into(),
                ));
            };
            source
                .token()
                .await
                .map_err(|error| TokenError(error.to_string()))
        })
    }

    fn refused(&self, login: &str, token: &SecretString) -> bool {
        self.source(login).is_some_and(|source| source.refused(token))
    }

    fn state(&self, login: &str) -> Option<TokenState> {
        let standing = self.source(login)?.standing();
        let time = |seconds: u64| Timestamp::from_second(i64::try_from(seconds).ok()?).ok();
        Some(TokenState {
            expires_at: standing.expires_at.and_then(time),
            problem: standing.problem,
        })
    }
}
