//! DMARC: whether sender or signature belong to the author's domain, and what that domain asks for if not (RFC 7489).
//!
//! Which domain has the say over others is found by walking up DNS, as the revision of the standard has it (DMARCbis, "DNS Tree
//! Walk"), not by a list of public suffixes that grows old: `docs/decisions/0009-judging.md`.

mod author;
mod check;
mod record;
#[cfg(test)]
mod tests;
mod walk;

pub use self::author::{NoAuthor, author};
pub use self::check::{Outcome, Published, check};
pub use self::record::{Psd, Record, ReportUri};
pub use self::walk::organization;
