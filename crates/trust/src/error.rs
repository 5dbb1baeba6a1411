//! Why no trust can be set up.

use std::io;
use std::path::PathBuf;

/// Why no trust can be set up. Each message names the file and, if there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file could not be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A file without any certificate.
    #[error("no certificate in {}; a PEM file with \"BEGIN CERTIFICATE\" is expected", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate that cannot be understood, or that cannot be an authority.
    #[error("bad certificate in {}: {reason}", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system has no certificate authorities.
    #[error("the system has no certificate authorities: install ca-certificates, or name a ca_file{0}")]
    NoSystemRoots(String),
    /// rustls does not accept the settings as a whole.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}
