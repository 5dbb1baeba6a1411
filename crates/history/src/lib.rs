//! Sessions and messages of the last days on disk, searchable by what is known about them, and the actions of administrators.
//!
//! [`History`] is an observer's other half: events wait in bounded memory ([`History::observer`]), and a separate thread turns
//! them into stories, one for each session and one for each message, and writes those in batches. A message never waits for it:
//! if it cannot keep up, events are dropped and counted. [`Archive`] reads the files, whether a server is running or not.

mod acts;
mod archive;
mod chunk;
mod error;
mod files;
mod index;
mod inlet;
mod name;
mod part;
mod read;
mod rescue;
mod room;
mod row_terms;
mod runs;
mod schema;
mod shared;
mod stories;
mod story;
mod term;
mod texts;
mod varint;
mod writer;

pub use acts::{ACTS, Act, Acts, ActsError};
pub use archive::{Archive, ArchiveError, Found, Usage};
pub use name::Class;
pub use shared::{Counts, Settings};
pub use story::{Kind, Query, Story};
pub use term::{OUTCOMES, Term};
pub use writer::History;
