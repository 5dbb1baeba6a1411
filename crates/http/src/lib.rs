//! An HTTP server for few, known clients: monitors and probes, and programs and people that administer.
//!
//! It accepts on a port or a socket in the file system and hands requests to a router of [`axum`]. Everything that a client can
//! enlarge or prolong has a limit (see [`Limits`]): connections, the header and body of a request, the time for each step. A
//! connection carries one request after the other (HTTP/1.1), with or without TLS, and no other protocol: no HTTP/2, no upgrade.
//!
//! It knows nothing about mail. It decides who may connect, by network, or by the rights of a socket in the file system. Each
//! request carries its client ([`Peer`]).

mod limits;
mod serve;
mod shares;
mod stall;

pub use axum;

pub use self::limits::{Limits, Peers};
pub use self::serve::{HttpListener, Peer, Tls, serve};
