//! What can go wrong at an authority, and its limits.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::tls::TlsError;

/// Most days that can be asked for: 100 years.
pub const DAYS_MAX: u32 = 36_500;

/// Most names in one certificate.
pub const NAMES_MAX: usize = 100;

/// Why the authority cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// No name was given, or too many were.
    #[error("a certificate needs 1 to {NAMES_MAX} names")]
    NameCount,
    /// A text that is not a name.
    #[error(
        "{0:?} is neither a host name, nor an IP address, nor a mail address (write an internationalised name as xn--…)"
    )]
    BadName(String),
    /// A common name that is empty or too long.
    #[error("the name of an authority has 1 to 64 characters")]
    BadCommonName,
    /// A lifetime that is zero or too long.
    #[error("a certificate lasts 1 to {DAYS_MAX} days")]
    BadDays,
    /// The authority has expired.
    #[error("the certificate authority has expired on {0}; make a new one")]
    Expired(Timestamp),
    /// The certificate is not that of an authority.
    #[error("the certificate of {0} may not issue others")]
    NotAnAuthority(String),
    /// The key does not belong to the authority's certificate.
    #[error("the key does not belong to the certificate of the authority")]
    Mismatch,
    /// A file of the authority could not be loaded.
    #[error(transparent)]
    Load(#[from] TlsError),
    /// A file could not be written.
    #[error("cannot write {}{}", path.display(), if source.kind() == io::ErrorKind::AlreadyExists { " (it exists, and is not overwritten)" } else { "" })]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A cryptographic operation failed.
    #[error("cannot make the certificate: {0}")]
    Crypto(String),
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Crypto(error.to_string())
    }
}
