//! OAuth 2.0: verifying bearer tokens (`verify`), the HTTPS client for providers (`http`, `discovery`), and tokens for this
//! server's own logins (`acquire`).

pub mod acquire;
mod clock;
pub mod discovery;
pub mod http;
mod lenient;
pub mod verify;
