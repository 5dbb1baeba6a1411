//! The receiver over real sockets, with a real queue, real directories and real certificates.

mod dialogues;
mod harness;
mod limits;
mod login;
mod messages;
mod stop;
