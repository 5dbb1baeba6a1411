//! A provider's cached keys: fetched in the background, fetched again for an unknown key, kept for a while when the provider is
//! down.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::jwks::KeySet;
use super::outage::{Outage, Watch};
use super::settings::{KeySource, KeyTimes};
use crate::discovery::discover;
use crate::http::{ANSWER_MAX, Endpoint, HttpClient};

/// The keys of one provider.
pub(super) struct Keys {
    source: KeySource,
    issuer: String,
    discovery: Option<Endpoint>,
    http: HttpClient,
    times: KeyTimes,
    state: Mutex<State>,
    /// Held during a fetch; other callers wait for its result.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

/// The cached keys, and when they were last asked for.
#[derive(Default)]
struct State {
    set: Option<Arc<KeySet>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    /// Why the last attempt failed.
    error: Option<String>,
}

impl State {
    /// The keys, unless they are too old.
    fn usable(&self, times: &KeyTimes, now: Instant) -> Option<Arc<KeySet>> {
        let age = now.saturating_duration_since(self.fetched?);
        self.set.clone().filter(|_| age <= times.keep)
    }

    /// Whether a caller that needs other keys may trigger a fetch.
    fn may_fetch(&self, times: &KeyTimes, now: Instant) -> bool {
        self.tried
            .is_none_or(|tried| now.saturating_duration_since(tried) >= times.pause)
    }

    /// How long until the next fetch in the background.
    fn due_in(&self, times: &KeyTimes, now: Instant) -> Duration {
        let (last, wait) = match (self.tried, &self.error) {
            (None, _) => return Duration::ZERO,
            (Some(tried), Some(_)) => (tried, times.pause.min(times.refresh)),
            (Some(tried), None) => (tried, times.refresh),
        };
        wait.saturating_sub(now.saturating_duration_since(last))
    }
}

impl Keys {
    pub(super) fn new(
        source: KeySource,
        issuer: &str,
        discovery: Option<Endpoint>,
        http: HttpClient,
        times: KeyTimes,
    ) -> Self {
        Self {
            source,
            issuer: issuer.to_owned(),
            discovery,
            http,
            times,
            state: Mutex::default(),
            fetching: Arc::default(),
        }
    }

    /// The cached keys; fetched now if none of them can be used.
    pub(super) async fn current(self: &Arc<Self>, watch: &Arc<Watch>) -> Result<Arc<KeySet>, Outage> {
        let usable = self.state.lock().usable(&self.times, Instant::now());
        if let Some(set) = usable {
            return Ok(set);
        }
        self.fetch_if(watch, |state, now| {
            state.usable(&self.times, now).is_none() && state.may_fetch(&self.times, now)
        })
        .await;
        let state = self.state.lock();
        state.usable(&self.times, Instant::now()).ok_or_else(|| {
            let reason = state.error.as_deref().unwrap_or("no keys yet");
            Outage::new(format!("no keys: {reason}"))
        })
    }

    /// Keys newer than these, if there are any: for a token whose key is not among these.
    ///
    /// However many such tokens arrive, the provider is asked at most once in [`KeyTimes::pause`].
    pub(super) async fn after(
        self: &Arc<Self>,
        seen: &Arc<KeySet>,
        watch: &Arc<Watch>,
    ) -> Result<Option<Arc<KeySet>>, Outage> {
        let is_seen = |state: &State| state.set.as_ref().is_some_and(|set| Arc::ptr_eq(set, seen));
        self.fetch_if(watch, |state, now| {
            is_seen(state) && state.may_fetch(&self.times, now)
        })
        .await;
        let state = self.state.lock();
        match (&state.error, &state.set) {
            (_, Some(set)) if !Arc::ptr_eq(set, seen) => Ok(Some(Arc::clone(set))),
            (Some(reason), _) => Err(Outage::new(format!(
                "an unknown key, and no newer keys: {reason}"
            ))),
            (None, _) => Ok(None),
        }
    }

    /// Fetches when due; returns the time until the next fetch.
    pub(super) async fn keep_fresh(self: &Arc<Self>, watch: &Arc<Watch>) -> Duration {
        self.fetch_if(watch, |state, now| state.due_in(&self.times, now).is_zero())
            .await;
        self.state.lock().due_in(&self.times, Instant::now())
    }

    /// Fetches when it is `due`. Dropping the caller, because its client has gone, does not cancel the fetch: otherwise a client
    /// could repeatedly keep all others without keys.
    async fn fetch_if(self: &Arc<Self>, watch: &Arc<Watch>, due: impl Fn(&State, Instant) -> bool) {
        let one = Arc::clone(&self.fetching).lock_owned().await;
        {
            let mut state = self.state.lock();
            let now = Instant::now();
            if !due(&state, now) {
                return;
            }
            // Set before the answer, so that nobody gets another try sooner.
            state.tried = Some(now);
            state
                .error
                .get_or_insert_with(|| "the provider has not answered yet".into());
        }
        let (this, watch) = (Arc::clone(self), Arc::clone(watch));
        let task = tokio::spawn(async move {
            let _one = one;
            this.fetch_and_keep(&watch).await;
        });
        // It ends by itself, by the provider's `timeout` at the latest.
        let _ = task.await;
    }

    async fn fetch_and_keep(&self, watch: &Watch) {
        let fetched = self.fetch().await;
        watch.note(fetched.as_ref().err().map(String::as_str));
        let mut state = self.state.lock();
        match fetched {
            Ok(set) => {
                watch.keys(state.set.as_deref(), &set);
                state.fetched = state.tried;
                state.error = None;
                state.set = Some(Arc::new(set));
            }
            Err(reason) => state.error = Some(reason),
        }
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let endpoint = match &self.source {
            KeySource::File(path) => {
                let octets = read_bounded(path).await;
                let octets = octets.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                return KeySet::parse(&octets).map_err(|error| format!("{}: {error}", path.display()));
            }
            KeySource::Url(endpoint) => endpoint.clone(),
            KeySource::Discovery => {
                let found = discover(&self.http, &self.issuer, self.discovery.as_ref()).await;
                let address = found.map_err(|error| error.to_string())?.jwks_uri;
                let address = address.ok_or("the provider's description has no `jwks_uri`")?;
                Endpoint::parse(&address).map_err(|error| format!("`jwks_uri` {address:?}: {error}"))?
            }
        };
        let answer = self
            .http
            .get(&endpoint)
            .await
            .map_err(|error| format!("{endpoint}: {error}"))?;
        if answer.status != 200 {
            return Err(format!(
                "{endpoint}: {}",
                crate::http::HttpError::Status(answer.status)
            ));
        }
        KeySet::parse(&answer.body).map_err(|error| format!("{endpoint}: {error}"))
    }

    /// Cached keys and their age, for display.
    pub(super) fn describe(&self) -> (Option<String>, Option<Duration>) {
        let state = self.state.lock();
        let age = state.fetched.map(|fetched| fetched.elapsed());
        (state.set.as_ref().map(|set| set.describe()), age)
    }
}

async fn read_bounded(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let mut octets = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(ANSWER_MAX as u64 + 1).read_to_end(&mut octets).await?;
    if octets.len() > ANSWER_MAX {
        return Err(std::io::Error::other(format!("larger than {ANSWER_MAX} octets")));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_keys_are_fetched_and_how_long_they_count() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let times = KeyTimes {
            refresh: seconds(3_600),
            keep: seconds(86_400),
            pause: seconds(30),
        };
        let set = Arc::new(KeySet::parse(ED25519.as_bytes()).unwrap());
        let state = |error: Option<&str>| State {
            set: Some(Arc::clone(&set)),
            fetched: Some(start),
            tried: Some(start),
            error: error.map(str::to_owned),
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows          state              after    usable  may be fetched  due in
            ("nothing yet",                 State::default(),  0,       false,  true,           0),
            ("just fetched",                state(None),       0,       true,   false,          3_600),
            ("a moment later",              state(None),       29,      true,   false,          3_571),
            ("asked for after the pause",   state(None),       30,      true,   true,           3_570),
            ("time for fresh ones",         state(None),       3_600,   true,   true,           0),
            ("the last try failed",         state(Some("x")),  10,      true,   false,          20),
            ("then the pause decides",      state(Some("x")),  30,      true,   true,           0),
            ("down for long",               state(Some("x")),  86_400,  true,   true,           0),
            ("down for too long",           state(Some("x")),  86_401,  false,  true,           0),
        ];
        for (shows, state, after, usable, may, due) in cases {
            let now = start + seconds(after);
            assert_eq!(state.usable(&times, now).is_some(), usable, "{shows}");
            assert_eq!(state.may_fetch(&times, now), may, "{shows}");
            assert_eq!(state.due_in(&times, now), seconds(due), "{shows}");
        }
    }

    /// RFC 8037 appendix A.2.
    const ED25519: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
}
