//! Where a filter's new body is written, and memory for its other changes.

use std::future::Future;
use std::io;

/// Takes a new body, piece by piece.
///
/// A new body costs a second copy. What was written counts only if the filter's final answer lets the message through; otherwise
/// it must be discarded.
pub trait NewBody: Send {
    /// Takes the next piece. All line ends are CRLF, none is split, and the last line has a line end.
    ///
    /// # Errors
    ///
    /// If there is no room for it. Then the filter has not failed.
    fn write(&mut self, piece: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Reserves memory for this many octets of changes to header and envelope in all, which are kept until the final answer. By
    /// default there is room for everything that the settings allow.
    ///
    /// # Errors
    ///
    /// If there is none. Then the filter has not failed.
    fn room_for_changes(&mut self, octets: usize) -> io::Result<()> {
        let _ = octets;
        Ok(())
    }
}

/// In memory: for tests, and for messages known to be small.
impl NewBody for Vec<u8> {
    async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.extend_from_slice(piece);
        Ok(())
    }
}
