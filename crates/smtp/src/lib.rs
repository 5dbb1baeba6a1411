//! SMTP as server and client, without sockets: framing, commands, replies, extensions, bodies.
//!
//! Bytes and verdicts come in, replies and questions go out. Nothing here opens a socket, reads a
//! clock, draws a random number, or awaits.

pub mod body;
pub mod client;
pub mod command;
pub mod extension;
pub mod fuzz;
pub mod line;
pub mod reply;
pub mod server;

pub use reply::Reply;
