//! Why a stored password cannot be used.

/// A stored password that cannot be used. Messages show nothing of it but the name of its scheme.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// The scheme is not known here.
    #[error("the scheme {0} is not known")]
    Unknown(String),
    /// It has no scheme, and there is no default.
    #[error("it names no scheme: it begins with neither {{SCHEME}} nor $id$ (DES crypt is not supported)")]
    Unnamed,
    /// The password is stored in cleartext, which is not allowed.
    #[error("it is a password in clear text, which is not allowed here")]
    Plain,
    /// Its parameters would cost too much.
    #[error("{scheme} with {what} {found} costs too much: at most {most}")]
    TooCostly {
        /// The scheme.
        scheme: &'static str,
        /// The parameter.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The limit.
        most: u64,
    },
    /// It does not have its scheme's format.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}
