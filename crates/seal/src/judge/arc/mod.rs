//! ARC: what forwarders found before they changed a message, and whether their chain is valid (RFC
//! 8617).

mod chain;
mod seal;
#[cfg(test)]
mod tests;
mod verify;

pub use self::chain::{Chain, Link, Validation};
pub use self::seal::{Found, NotSealed, Sealer, seal};
pub use self::verify::{Outcome, Witness, check};
