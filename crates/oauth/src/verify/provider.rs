//! One provider in operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postern_events::Observers;

use super::algorithm::SigningAlgorithm;
use super::claims::{Claims, Origin, judge};
use super::introspect::Introspector;
use super::jws::Signed;
use super::keys::Keys;
use super::outage::{Trouble, Watch};
use super::owner::Owner;
use super::refusal::Refusal;
use super::settings::{ProviderSettings, TokenCheck};
use crate::clock::unix_now;
use crate::http::{HttpClient, TrustError};

/// A provider cannot be set up. No connection is made at this point: a provider that is down is not an error
/// here.
#[derive(Debug, thiserror::Error)]
#[error("provider {issuer}: {source}")]
pub struct OpenError {
    /// Its issuer.
    pub issuer: String,
    /// What is wrong.
    pub source: TrustError,
}

/// The health of a provider, for display.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderHealth {
    /// Its issuer.
    pub issuer: String,
    /// How its tokens are checked: `keys` or `introspection`.
    pub check: &'static str,
    /// Why it did not answer the last time it was asked.
    pub problem: Option<String>,
    /// Names and kinds of its keys.
    pub keys: Option<String>,
    /// When they were fetched.
    pub age: Option<Duration>,
}

pub(super) struct Provider {
    pub(super) settings: ProviderSettings,
    pub(super) kind: Kind,
    pub(super) watch: Arc<Watch>,
    /// Whether a task keeps its keys fresh.
    pub(super) kept: AtomicBool,
}

pub(super) enum Kind {
    Signed {
        keys: Arc<Keys>,
        algorithms: Vec<SigningAlgorithm>,
        access_token_type: bool,
    },
    Asked(Box<Introspector>),
}

impl Provider {
    pub(super) fn new(settings: ProviderSettings, observers: &Observers) -> Result<Self, OpenError> {
        let issuer = settings.rules.issuer.clone();
        let http = HttpClient::new(&settings.http).map_err(|source| OpenError {
            issuer: issuer.clone(),
            source,
        })?;
        let kind = match &settings.check {
            TokenCheck::Signature {
                keys,
                algorithms,
                access_token_type,
                times,
            } => Kind::Signed {
                keys: Arc::new(Keys::new(
                    keys.clone(),
                    &issuer,
                    settings.discovery.clone(),
                    http,
                    *times,
                )),
                algorithms: algorithms.clone(),
                access_token_type: *access_token_type,
            },
            TokenCheck::Introspection(introspection) => Kind::Asked(Box::new(Introspector::new(
                introspection.clone(),
                http,
                settings.http.timeout,
            ))),
        };
        Ok(Self {
            kind,
            settings,
            watch: Arc::new(Watch::new(issuer, observers.clone())),
            kept: AtomicBool::new(false),
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.settings.rules.issuer
    }

    /// The owner of a signed token.
    pub(super) async fn check_signed(&self, token: &str, signed: &Signed<'_>) -> Result<Owner, Trouble> {
        let Kind::Signed {
            keys,
            algorithms,
            access_token_type,
        } = &self.kind
        else {
            return self.check_opaque(token).await;
        };
        signed.check_type(*access_token_type)?;
        // Checked before any key is looked up: such a token should cost nothing.
        signed.algorithm(algorithms)?;
        let claims = self.proven(signed, keys, algorithms).await?;
        Ok(self.owner(claims, Origin::Signed)?)
    }

    /// The claims of a signed token, once the signature is verified; with newer keys if it names an unknown one.
    pub(super) async fn proven<'a>(
        &self,
        signed: &'a Signed<'_>,
        keys: &Arc<Keys>,
        algorithms: &[SigningAlgorithm],
    ) -> Result<&'a Claims, Trouble> {
        let set = keys.current(&self.watch).await?;
        match signed.check(&set, algorithms) {
            Err(refusal) if refusal.may_be_a_new_key() => match keys.after(&set, &self.watch).await? {
                Some(newer) => Ok(signed.check(&newer, algorithms)?),
                None => Err(refusal.into()),
            },
            checked => Ok(checked?),
        }
    }

    /// The owner of a token that only its provider can read.
    pub(super) async fn check_opaque(&self, token: &str) -> Result<Owner, Trouble> {
        let claims = self.asked(token).await?;
        Ok(self.owner(&claims, Origin::Introspected)?)
    }

    fn owner(&self, claims: &Claims, origin: Origin) -> Result<Owner, Refusal> {
        let rules = &self.settings.rules;
        let judged = judge(claims, rules, origin, unix_now());
        let expiry = judged.expiry;
        Ok(Owner {
            login: judged.verdict()?,
            issuer: self.issuer().to_owned(),
            account: self.settings.account,
            ends: expiry.map(|expiry| expiry.saturating_add(rules.skew.as_secs())),
        })
    }

    pub(super) async fn asked(&self, token: &str) -> Result<Arc<Claims>, Trouble> {
        let Kind::Asked(introspector) = &self.kind else {
            return Err(Refusal::NoProvider("opaque").into());
        };
        let asked = introspector.ask(token, &self.settings.rules).await;
        self.watch
            .note(asked.as_ref().err().map(|outage| outage.0.as_str()));
        asked?.ok_or_else(|| Refusal::Inactive.into())
    }

    pub(super) const fn can_be_asked(&self) -> bool {
        matches!(self.kind, Kind::Asked(_))
    }

    /// Keeps the keys fresh; returns the time until it must be called again. `None` for a provider without keys.
    pub(super) async fn keep_fresh(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Signed { keys, .. } => Some(keys.keep_fresh(&self.watch).await),
            Kind::Asked(_) => None,
        }
    }

    /// Whether the task that keeps the keys fresh has yet to be started. The caller that gets `true` starts it.
    pub(super) fn begin_keeping(&self) -> bool {
        !self.kept.swap(true, Ordering::Relaxed)
    }

    pub(super) fn health(&self) -> ProviderHealth {
        let (check, keys, age) = match &self.kind {
            Kind::Signed { keys, .. } => {
                let (keys, age) = keys.describe();
                ("keys", keys, age)
            }
            Kind::Asked(_) => ("introspection", None, None),
        };
        ProviderHealth {
            issuer: self.issuer().to_owned(),
            check,
            problem: self.watch.problem(),
            keys,
            age,
        }
    }
}
