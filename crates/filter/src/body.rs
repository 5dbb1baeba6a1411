//! Where a new body goes that a filter gives, and room for what else it wants changed.

use std::future::Future;
use std::io;

/// Takes a new body, piece by piece.
///
/// A filter that gives one costs a second copy of the body. What has been written counts only if the filter's final answer lets
/// the message through; else it is to be thrown away.
pub trait NewBody: Send {
    /// Takes the next piece. All line ends are CRLF, none is cut in two, and the last line has its end.
    ///
    /// # Errors
    ///
    /// When there is no room for it. The filter has not failed then.
    fn write(&mut self, piece: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Makes room in memory for so many octets of changes to header and envelope in all, which are kept up to the final answer. The default
    /// has room for all that the settings allow.
    ///
    /// # Errors
    ///
    /// When there is none. The filter has not failed then.
    fn room_for_changes(&mut self, octets: usize) -> io::Result<()> {
        let _ = octets;
        Ok(())
    }
}

/// Into memory: for tests, and for messages that are known to be small.
impl NewBody for Vec<u8> {
    async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.extend_from_slice(piece);
        Ok(())
    }
}
