//! OAuth 2.0: whose a bearer token is (`verify`), and the HTTPS client for providers (`http`, `discovery`).

pub mod discovery;
pub mod http;
pub mod verify;
