//! Sessions and messages of the last days on disk, found by what is known of them, and the acts of administrators.
//!
//! [`History`] is an observer's other half: events wait in a bounded piece of memory ([`History::observer`]), and a thread of its own
//! makes stories of them, one of each session and one of each message, and writes those in batches. Nothing of it is ever on the way of
//! a message: where it cannot follow, events are dropped and counted. [`Archive`] reads the files, whether a server runs or not.

mod acts;
mod archive;
mod chunk;
mod index;
mod inlet;
mod name;
mod part;
mod read;
mod rescue;
mod room;
mod stories;
mod term;
mod varint;
mod writer;

pub use acts::{ACTS, Act, Acts, ActsError};
pub use archive::{Archive, ArchiveError, Found, Kind, Query, Story, Usage};
pub use name::Class;
pub use term::{OUTCOMES, Term};
pub use writer::{Counts, History, Settings};
