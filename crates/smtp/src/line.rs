//! Framing of command lines (RFC 5321 sections 2.3.8 and 4.5.3.1.4).

use memchr::memchr;

/// What to do about a CR or LF that does not come as a pair.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BareLineEndings {
    /// Refuse the line or the message. Servers disagree on what a bare one means, which lets one message be smuggled inside
    /// another.
    #[default]
    Refuse,
    /// Treat it as a line end and pass it on as CRLF. A dot ends the data only between two real CRLF.
    Normalise,
}

/// What the start of the buffer holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framed {
    /// No complete line yet. Drop `discard` octets (they belong to a line that is too long) and read more.
    Incomplete {
        /// Octets to drop now.
        discard: usize,
    },
    /// A line of `len` octets, which with its ending takes up `consumed` octets.
    Line {
        /// Length of the text.
        len: usize,
        /// Length with the ending.
        consumed: usize,
    },
    /// A line over the limit; its last `consumed` octets are here. Answer `500 5.5.2`.
    TooLong {
        /// Octets to drop.
        consumed: usize,
    },
    /// A line that ends in a bare LF where that is refused. Answer `500 5.5.2`.
    BareLineFeed {
        /// Octets to drop.
        consumed: usize,
    },
}

/// Finds the lines of a stream that arrives in pieces. No octet is searched twice.
#[derive(Debug, Default)]
pub struct LineFramer {
    /// Octets of the buffer known to hold no LF.
    scanned: usize,
    /// Whether the current line was found too long and its start dropped.
    overlong: bool,
}

impl LineFramer {
    /// Starts at the beginning of a line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for the next line in `buffer`, which starts where the last call's `consumed` or `discard` ended.
    ///
    /// `max` counts the line with its ending. A longer one is dropped as it arrives, so that the
    /// buffer never holds more than `max` octets plus one read.
    pub fn next(&mut self, buffer: &[u8], max: usize, bare: BareLineEndings) -> Framed {
        let Some(offset) = memchr(b'\n', &buffer[self.scanned..]) else {
            if self.overlong || buffer.len() >= max {
                self.overlong = true;
                self.scanned = 0;
                return Framed::Incomplete {
                    discard: buffer.len(),
                };
            }
            self.scanned = buffer.len();
            return Framed::Incomplete { discard: 0 };
        };
        let end = self.scanned + offset;
        let consumed = end + 1;
        self.scanned = 0;
        if std::mem::take(&mut self.overlong) || consumed > max {
            return Framed::TooLong { consumed };
        }
        let paired = end > 0 && buffer[end - 1] == b'\r';
        match (paired, bare) {
            (true, _) => Framed::Line {
                len: end - 1,
                consumed,
            },
            (false, BareLineEndings::Normalise) => Framed::Line { len: end, consumed },
            (false, BareLineEndings::Refuse) => Framed::BareLineFeed { consumed },
        }
    }

    /// Forgets a partial line, as when TLS starts.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every line as text, a too long one as `!long`, a bare one as `!bare`; fed in the pieces given.
    fn frame(pieces: &[&[u8]], max: usize, bare: BareLineEndings) -> Vec<String> {
        let mut framer = LineFramer::new();
        let (mut buffer, mut lines) = (Vec::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                let consumed = match framer.next(&buffer, max, bare) {
                    Framed::Incomplete { discard } => {
                        buffer.drain(..discard);
                        break;
                    }
                    Framed::Line { len, consumed } => {
                        lines.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
                        consumed
                    }
                    Framed::TooLong { consumed } => {
                        lines.push("!long".into());
                        consumed
                    }
                    Framed::BareLineFeed { consumed } => {
                        lines.push("!bare".into());
                        consumed
                    }
                };
                buffer.drain(..consumed);
            }
            assert!(buffer.len() < max.max(1), "the buffer stays below the limit");
        }
        lines
    }

    #[test]
    fn lines_cut_anywhere() {
        use BareLineEndings::{Normalise, Refuse};
        #[rustfmt::skip]
        let cases: [(&str, &str, BareLineEndings, &[&str]); 8] = [
            ("one line",                  "NOOP\r\n",             Refuse,    &["NOOP"]),
            ("two lines at once",         "NOOP\r\nQUIT\r\n",     Refuse,    &["NOOP", "QUIT"]),
            ("an empty line",             "\r\n",                 Refuse,    &[""]),
            ("eight octets are allowed",  "ABCDEF\r\n",           Refuse,    &["ABCDEF"]),
            ("nine are not",              "ABCDEFG\r\nNOOP\r\n",  Refuse,    &["!long", "NOOP"]),
            ("bare LF refused",           "NO\nQUIT\r\n",         Refuse,    &["!bare", "QUIT"]),
            ("bare LF taken",             "NO\nQUIT\r\n",         Normalise, &["NO", "QUIT"]),
            ("a bare CR stays inside",    "A\rB\r\n",             Refuse,    &["A\rB"]),
        ];
        for (shows, input, bare, lines) in cases {
            for cut in 0..=input.len() {
                let (head, tail) = input.as_bytes().split_at(cut);
                assert_eq!(frame(&[head, tail], 8, bare), lines, "{shows}, cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_lines_do_not_depend_on_the_pieces(
            input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a'), any::<u8>()], 0..80),
            cuts in proptest::collection::vec(0_usize..80, 0..6),
        ) {
            let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            places.extend([0, input.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            prop_assert_eq!(
                frame(&pieces, 12, BareLineEndings::Refuse),
                frame(&[&input], 12, BareLineEndings::Refuse)
            );
        }
    }
}
