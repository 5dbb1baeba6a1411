//! Bodies: in memory while small, in a file of their own once larger.

mod bodies;
mod folder;
mod reader;
mod store;
mod writer;

pub(crate) use folder::{BodyFolder, sync_folder};
pub use reader::BodyReader;
pub use store::BodyFile;
pub(crate) use store::{BodyStore, Damaged, Discard};
pub use writer::BodyWriter;

/// Octets that are written to or read from a body file at a time. A message in transfer has at most two such pieces.
pub(crate) const PIECE: usize = 128 * 1024;
