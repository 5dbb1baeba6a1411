//! The words for results, as in RFC 8601 section 2.7.

use std::fmt;

macro_rules! results {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name {
            $($(#[$meaning])* $variant,)*
        }

        impl $name {
            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The result with this word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

results! {
    /// What SPF says about the client (RFC 7208 section 2.6).
    SpfResult {
        /// There is no record, or no domain to ask.
        None "none",
        /// The domain says nothing about this client.
        Neutral "neutral",
        /// The client may send for the domain.
        Pass "pass",
        /// It may not.
        Fail "fail",
        /// It probably may not.
        SoftFail "softfail",
        /// DNS gave no answer for now.
        TempError "temperror",
        /// The record is invalid, or needs too many look-ups.
        PermError "permerror",
    }
}

results! {
    /// The result of one signature, or of all together (RFC 8601 section 2.7.1).
    DkimResult {
        /// There is no signature.
        None "none",
        /// The signature is valid.
        Pass "pass",
        /// It is invalid: content or header has changed, or it has expired.
        Fail "fail",
        /// It is of a kind that is not accepted: an algorithm or key that is too weak.
        Policy "policy",
        /// It was not checked.
        Neutral "neutral",
        /// Its key cannot be retrieved for now.
        TempError "temperror",
        /// It is malformed, or there is no key for it.
        PermError "permerror",
    }
}

results! {
    /// What DMARC says (RFC 7489 section 11.2).
    DmarcResult {
        /// There is no record.
        None "none",
        /// Sender or signature is aligned with the author's domain.
        Pass "pass",
        /// Neither does.
        Fail "fail",
        /// DNS gave no answer for now.
        TempError "temperror",
        /// There is no single author domain, or its record is invalid.
        PermError "permerror",
    }
}

results! {
    /// The result of the chain (RFC 8617 section 5.2).
    ArcResult {
        /// There is none.
        None "none",
        /// It is valid.
        Pass "pass",
        /// It is invalid.
        Fail "fail",
        /// A key cannot be retrieved for now: nothing is known about the chain.
        TempError "temperror",
    }
}

results! {
    /// What the author's domain asks for mail that fails (RFC 7489 section 6.3).
    Requested {
        /// Nothing.
        None "none",
        /// To treat it with suspicion.
        Quarantine "quarantine",
        /// To refuse it.
        Reject "reject",
    }
}

/// The results of all checks of one message; `None` for those not made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Results {
    /// For the sender, or for the `HELO` name if there is no sender.
    pub spf: Option<SpfResult>,
    /// For the best signature.
    pub dkim: Option<DkimResult>,
    /// For the author.
    pub dmarc: Option<(DmarcResult, Requested)>,
    /// For the chain of forwarders.
    pub arc: Option<ArcResult>,
    /// Whether a trusted forwarder vouches for the message through the chain.
    pub vouched: bool,
}
