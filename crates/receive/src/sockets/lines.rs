//! Lines from another server, bounded in length, and wiped after use.

use std::io;

use postern_authwire::dovecot::LINE_MAX;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// Reads lines. Its buffer is allocated once: growing would leave copies of passwords behind.
pub(super) struct Lines<R> {
    from: R,
    room: Zeroizing<Vec<u8>>,
    filled: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            room: Zeroizing::new(vec![0; LINE_MAX + 1]),
            filled: 0,
        }
    }

    /// The next line without its end; `None` when the connection is closed. Cancellation-safe.
    ///
    /// # Errors
    ///
    /// An error of the operating system; [`io::ErrorKind::InvalidData`] for a line over
    /// [`LINE_MAX`].
    pub(super) async fn next(&mut self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        loop {
            if let Some(at) = self.room[..self.filled].iter().position(|octet| *octet == b'\n') {
                let line = Zeroizing::new(self.room[..at].to_vec());
                self.room.copy_within(at + 1..self.filled, 0);
                let before = self.filled;
                self.filled -= at + 1;
                self.room[self.filled..before].fill(0);
                return Ok(Some(line));
            }
            if self.filled == self.room.len() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
            }
            match self.from.read(&mut self.room[self.filled..]).await? {
                0 => return Ok(None),
                count => self.filled += count,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_end_where_they_end() {
        let mut lines = Lines::new(&b"one\n\ntwo\nrest"[..]);
        for expected in [&b"one"[..], b"", b"two"] {
            assert_eq!(lines.next().await.unwrap().unwrap().as_slice(), expected);
        }
        assert!(
            lines.next().await.unwrap().is_none(),
            "a line without an end is none"
        );
        let long = vec![b'a'; LINE_MAX + 2];
        assert!(Lines::new(&long[..]).next().await.is_err());
        let mut longest = vec![b'a'; LINE_MAX];
        longest.push(b'\n');
        assert_eq!(
            Lines::new(&longest[..]).next().await.unwrap().unwrap().len(),
            LINE_MAX
        );
    }
}
