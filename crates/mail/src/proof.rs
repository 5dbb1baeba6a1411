//! How far an answer of the DNS is proven by DNSSEC: the words that plans, log and listings have for it.

use std::fmt;

use serde::{Serialize, Serializer};

/// What DNSSEC says of an answer (RFC 4035 section 4.3). An answer that is [`Bogus`](Self::Bogus) is never made use of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Proof {
    /// Signed, from a trust anchor down to the answer; where the answer is that there is nothing, this is proven too.
    Secure,
    /// From a zone that is proven not to be signed; or a resolver that is trusted does not vouch for it.
    Insecure,
    /// Nobody has looked: DNSSEC is off, or the answer is not from the DNS but from `/etc/hosts`.
    Indeterminate,
    /// It should be signed, and its signatures are wrong, missing, or out of date.
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

    /// How far two answers are proven that only count together.
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
