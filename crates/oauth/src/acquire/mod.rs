//! Tokens with which this server logs in to others: fetched, renewed before they expire, shared, and stored encrypted.
//!
//! | Module | What it is for |
//! | --- | --- |
//! | `settings` | what a login's tokens are fetched with |
//! | `request` | the token endpoint (RFC 6749): client credentials and refresh tokens |
//! | `device` | the first refresh token, by a person with a browser (RFC 8628) |
//! | `source` | one login's token: one fetch for all who ask, renewal, waits after failures |
//! | `folder` | the folder of those files, safe for root to write into |
//! | `store` | the file in which token and refresh token outlive a restart |
//!
//! A refresh token that the provider replaces is on stable storage before it is used: with many providers, the old one is
//! then no longer valid.

mod device;
mod folder;
mod request;
mod settings;
mod source;
mod store;

pub use device::{Device, DeviceError, Poll};
pub use request::{AcquireError, Fetched};
pub use settings::{ClientAuthentication, Grant, TokenSettings};
pub use source::{TokenSource, TokenStanding};
pub use store::{Stored, TokenStore, TokenStoreError};
