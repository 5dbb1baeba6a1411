//! An HTTP server for a few known clients: a monitor that scrapes metrics, a health probe.
//!
//! It listens on a port or a Unix socket and passes requests to an [`axum`] router. Everything that a client can make grow or
//! last has a limit (see [`Limits`]): connections, the header and body of a request, the time for each step. Requests on a
//! connection are answered one after the other (HTTP/1.1), and nothing else is spoken: no TLS, no HTTP/2, no upgrade.
//!
//! It knows no mail. Who may ask is decided here, by network; on a Unix socket its file permissions decide.

mod limits;
mod serve;
mod stall;

pub use axum;

pub use self::limits::{Limits, Peers};
pub use self::serve::{HttpListener, serve};
