//! SMTP as server and client, without sockets: framing, commands, replies, extensions, bodies.
//!
//! Bytes and verdicts come in, replies and questions go out. Nothing here opens a socket, reads a
//! clock, draws a random number, or awaits.

pub mod reply;

pub use reply::Reply;
