//! Bearer tokens: OAUTHBEARER (RFC 7628) and XOAUTH2, Google's and Microsoft's older form of it.
//!
//! Whether a token holds is the driver's to find out; here is only how it is carried, and how a refusal is told.

mod client;
mod message;
mod server;

pub(crate) use client::TokenClient;
pub(crate) use message::Form;
pub use message::TOKEN_MAX;
pub(crate) use server::TokenServer;

#[cfg(test)]
mod tests;
