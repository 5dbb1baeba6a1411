//! Verifies bearer tokens: signed ones with the keys of their provider, opaque ones by asking it.
//!
//! Nothing in a token is trusted before its signature is verified: until then, `iss` only selects one of the configured
//! providers, and `kid` among their keys.

mod algorithm;
mod cache;
mod claims;
mod explain;
mod introspect;
mod jwks;
mod jws;
mod keys;
mod outage;
mod owner;
mod provider;
mod refusal;
mod settings;
mod verifier;

#[doc(hidden)]
pub mod fuzz;

pub use self::algorithm::SigningAlgorithm;
pub use self::claims::{Claims, Finding, Judgement, Origin, judge};
pub use self::explain::{Explanation, Step};
pub use self::jwks::{KeySet, KeySetError};
pub use self::jws::{Form, TOKEN_MAX};
pub use self::owner::Owner;
pub use self::provider::{OpenError, ProviderHealth};
pub use self::refusal::Refusal;
pub use self::settings::{
    AccountRule, ClaimRules, EmailRule, Introspection, IntrospectionStyle, KeySource, KeyTimes,
    ProviderSettings, TokenCheck,
};
pub use self::verifier::{Advice, Verdict, Verifier};
