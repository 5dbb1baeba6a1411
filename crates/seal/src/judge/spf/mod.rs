//! SPF: whether the sender's domain allows this client to send for it (RFC 7208).

mod check;
mod expand;
mod record;
#[cfg(test)]
mod tests;

pub use self::check::{Asked, Identity, Outcome, check};
pub use self::record::{Record, SyntaxError};
