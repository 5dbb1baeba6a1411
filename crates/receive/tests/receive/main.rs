//! The receiver over real sockets, with a real queue, real directories and real certificates.

#![allow(clippy::unwrap_used)]

mod access;
mod dialogues;
mod facts;
mod harness;
mod inspectors;
mod limits;
mod login;
mod mechanisms;
mod memory;
mod messages;
mod milters;
mod recipients;
mod screen;
mod sockets;
mod srs;
mod standing;
mod stop;
mod timers;
