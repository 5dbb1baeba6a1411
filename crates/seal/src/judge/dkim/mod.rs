//! DKIM: the results for the signatures of a message (RFC 6376, 8301, 8463).
//!
//! A [`Signature`] is read from its field; what is wrong with it before its key is known is a [`Fault`]. The hash of the body is
//! made while the body arrives ([`Hashers`]), one for each combination that signatures ask for, so that no body is kept.

mod hashers;
mod key;
mod key_fault;
mod signature;
#[cfg(test)]
mod tests;
mod verify;

pub use self::hashers::{HashOf, Hashers, Hashes};
pub use self::key::Key;
pub use self::key_fault::KeyFault;
pub use self::signature::{Fault, Kind, Signature};
pub use self::verify::{Covered, Outcome, Signatures, best};
pub(crate) use self::verify::{itself, verify};
