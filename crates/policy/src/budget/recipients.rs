//! To whom an account has sent, by hashes that nobody else can make.

use std::collections::HashMap;

use hmac::{Hmac, Mac};
use sha1::Sha1;

/// Most recipients to whom an account has sent that are remembered, those written to longest ago forgotten first.
pub const KNOWN_MAX: usize = 4_096;

/// Most recipients that are remembered of all accounts together: some 100 MiB.
pub const KNOWN_ALL_MAX: usize = 4_000_000;

/// Recipients that were written to, by a hash of their address.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// By the number of the use at which each was written to last.
    all: HashMap<u64, u64>,
    uses: u64,
}

impl Known {
    /// Some more were written to.
    pub(super) fn add(&mut self, recipients: &[u64]) {
        for &one in recipients {
            self.uses += 1;
            self.all.insert(one, self.uses);
            if self.all.len() > KNOWN_MAX {
                self.forget_oldest();
            }
        }
    }

    /// Makes room for so many that it is seldom made.
    fn forget_oldest(&mut self) {
        let mut uses: Vec<u64> = self.all.values().copied().collect();
        let (_, last, _) = uses.select_nth_unstable(KNOWN_MAX / 16);
        let last = *last;
        self.all.retain(|_, used| *used > last);
    }

    /// Whether one was written to.
    pub(super) fn contains(&self, recipient: u64) -> bool {
        self.all.contains_key(&recipient)
    }

    /// How many were.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether none was.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All, those written to longest ago first.
    pub(super) fn kept(&self) -> Vec<u64> {
        let mut all: Vec<(u64, u64)> = self.all.iter().map(|(one, used)| (*used, *one)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, one)| one).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_written_to_longest_ago_are_forgotten_first() {
        let mut known = Known::default();
        let most = KNOWN_MAX as u64;
        known.add(&(0..most).collect::<Vec<_>>());
        // The first is written to again, and then somebody new.
        known.add(&[0, most]);
        assert!(known.len() <= KNOWN_MAX);
        assert_eq!(
            [0, 1, most - 1, most].map(|one| known.contains(one)),
            [true, false, true, true]
        );
        let kept = known.kept();
        assert_eq!(kept[kept.len() - 3..], [most - 1, 0, most]);
        let mut restored = Known::default();
        restored.add(&kept);
        assert_eq!(restored.kept(), kept);
    }
}
