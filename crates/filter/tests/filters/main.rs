//! Filters over their sockets: real ones (libmilter through python3-milter, opendkim), and one that does everything wrong that a
//! program can.

mod actions;
mod better;
mod header;
mod misbehaviour;
mod real;
mod reuse;
mod support;
