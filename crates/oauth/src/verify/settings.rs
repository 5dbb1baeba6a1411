//! The settings of a provider, already checked.

use std::path::PathBuf;
use std::time::Duration;

use super::algorithm::SigningAlgorithm;
use crate::http::{ClientSecret, Endpoint, HttpSettings};

/// One provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSettings {
    /// How its tokens are checked.
    pub check: TokenCheck,
    /// The rules for their claims.
    pub rules: ClaimRules,
    /// Whether their owner must be known to a directory. Default: yes.
    pub account: AccountRule,
    /// Where the provider's description is, if not at its usual address.
    pub discovery: Option<Endpoint>,
    /// How it is reached.
    pub http: HttpSettings,
}

/// How tokens are checked.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenCheck {
    /// By their signature.
    Signature {
        /// Where the keys are.
        keys: KeySource,
        /// Accepted algorithms.
        algorithms: Vec<SigningAlgorithm>,
        /// Whether only tokens count whose `typ` says that they are access tokens (RFC 9068 section 2.1). Default: no, since
        /// most providers write `JWT`.
        access_token_type: bool,
        /// When keys are fetched.
        times: KeyTimes,
    },
    /// By asking the provider.
    Introspection(Introspection),
}

/// Where a provider's keys are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// At the address in its description.
    Discovery,
    /// At this address.
    Url(Endpoint),
    /// In this file, which is read as often as an address would be asked.
    File(PathBuf),
}

/// When keys are fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyTimes {
    /// How often they are fetched again, in the background. Default 1 hour.
    pub refresh: Duration,
    /// How long they are used while the provider does not answer. Default 24 hours: a withdrawn key also counts for that long.
    pub keep: Duration,
    /// The shortest time between two fetches caused by tokens with unknown keys. Default 30 seconds.
    pub pause: Duration,
}

impl Default for KeyTimes {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(3_600),
            keep: Duration::from_secs(24 * 3_600),
            pause: Duration::from_secs(30),
        }
    }
}

/// Where and how a provider is asked about tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Introspection {
    /// The address.
    pub endpoint: Endpoint,
    /// The protocol variant.
    pub style: IntrospectionStyle,
    /// The client's credentials.
    pub client: Option<ClientSecret>,
    /// How long an answer is cached, never beyond the token's expiry. Default 1 minute; zero asks each time.
    pub cache: Duration,
}

/// The protocol variant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IntrospectionStyle {
    /// RFC 7662.
    Standard,
    /// Google's `tokeninfo`: the claims themselves, or status 400.
    TokenInfo,
}

/// Whether the owner of a token must be known to a directory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AccountRule {
    /// Yes.
    #[default]
    Required,
    /// No: a login that no directory knows is accepted as the token names it. An account that is disabled there stays out.
    Optional,
}

/// The rules for the claims of tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimRules {
    /// The issuer, compared exactly.
    pub issuer: String,
    /// One of these must be in `aud`; empty takes any.
    pub audiences: Vec<String>,
    /// One of these must be the client that the token was issued to; empty takes any.
    pub clients: Vec<String>,
    /// All of these must be in `scope` (or `scp`).
    pub scopes: Vec<String>,
    /// Allowed clock skew. Default 1 minute.
    pub skew: Duration,
    /// Longest time since the token was issued. Default: no limit but the token's expiry.
    pub age_max: Option<Duration>,
    /// Claims that give the login; the first one present counts.
    pub login_claims: Vec<String>,
    /// Whether an address in `email` must be verified. Default: it must.
    pub email: EmailRule,
    /// Appended to logins without a domain.
    pub append_domain: Option<String>,
    /// Domains whose users this provider may authenticate, in lower case; empty: any.
    pub domains: Vec<String>,
}

/// What `email_verified` must say if the login comes from `email`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EmailRule {
    /// `true`.
    #[default]
    Required,
    /// `true`, or absent.
    IfPresent,
    /// Anything.
    Ignored,
}

impl ClaimRules {
    /// Rules for this issuer, with everything else at its default: the login is `email`, verified.
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audiences: Vec::new(),
            clients: Vec::new(),
            scopes: Vec::new(),
            skew: Duration::from_secs(60),
            age_max: None,
            login_claims: vec!["email".into()],
            email: EmailRule::default(),
            append_domain: None,
            domains: Vec::new(),
        }
    }

    /// Whether this provider may authenticate this name; one without a domain cannot be judged by its domain.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.domains.is_empty()
            || name
                .rsplit_once('@')
                .is_some_and(|(_, domain)| self.domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain)))
    }
}
