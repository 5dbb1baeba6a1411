//! How far DNSSEC proves a DNS answer: the words for it in plans, log and listings.

use std::fmt;

use serde::{Serialize, Serializer};

/// What DNSSEC says of an answer (RFC 4035 section 4.3). A [`Bogus`](Self::Bogus) answer is never used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Proof {
    /// Signed, from a trust anchor down to the answer; a negative answer is proven too.
    Secure,
    /// From a zone that is proven to be unsigned; or a trusted resolver does not vouch for it.
    Insecure,
    /// Not checked: DNSSEC is off, or the answer is from `/etc/hosts`.
    Indeterminate,
    /// It should be signed, but its signatures are wrong, missing, or expired.
    Bogus,
}

impl Proof {
    /// All of them, from the strongest to the weakest.
    pub const ALL: [Self; 4] = [Self::Secure, Self::Insecure, Self::Indeterminate, Self::Bogus];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Indeterminate => "indeterminate",
            Self::Bogus => "bogus",
        }
    }

    /// How far two answers that depend on each other are proven.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |proof: Self| Self::ALL.iter().position(|one| *one == proof);
        if rank(self) >= rank(other) { self } else { other }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Proof {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weakest_link_counts() {
        use Proof::{Bogus, Indeterminate, Insecure, Secure};
        #[rustfmt::skip]
        let cases = [
            (Secure,        Secure,        Secure),
            (Secure,        Insecure,      Insecure),
            (Indeterminate, Secure,        Indeterminate),
            (Insecure,      Indeterminate, Indeterminate),
            (Bogus,         Secure,        Bogus),
            (Indeterminate, Bogus,         Bogus),
        ];
        for (one, other, both) in cases {
            assert_eq!(one.and(other), both, "{one} and {other}");
            assert_eq!(other.and(one), both, "{other} and {one}");
        }
    }
}
