//! The files of the own certificate authority.

/// The file names of the authority.
pub(crate) const CA_CERTIFICATE: &str = "ca.crt";

/// Its key.
pub(crate) const CA_KEY: &str = "ca.key";
