//! All signatures of a message: parsed with the header, checked when the body is complete.

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_mail::Header;
use postern_policy::authenticity::DkimResult;

use super::hashers::{HashOf, Hashers, Hashes};
use super::key::Key;
use super::signature::{Fault, Kind, Signature, named, without_value};
use crate::Algorithm;
use crate::canon::{self, Form};
use crate::dns::Dns;
use crate::judge::domain::is_within;

/// Most signatures parsed, from the top.
const READ_MAX: usize = 128;

/// Most signatures checked. Those of the author's domain come first, so that many bad ones cannot hide them.
const CHECKED_MAX: usize = 20;

/// Octets of a signature's value that identify it (RFC 8601 section 2.7.1, `header.b`).
const VALUE_TOLD: usize = 8;

/// The result for one signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The result.
    pub result: DkimResult,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// Its `d=`, normalised.
    pub domain: Option<String>,
    /// Its `s=`.
    pub selector: Option<String>,
    /// Its `i=`.
    pub identity: Option<String>,
    /// How it was made.
    pub algorithm: Option<Algorithm>,
    /// The beginning of its value, which identifies it.
    pub value: Option<String>,
    /// Octets of the body beyond its `l=`, which it does not cover.
    pub uncovered: u64,
    /// Whether the domain is testing (`t=y`), so that a fail counts as no signature.
    pub testing: bool,
}

/// The signatures of a message, before its body is known.
#[derive(Debug, Default)]
pub struct Signatures(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    raw: Vec<u8>,
    domain: Option<String>,
    selector: Option<String>,
    read: Result<(Signature, HashOf), Fault>,
}

impl Signatures {
    /// Parses the signatures of a header and requests the hashes that they need. `author` is the author's domain.
    #[must_use]
    pub fn read(header: &Header, author: Option<&str>, hashers: &mut Hashers) -> Self {
        let mut read: Vec<_> = header
            .named("DKIM-Signature")
            .take(READ_MAX)
            .map(|(_, field)| (field, Signature::parse(field.value(), Kind::Dkim)))
            .collect();
        // A stable sort: among equals the upper one comes first, which the latest hop added.
        read.sort_by_key(|(_, signature)| match (signature, author) {
            (Ok(signature), Some(author)) => !may_align(&signature.domain, author) as u8,
            (Ok(_), None) => 1,
            (Err(_), _) => 2,
        });
        let entries = read.into_iter().take(CHECKED_MAX).map(|(field, signature)| {
            let (domain, selector) = named(field.value());
            Entry {
                raw: field.raw().to_vec(),
                domain,
                selector,
                read: signature.and_then(|signature| {
                    let hash = hashers.want(&signature).ok_or(Fault::TooMany)?;
                    Ok((signature, hash))
                }),
            }
        });
        Self(entries.collect())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks all of them. `now` is in seconds since 1970.
    pub async fn check(
        &self,
        dns: &dyn Dns,
        covered: &Covered<'_>,
        hashes: &Hashes,
        now: u64,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.0.len());
        for entry in &self.0 {
            outcomes.push(entry.check(dns, covered, hashes, now).await);
        }
        outcomes
    }
}

/// Whether a signature of one domain may count for the other: one is the other's parent, or they share a parent.
fn may_align(domain: &str, author: &str) -> bool {
    is_within(domain, author) || is_within(author, domain) || {
        let top = |name: &str| {
            let at = name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
            name[at..].to_owned()
        };
        top(domain) == top(author)
    }
}

impl Entry {
    async fn check(&self, dns: &dyn Dns, covered: &Covered<'_>, hashes: &Hashes, now: u64) -> Outcome {
        let mut outcome = Outcome {
            result: DkimResult::Neutral,
            fault: None,
            domain: self.domain.clone(),
            selector: self.selector.clone(),
            identity: None,
            algorithm: None,
            value: None,
            uncovered: 0,
            testing: false,
        };
        let (signature, hash) = match &self.read {
            Ok(read) => read,
            Err(fault) => {
                outcome.result = fault.result();
                outcome.fault = Some(fault.clone());
                return outcome;
            }
        };
        outcome.identity = Some(signature.identity.clone());
        outcome.algorithm = Some(signature.algorithm);
        outcome.value = Some(told(&signature.value));
        let checked = verify(dns, signature, &self.raw, covered, hashes, *hash, now).await;
        outcome.testing = checked.testing;
        outcome.uncovered = checked.uncovered;
        match checked.fault {
            None => outcome.result = DkimResult::Pass,
            Some(fault) => {
                outcome.result = fault.result();
                outcome.fault = Some(fault);
            }
        }
        outcome
    }
}

fn told(value: &[u8]) -> String {
    use base64::Engine as _;
    let mut text = base64::prelude::BASE64_STANDARD.encode(&value[..value.len().min(VALUE_TOLD)]);
    text.truncate(VALUE_TOLD);
    text
}

/// The result of one signature over a message.
pub(crate) struct Checked {
    pub(crate) fault: Option<Fault>,
    pub(crate) uncovered: u64,
    pub(crate) testing: bool,
}

/// Checks a signature over a message: the body first, which needs no look-up.
pub(crate) async fn verify(
    dns: &dyn Dns,
    signature: &Signature,
    raw: &[u8],
    covered: &Covered<'_>,
    hashes: &Hashes,
    hash: HashOf,
    now: u64,
) -> Checked {
    let mut checked = Checked {
        fault: None,
        uncovered: 0,
        testing: false,
    };
    checked.fault = inspect(dns, signature, raw, covered, hashes, hash, now, &mut checked)
        .await
        .err();
    checked
}

#[allow(clippy::too_many_arguments)]
async fn inspect(
    dns: &dyn Dns,
    signature: &Signature,
    raw: &[u8],
    covered: &Covered<'_>,
    hashes: &Hashes,
    hash: HashOf,
    now: u64,
    checked: &mut Checked,
) -> Result<(), Fault> {
    if signature.expires.is_some_and(|expires| expires < now) {
        return Err(Fault::Expired);
    }
    let body = hashes.get(hash).ok_or(Fault::TooMany)?;
    if signature.length.is_some_and(|length| length > body.length) {
        return Err(Fault::BodyShort);
    }
    if verify_slices_are_equal(&body.sha256, &signature.body_hash).is_err() {
        return Err(Fault::BodyHash);
    }
    checked.uncovered = body.length - body.hashed;
    let key = Key::find(dns, signature).await?;
    checked.testing = key.testing;
    let message = covered.by(signature, raw);
    if key.holds(&message, &signature.value) {
        Ok(())
    } else {
        Err(Fault::Signature)
    }
}

/// The fields of a header, to be taken by name from the bottom.
pub struct Covered<'h> {
    header: &'h Header,
    places: HashMap<Vec<u8>, Vec<usize>>,
}

impl<'h> Covered<'h> {
    /// From this header.
    #[must_use]
    pub fn new(header: &'h Header) -> Self {
        let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (place, field) in header.fields().enumerate() {
            places
                .entry(field.name().to_ascii_lowercase())
                .or_default()
                .push(place);
        }
        Self { header, places }
    }

    /// What a signature was made over: the fields that it names, and finally itself (RFC 6376 sections 5.4.2 and
    /// 3.7).
    pub(crate) fn by(&self, signature: &Signature, raw: &[u8]) -> Vec<u8> {
        let form = signature.forms.header;
        let mut out = Vec::new();
        let mut taken: HashMap<&[u8], usize> = HashMap::new();
        for name in &signature.fields {
            let name = name.to_ascii_lowercase();
            let Some((name, places)) = self.places.get_key_value(name.as_bytes()) else {
                continue;
            };
            let taken = taken.entry(name).or_default();
            *taken += 1;
            // A name listed more often than its field occurs stands for nothing (section 5.4.2).
            let place = places.len().checked_sub(*taken).map(|at| places[at]);
            if let Some(field) = place.and_then(|place| self.header.get(place)) {
                canon::field(form, field.raw(), &mut out);
            }
        }
        itself(form, raw, &mut out);
        out
    }
}

/// The signature's own field, as it was signed.
pub(crate) fn itself(form: Form, raw: &[u8], out: &mut Vec<u8>) {
    canon::field_unended(form, &without_value(raw), out);
}

/// The best of all results: the result for the message.
#[must_use]
pub fn best(outcomes: &[Outcome]) -> DkimResult {
    let rank = |result: &DkimResult| match result {
        DkimResult::Pass => 6,
        DkimResult::TempError => 5,
        DkimResult::Fail => 4,
        DkimResult::Policy => 3,
        DkimResult::PermError => 2,
        DkimResult::Neutral => 1,
        DkimResult::None => 0,
    };
    outcomes
        .iter()
        .filter(|outcome| outcome.result == DkimResult::Pass || !outcome.testing)
        .map(|outcome| outcome.result)
        .max_by_key(rank)
        .unwrap_or(DkimResult::None)
}
