//! To whom an account has sent, by hashes that nobody else can make.

use std::collections::{HashSet, VecDeque};

use hmac::{Hmac, Mac};
use sha1::Sha1;

/// Most recipients to whom an account has sent that are remembered, those used longest ago forgotten first.
pub const KNOWN_MAX: usize = 4_096;

/// Recipients that were written to, by a hash of their address.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    order: VecDeque<u64>,
    all: HashSet<u64>,
}

impl Known {
    /// Some more were written to.
    pub(super) fn add(&mut self, recipients: &[u64]) {
        for &one in recipients {
            if !self.all.insert(one) {
                continue;
            }
            self.order.push_back(one);
            if self.order.len() > KNOWN_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.all.remove(&oldest);
            }
        }
    }

    /// Whether one was written to.
    pub(super) fn contains(&self, recipient: u64) -> bool {
        self.all.contains(&recipient)
    }

    /// Whether none was.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All, those used longest ago first.
    pub(super) fn kept(&self) -> Vec<u64> {
        self.order.iter().copied().collect()
    }
}

/// The key of the hashes by which recipients are remembered: whoever does not know it cannot make two addresses alike.
#[derive(Clone)]
pub struct RecipientKey([u8; 16]);

impl std::fmt::Debug for RecipientKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("RecipientKey")
    }
}

impl RecipientKey {
    /// Of 16 octets of chance.
    #[must_use]
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// As it was written down.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 32)
            .map(|number| Self(number.to_be_bytes()))
    }

    /// As it is written down.
    #[must_use]
    pub fn kept(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// What stands for a recipient: 64 bits of an HMAC over the address in small letters. It is written down, so it stays as it is.
    #[must_use]
    pub fn hash(&self, address: &str) -> u64 {
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else {
            return 0;
        };
        mac.update(address.to_ascii_lowercase().as_bytes());
        let hash = mac.finalize().into_bytes();
        hash.iter()
            .take(8)
            .fold(0, |number, octet| (number << 8) | u64::from(*octet))
    }
}
