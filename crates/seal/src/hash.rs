//! The hash of a body in its canonical form, the tag `bh=`.

use aws_lc_rs::digest::{Context, SHA256};

use crate::canon::{BodyCanon, Form};

/// Octets buffered before hashing: a relaxed body arrives word by word.
const BLOCK: usize = 4096;

/// Hashes a body with SHA-256 as it arrives, piece by piece (RFC 6376 sections 3.4 and 3.7).
///
/// Needs the same memory for every body, about 4 KiB.
#[derive(Clone)]
pub struct BodyHasher {
    canon: BodyCanon,
    sink: Sink,
}

/// The hash of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BodyHash {
    /// SHA-256 of the canonical body, as far as `l=` reaches.
    pub sha256: [u8; 32],
    /// Octets of the canonical body that were hashed.
    pub hashed: u64,
    /// Octets of the whole canonical body. More than `hashed`: the signature does not cover the rest. Fewer than `l=`: the
    /// signature is not valid (RFC 6376 section 3.5, `l=`).
    pub length: u64,
}

#[derive(Clone)]
struct Sink {
    context: Context,
    block: Vec<u8>,
    /// Octets that may still be hashed.
    left: u64,
    hashed: u64,
    length: u64,
}

impl BodyHasher {
    /// At the beginning of a body, of whose canonical form at most `limit` octets count (`l=`).
    #[must_use]
    pub fn new(form: Form, limit: Option<u64>) -> Self {
        Self {
            canon: BodyCanon::new(form),
            sink: Sink {
                context: Context::new(&SHA256),
                block: Vec::with_capacity(BLOCK),
                left: limit.unwrap_or(u64::MAX),
                hashed: 0,
                length: 0,
            },
        }
    }

    /// Takes the next octets of the body; they may be split anywhere.
    pub fn feed(&mut self, input: &[u8]) {
        let sink = &mut self.sink;
        self.canon.feed(input, &mut |text| sink.take(text));
    }

    /// Ends the body.
    #[must_use]
    pub fn finish(mut self) -> BodyHash {
        let sink = &mut self.sink;
        self.canon.finish(&mut |text| sink.take(text));
        self.sink.finish()
    }
}

impl std::fmt::Debug for BodyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyHasher")
            .field("canon", &self.canon)
            .field("length", &self.sink.length)
            .finish_non_exhaustive()
    }
}

impl Sink {
    fn take(&mut self, text: &[u8]) {
        self.length += text.len() as u64;
        let counts = usize::try_from(self.left).map_or(text.len(), |left| left.min(text.len()));
        let text = &text[..counts];
        self.left -= counts as u64;
        self.hashed += counts as u64;
        if self.block.len() + text.len() > BLOCK {
            self.context.update(&self.block);
            self.block.clear();
            if text.len() > BLOCK / 2 {
                return self.context.update(text);
            }
        }
        self.block.extend_from_slice(text);
    }

    fn finish(mut self) -> BodyHash {
        self.context.update(&self.block);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.context.finish().as_ref());
        BodyHash {
            sha256,
            hashed: self.hashed,
            length: self.length,
        }
    }
}
