//! Whether a message is authentic: SPF (RFC 7208), DKIM (RFC 6376, 8301, 8463), DMARC (RFC 7489), ARC (RFC 8617), and the field
//! that reports the results (RFC 8601).
//!
//! What a stranger wrote is read here: every parser has limits, none panics, and what is not understood never passes. A temporary
//! DNS failure is a temporary error.

pub mod arc;
pub mod dkim;
pub mod dmarc;
pub mod domain;
#[cfg(test)]
mod forge;
pub mod fuzz;
mod message;
pub mod report;
pub mod results;
pub mod spf;
mod tags;
#[cfg(test)]
mod zone;

pub use self::message::{Checks, Judgement, Moment, Watch};
