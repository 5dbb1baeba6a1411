//! Hashes of the body, one for each combination that signatures ask for, made while it arrives.

use super::signature::Signature;
use crate::canon::Form;
use crate::hash::{BodyHash, BodyHasher};

/// Most combinations of form and `l=`. Legitimate mail has one or two; each costs the time of hashing the body
/// once.
const HASHES_MAX: usize = 4;

/// Which of the hashes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HashOf(usize);

/// The hashes in progress.
#[derive(Clone, Debug, Default)]
pub struct Hashers {
    kinds: Vec<(Form, Option<u64>)>,
    hashers: Vec<BodyHasher>,
}

/// The hashes of a complete body.
#[derive(Clone, Debug)]
pub struct Hashes(Vec<BodyHash>);

impl Hashers {
    /// Requests the hash that a signature needs. `None` if there are too many already.
    pub fn want(&mut self, signature: &Signature) -> Option<HashOf> {
        let kind = (signature.forms.body, signature.length);
        if let Some(place) = self.kinds.iter().position(|other| *other == kind) {
            return Some(HashOf(place));
        }
        if self.kinds.len() >= HASHES_MAX {
            return None;
        }
        self.kinds.push(kind);
        self.hashers.push(BodyHasher::new(kind.0, kind.1));
        Some(HashOf(self.kinds.len() - 1))
    }

    /// Takes the next octets of the body.
    pub fn feed(&mut self, octets: &[u8]) {
        for hasher in &mut self.hashers {
            hasher.feed(octets);
        }
    }

    /// Ends the body.
    #[must_use]
    pub fn finish(self) -> Hashes {
        Hashes(self.hashers.into_iter().map(BodyHasher::finish).collect())
    }
}

impl Hashes {
    /// One of them.
    #[must_use]
    pub fn get(&self, of: HashOf) -> Option<&BodyHash> {
        self.0.get(of.0)
    }
}
