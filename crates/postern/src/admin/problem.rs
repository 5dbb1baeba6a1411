//! Why a request over HTTP has no answer.

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    /// The object does not exist, or belongs to somebody else.
    #[error("{0}")]
    NotFound(String),
    /// The request is not permitted.
    #[error("{0}")]
    Forbidden(String),
    /// The request is not valid.
    #[error("{0}")]
    Bad(String),
    /// The request failed.
    #[error("{0}")]
    Failed(String),
}
