//! What to do with mail depending on its SPF, DKIM, DMARC and ARC results.
//!
//! The checks themselves are elsewhere; here are the words for their results (RFC 8601 section 2.7), and the decision.

mod decide;
mod result;

pub use self::decide::{Action, Decided, Decision, Settings, Subject, decide, outcomes};
pub use self::result::{ArcResult, DkimResult, DmarcResult, Requested, Results, SpfResult};

#[cfg(test)]
mod tests;
