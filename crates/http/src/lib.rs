//! An HTTP server for few and known clients: monitors and probes, programs and people that administer.
//!
//! It accepts on a port or a socket of the file system and hands requests to a router of [`axum`]. Everything that a client can make
//! grow or last has a limit (see [`Limits`]): connections, the header and body of a request, the time for each step. One request after the other is
//! answered on a connection (HTTP/1.1), in the clear or inside TLS, and nothing else is spoken: no HTTP/2, no upgrade.
//!
//! It knows no mail. Who may connect is decided here, by network; on a socket of the file system by its rights. Who a request comes from
//! is told with it ([`Peer`]).

mod limits;
mod serve;
mod stall;

pub use axum;

pub use self::limits::{Limits, Peers};
pub use self::serve::{HttpListener, Peer, Tls, serve};
