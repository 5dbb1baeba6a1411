//! OAuth 2.0: verifying bearer tokens (`verify`), the HTTPS client for providers (`http`, `discovery`), and tokens for this
//! server's own logins (`acquire`).

pub mod acquire;
mod clock;
pub mod discovery;
mod lenient;
pub mod verify;

/// The HTTPS client.
pub use postern_https as http;
