//! SCRAM (RFC 5802, RFC 7677) with and without channel binding: both sides prove that they know the password, and the
//! server stores nothing that is enough to log in.

mod client;
mod hash;
mod keys;
mod message;
mod server;

pub(crate) use client::ScramClient;
pub use hash::ScramHash;
pub use keys::{ITERATIONS_DEFAULT, ITERATIONS_MAX, ITERATIONS_MIN, SALT_MAX, ScramKeys, ScramShape};
pub(crate) use message::{escape, unescape};
pub(crate) use server::ScramServer;

/// The registered name of the mechanism.
pub(crate) const fn name(hash: ScramHash, plus: bool) -> &'static str {
    match (hash, plus) {
        (ScramHash::Sha1, false) => "SCRAM-SHA-1",
        (ScramHash::Sha1, true) => "SCRAM-SHA-1-PLUS",
        (ScramHash::Sha256, false) => "SCRAM-SHA-256",
        (ScramHash::Sha256, true) => "SCRAM-SHA-256-PLUS",
        (ScramHash::Sha512, false) => "SCRAM-SHA-512",
        (ScramHash::Sha512, true) => "SCRAM-SHA-512-PLUS",
    }
}

#[cfg(test)]
mod tests;
