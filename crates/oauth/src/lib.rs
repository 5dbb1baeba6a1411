//! OAuth 2.0: whose a bearer token is (`verify`), and the HTTPS client for providers (`http`, `discovery`), and tokens for logins of this server's own (`acquire`).

pub mod acquire;
mod clock;
pub mod discovery;
pub mod http;
mod lenient;
pub mod verify;
