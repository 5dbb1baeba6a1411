//! DMARC: whether sender or signature belong to the author's domain, and what that domain asks for if not (RFC 7489).
//!
//! The organizational domain is found by walking up the DNS tree, as in the revised standard (DMARCbis, "DNS Tree Walk"), not
//! with a public suffix list, which becomes outdated: `docs/decisions/0009-judging.md`.

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
