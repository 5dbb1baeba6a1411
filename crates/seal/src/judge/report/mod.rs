//! Aggregate reports of DMARC (RFC 7489 section 7.2): the use of a domain on one day, gathered and written for sending.
//!
//! What strangers can make grow has limits: domains, rows of a domain, and so the size of a report.

mod external;
mod gather;
#[cfg(test)]
mod tests;
mod write;

pub use self::external::{Permission, may_receive};
pub use self::gather::{Day, Gathered, Policy, Row, Tally};
pub use self::write::{Report, Reporter, attachment_name, message};
