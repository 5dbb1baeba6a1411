//! Verifying a chain (RFC 8617 section 5.2).

use postern_policy::authenticity::ArcResult;

use super::chain::{Chain, Link, Validation};
use crate::canon::{self, Form};
use crate::dns::Dns;
use crate::judge::dkim::Hashes;
use crate::judge::dkim::{Covered, Fault, HashOf, Key, KeyFault, itself, verify};

/// The verdict on the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The result.
    pub result: ArcResult,
    /// Why it is not valid.
    pub reason: Option<String>,
    /// How many links it has.
    pub links: u32,
    /// The domain that made the last link.
    pub sealer: Option<String>,
    /// The domain that made each link, and its results, first forwarder first; empty unless the chain is valid.
    pub witnesses: Vec<Witness>,
}

/// A forwarder and the results it claims.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    /// The domain of its seal.
    pub sealer: String,
    /// Its results, after the name of its host (RFC 8601).
    pub found: String,
}

/// Checks a chain: its last signature over the message, and all seals. `now` is in seconds since 1970.
pub async fn check(
    dns: &dyn Dns,
    chain: &Chain,
    covered: &Covered<'_>,
    hashes: &Hashes,
    now: u64,
) -> Outcome {
    let (links, hash) = match chain {
        Chain::None => {
            return Outcome {
                result: ArcResult::None,
                reason: None,
                links: 0,
                sealer: None,
                witnesses: Vec::new(),
            };
        }
        Chain::Broken(reason) => {
            return Outcome {
                result: ArcResult::Fail,
                reason: Some(reason.clone()),
                links: 0,
                sealer: None,
                witnesses: Vec::new(),
            };
        }
        Chain::Whole { links, hash } => (links, *hash),
    };
    let judged = inspect(dns, links, hash, covered, hashes, now).await;
    let (result, reason) = match judged {
        Ok(()) => (ArcResult::Pass, None),
        Err((result, reason)) => (result, Some(reason)),
    };
    let last = links.last();
    Outcome {
        result,
        reason,
        links: u32::try_from(links.len()).unwrap_or(u32::MAX),
        sealer: last.map(|link| link.domain().to_owned()),
        witnesses: match result {
            ArcResult::Pass => links.iter().map(witness).collect(),
            _ => Vec::new(),
        },
    }
}

fn witness(link: &Link) -> Witness {
    Witness {
        sealer: link.domain().to_owned(),
        found: link.found().unwrap_or_default().to_owned(),
    }
}

async fn inspect(
    dns: &dyn Dns,
    links: &[Link],
    hash: HashOf,
    covered: &Covered<'_>,
    hashes: &Hashes,
    now: u64,
) -> Result<(), (ArcResult, String)> {
    let fail = |reason: String| (ArcResult::Fail, reason);
    for (link, instance) in links.iter().zip(1..) {
        let expected = if instance == 1 {
            Validation::None
        } else {
            Validation::Pass
        };
        if link.validation != expected {
            return Err(fail(format!(
                "the seal of link {instance} says cv={}",
                link.validation.word()
            )));
        }
    }
    let Some(last) = links.last() else { return Ok(()) };
    let signature = &last.message_signature;
    let checked = verify(dns, signature, &last.message, covered, hashes, hash, now).await;
    if let Some(fault) = checked.fault {
        return Err(told(&fault, &format!("the signature of link {}", links.len())));
    }
    let mut sealed = Vec::new();
    let mut before = Vec::with_capacity(links.len());
    for link in links {
        canon::field(Form::Relaxed, &link.results, &mut sealed);
        canon::field(Form::Relaxed, &link.message, &mut sealed);
        before.push(sealed.len());
        canon::field(Form::Relaxed, &link.seal, &mut sealed);
    }
    // The last one first: a forger cannot produce that one.
    for (link, length) in links.iter().zip(&before).rev() {
        let mut message = sealed[..*length].to_vec();
        itself(Form::Relaxed, &link.seal, &mut message);
        let what = format!("the seal of {}", link.domain());
        let key = Key::find(dns, &link.seal_signature)
            .await
            .map_err(|fault| told(&fault.into(), &what))?;
        if !key.holds(&message, &link.seal_signature.value) {
            return Err(fail(format!("{what} did not verify")));
        }
    }
    Ok(())
}

fn told(fault: &Fault, what: &str) -> (ArcResult, String) {
    let result = match fault {
        Fault::Key(KeyFault::Unavailable(_)) => ArcResult::TempError,
        _ => ArcResult::Fail,
    };
    (result, format!("{what}: {fault}"))
}

impl Validation {
    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}
