//! An HTTP server for few and known clients: a monitor that scrapes numbers, a probe that asks for health.
//!
//! It accepts on a port or a socket of the file system and hands requests to a router of [`axum`]. Everything that a client can make
//! grow or last has a limit (see [`Limits`]): connections, the header and body of a request, the time for each step. One request after the other is
//! answered on a connection (HTTP/1.1), and nothing else is spoken: no TLS, no HTTP/2, no upgrade.
//!
//! It knows no mail. Who may ask is decided here, by network; on a socket of the file system by its rights.

mod limits;
mod serve;
mod stall;

pub use axum;

pub use self::limits::{Limits, Peers};
pub use self::serve::{HttpListener, serve};
