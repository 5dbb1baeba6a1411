//! Bearer tokens: OAUTHBEARER (RFC 7628) and XOAUTH2, Google's and Microsoft's older variant.
//!
//! Whether a token is valid is up to the driver; this module only handles how it is transferred, and how a
//! refusal is reported.

mod client;
mod message;
mod server;

pub(crate) use client::TokenClient;
pub(crate) use message::Form;
pub use message::TOKEN_MAX;
pub(crate) use server::TokenServer;

#[cfg(test)]
mod tests;
