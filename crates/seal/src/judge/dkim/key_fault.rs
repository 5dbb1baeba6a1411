//! What can be wrong with a key.

use postern_policy::authenticity::DkimResult;

/// What is wrong with a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFault {
    /// There is no record.
    #[error("no key for signature")]
    Missing,
    /// There is no answer at the moment.
    #[error("the key cannot be fetched now: {0}")]
    Unavailable(String),
    /// The record is malformed.
    #[error("the record of the key is not valid")]
    Malformed,
    /// `p=` is empty.
    #[error("the key is revoked")]
    Revoked,
    /// Its type differs from the signature's.
    #[error("the key is of another kind than the signature")]
    Kind,
    /// It is not for mail (`s=`).
    #[error("the key is for another service")]
    Service,
    /// It may not be used with SHA-256 (`h=`).
    #[error("the key does not allow sha256")]
    Hash,
    /// `i=` is below `d=`, but the key requires them to be the same (`t=s`).
    #[error("the key does not allow i= below d=")]
    Strict,
    /// It is too weak (RFC 8301 section 3.2).
    #[error("the key has {0} bits, fewer than 1024")]
    Weak(usize),
    /// It is too large to be used.
    #[error("the key has {0} bits, more than 8192")]
    Large(usize),
}

impl KeyFault {
    /// The resulting word for a signature.
    #[must_use]
    pub const fn result(&self) -> DkimResult {
        match self {
            Self::Unavailable(_) => DkimResult::TempError,
            Self::Weak(_) | Self::Large(_) => DkimResult::Policy,
            _ => DkimResult::PermError,
        }
    }
}
