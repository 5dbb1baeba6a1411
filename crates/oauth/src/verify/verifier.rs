//! All providers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use postern_events::Observers;
use secrecy::{ExposeSecret, SecretString};

use super::jws::{Form, Signed};
use super::outage::{Outage, Trouble};
use super::owner::Owner;
use super::provider::{OpenError, Provider, ProviderHealth};
use super::refusal::{Refusal, Shown};
use super::settings::ProviderSettings;
use crate::discovery;

/// Shortest time between two checks whether keys are due.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The verdict on a token.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Verdict {
    /// It is valid.
    Owner(Owner),
    /// It is not. The reason is for the log.
    Refused(Refusal),
    /// That cannot be determined now. The text says why, for the log.
    Unavailable(String),
}

/// What clients are told when their token is not accepted (RFC 7628 section 3.2.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Advice {
    /// The scopes that a token needs.
    pub scope: Option<String>,
    /// The address of the provider's description.
    pub openid_configuration: Option<String>,
}

/// All providers. Cheap to share behind an `Arc`; a reload makes a new one from the old one.
#[derive(Default)]
pub struct Verifier {
    providers: Vec<Arc<Provider>>,
}

impl Verifier {
    /// Sets the providers up without making connections. Those that `before` has with the same settings are taken over, with
    /// their cached keys and answers. `observers` are notified of their state.
    ///
    /// # Errors
    ///
    /// The first that cannot be set up.
    pub fn open(
        settings: Vec<ProviderSettings>,
        before: Option<&Self>,
        observers: &Observers,
    ) -> Result<Self, OpenError> {
        let kept = |settings: &ProviderSettings| {
            let mut all = before.into_iter().flat_map(|before| &before.providers);
            all.find(|provider| provider.settings == *settings).cloned()
        };
        let providers = settings
            .into_iter()
            .map(|settings| match kept(&settings) {
                Some(provider) => Ok(provider),
                None => Provider::new(settings, observers).map(Arc::new),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { providers })
    }

    /// Keeps keys fresh in the background, for as long as a verifier has the provider. Call it inside a runtime.
    pub fn keep_fresh(&self) {
        for provider in &self.providers {
            if provider.begin_keeping() {
                tokio::spawn(keep(Arc::downgrade(provider)));
            }
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// The advice of the first provider.
    #[must_use]
    pub fn advice(&self) -> Advice {
        let Some(provider) = self.providers.first() else {
            return Advice::default();
        };
        let rules = &provider.settings.rules;
        let described = match &provider.settings.discovery {
            Some(address) => Some(address.to_string()),
            None => discovery::addresses(&rules.issuer).into_iter().next(),
        };
        Advice {
            scope: (!rules.scopes.is_empty()).then(|| rules.scopes.join(" ")),
            openid_configuration: described.filter(|address| address.starts_with("https://")),
        }
    }

    /// Finds out who owns a token. `identity` is the user name that the client gives, if any: it selects the provider that is
    /// asked about an opaque token. The caller must check whether the owner is that user.
    pub async fn verify(&self, token: &SecretString, identity: Option<&str>) -> Verdict {
        let token = token.expose_secret();
        let result = match Form::of(token) {
            Ok(Form::Signed(signed)) => self.signed(token, &signed).await,
            Ok(Form::Opaque) => self.opaque(token, identity).await,
            Err(refusal) => Err(refusal.into()),
        };
        match result {
            Ok(owner) => Verdict::Owner(owner),
            Err(Trouble::Refused(refusal)) => Verdict::Refused(refusal),
            Err(Trouble::Outage(Outage(reason))) => Verdict::Unavailable(reason),
        }
    }

    /// The provider of a signed token. No other sees it.
    pub(super) fn issuer_of(&self, signed: &Signed<'_>) -> Result<&Provider, Refusal> {
        let claimed = signed.claimed_issuer().unwrap_or_default();
        let found = self
            .providers
            .iter()
            .find(|provider| provider.issuer() == claimed);
        found
            .map(Arc::as_ref)
            .ok_or_else(|| Refusal::UnknownIssuer(Shown::new(claimed)))
    }

    async fn signed(&self, token: &str, signed: &Signed<'_>) -> Result<Owner, Trouble> {
        let provider = self.issuer_of(signed)?;
        provider.check_signed(token, signed).await
    }

    async fn opaque(&self, token: &str, identity: Option<&str>) -> Result<Owner, Trouble> {
        self.provider_of(identity)?.check_opaque(token).await
    }

    /// The only provider that is sent an opaque token: anyone who has it can use it, so no other sees it. A name with a domain
    /// selects among the providers for that domain; if there is only one provider with introspection, no selection is needed.
    pub(super) fn provider_of(&self, identity: Option<&str>) -> Result<&Provider, Refusal> {
        let may_vouch = |provider: &&Provider| {
            identity
                .filter(|identity| identity.contains('@'))
                .is_none_or(|identity| provider.settings.rules.covers(identity))
        };
        let mut found = self
            .providers
            .iter()
            .map(Arc::as_ref)
            .filter(|provider| provider.can_be_asked())
            .filter(may_vouch);
        match (found.next(), found.next()) {
            (Some(provider), None) => Ok(provider),
            (Some(_), Some(_)) => Err(Refusal::WhichProvider),
            (None, _) => Err(Refusal::NoProvider("opaque")),
        }
    }

    /// Fetches keys that are due, asks introspecting providers about a nonexistent token, and returns the health of each
    /// provider.
    pub async fn look(&self) -> Vec<ProviderHealth> {
        for provider in &self.providers {
            if provider.can_be_asked() {
                // The result is recorded in its health.
                let _ = provider
                    .asked(&format!("check-{:032x}", rand::random::<u128>()))
                    .await;
            } else {
                let _ = provider.keep_fresh().await;
            }
        }
        self.health()
    }

    /// The health of each provider, as far as known.
    #[must_use]
    pub fn health(&self) -> Vec<ProviderHealth> {
        self.providers.iter().map(|provider| provider.health()).collect()
    }
}

/// Fetches keys when they are due, until the provider is no longer used.
async fn keep(provider: Weak<Provider>) {
    loop {
        let wait = match provider.upgrade() {
            Some(provider) => provider.keep_fresh().await,
            None => return,
        };
        match wait {
            Some(wait) => tokio::time::sleep(wait.max(PAUSE_MIN)).await,
            None => return,
        }
    }
}
