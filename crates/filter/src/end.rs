//! How a message ended at a filter.

use std::io;

use postern_milter::{Change, Verdict};

use crate::failure::Failure;

/// How a message ended at a filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// The answer.
    pub verdict: Verdict,
    /// The changes, in the filter's order. Empty unless the answer lets the message through.
    pub changes: Vec<Change>,
    /// Whether the new body that was written replaces the body.
    pub body_replaced: bool,
}

impl End {
    pub(crate) const fn through(verdict: Verdict) -> Self {
        Self {
            verdict,
            changes: Vec::new(),
            body_replaced: false,
        }
    }
}

/// Why a message could not be ended at a filter.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The filter has failed.
    #[error(transparent)]
    Filter(#[from] Failure),
    /// The new body could not be written, or there was no room for other changes. This is not the filter's fault.
    #[error("there is no room for what the filter wants changed")]
    NewBody(#[source] io::Error),
}
