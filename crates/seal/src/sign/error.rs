//! Why a message was not signed.

use postern_mail::fields::FieldError;

use crate::CryptoFailed;

/// Most names in `h=`. No legitimate mail has headers that lead to more.
pub const NAMES_MAX: usize = 500;

/// Why a message was not signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignError {
    /// One of the signed fields occurs hundreds of times.
    #[error("more than {NAMES_MAX} header fields to sign")]
    TooManyFields,
    /// There is no `From`, which must be signed.
    #[error("no From field")]
    NoFrom,
    /// The field cannot be put into a header; this does not happen with valid DNS names.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}
