//! How a message has ended with a filter.

use std::io;

use postern_milter::{Change, Verdict};

use crate::failure::Failure;

/// How a message has ended with a filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// The answer.
    pub verdict: Verdict,
    /// What to change, in the order in which the filter asked for it. Empty unless the answer lets the message through.
    pub changes: Vec<Change>,
    /// What was written as a new body takes the place of the body.
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

/// Why a message could not be ended with a filter.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The filter has failed.
    #[error(transparent)]
    Filter(#[from] Failure),
    /// The new body could not be written, or there was no room for other changes. The filter is not to blame.
    #[error("there is no room for what the filter wants changed")]
    NewBody(#[source] io::Error),
}
