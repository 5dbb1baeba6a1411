//! What goes wrong when names are looked up.

/// Why a look-up has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist (NXDOMAIN): permanent.
    #[error("{0}: no such domain")]
    NoSuchDomain(String),
    /// The name exists but has no record of that type: permanent.
    #[error("{0}: no such record")]
    NoData(String),
    /// The text is not a domain name: permanent.
    #[error("{0:?} is not a domain name")]
    BadName(String),
    /// The answer should be signed, and the signatures are wrong, missing, or out of date (RFC 4035 section 4.3): somebody has
    /// tampered with it, or made a mistake, which will be repaired. It is never used; try again later.
    #[error("{0}: its DNSSEC signatures are wrong, missing, or out of date")]
    Bogus(String),
    /// No answer for now: try again later.
    #[error("{name}: {reason}")]
    Temporary {
        /// The name that was looked up.
        name: String,
        /// What went wrong.
        reason: String,
    },
}

impl ResolveError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary { .. } | Self::Bogus(_))
    }
}

/// No resolver can be made from the settings.
#[derive(Debug, thiserror::Error)]
#[error("names cannot be looked up: {0}")]
pub struct ResolverSetupError(pub(super) String);
