//! Decodes message bodies: dots and line endings of `DATA`, chunks of `BDAT`.
//!
//! A faulty body is still read to its end, though nothing of it is kept: otherwise the rest would
//! be taken for commands.

use memchr::memchr2;

pub use crate::line::BareLineEndings;

/// What bodies are accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BodyRules {
    /// Most octets after unstuffing, counting every CRLF but not the final dot line, as `SIZE` does
    /// (RFC 1870 section 5). 0 for no limit.
    pub size_max: u64,
    /// Longest line in octets, with its CRLF (RFC 5321 section 4.5.3.1.6 asks for 1,000 at least).
    /// 0 for no limit.
    pub line_max: usize,
    /// What to do with a CR or LF without the other.
    pub bare: BareLineEndings,
}

/// How many octets past [`BodyRules::size_max`] are still read of a refused body: a client that does not know the limit reads the
/// refusal only after it has sent everything, and retries for days if the connection breaks instead.
const EXCESS_MAX: u64 = 16 << 20;

impl BodyRules {
    /// How many octets of a refused body or chunk are read. Beyond that the refusal is sent at once and the connection closed.
    #[must_use]
    pub fn read_max(&self) -> u64 {
        match self.size_max {
            0 => u64::MAX,
            most => most.saturating_add(EXCESS_MAX),
        }
    }
}

/// Why a body is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyFault {
    /// A bare CR or LF. Nothing after it can be trusted: reply and close the connection.
    #[error("bare CR or LF in the body")]
    BareLineEnding,
    /// Larger than [`BodyRules::size_max`].
    #[error("body too large")]
    TooLarge,
    /// A line longer than [`BodyRules::line_max`].
    #[error("line too long")]
    LineTooLong,
}

/// The result of one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Decoded<'a> {
    /// Octets of the input that were used up. Call again with the rest, if any.
    pub consumed: usize,
    /// The next octets of the body.
    pub text: &'a [u8],
    /// Whether the body, or the chunk, ended here. What follows is commands.
    pub ended: bool,
}

const CRLF: &[u8] = b"\r\n";

/// Decodes the body of one `DATA`.
///
/// Input may be cut anywhere, even between CR and LF; the result does not depend on where. Lines keep
/// their CRLF, and a dot at the start of a line is dropped. Only CRLF, dot, CRLF ends the body, whatever [`BareLineEndings`]
/// says.
///
/// RFC 5321 sections 2.3.8, 4.1.1.4 and 4.5.2.
#[derive(Debug)]
pub struct DataDecoder {
    text: TextScan,
}

/// Decodes the chunks of one message sent with `BDAT` (RFC 3030 section 2).
///
/// In a text body, line endings follow the same rules as in `DATA`, also across chunk boundaries. A
/// body declared `BINARYMIME` is taken as it is.
#[derive(Debug)]
pub struct ChunkDecoder {
    text: TextScan,
    binary: bool,
    remaining: u64,
}

impl DataDecoder {
    /// Starts at the first octet after `DATA` CRLF.
    #[must_use]
    pub fn new(rules: BodyRules) -> Self {
        Self {
            text: TextScan::new(rules, true),
        }
    }

    /// Decodes the first part of `input`: as much as can be handed out unchanged.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Decoded<'a> {
        self.text.decode(input)
    }

    /// What is wrong with the body so far.
    #[must_use]
    pub fn fault(&self) -> Option<BodyFault> {
        self.text.fault
    }

    /// Octets of the body so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.text.size
    }
}

impl ChunkDecoder {
    /// Starts before the first chunk.
    #[must_use]
    pub fn new(rules: BodyRules, binary: bool) -> Self {
        Self {
            text: TextScan::new(rules, false),
            binary,
            remaining: 0,
        }
    }

    /// Says that a chunk of `size` octets follows.
    pub fn begin(&mut self, size: u64) {
        self.remaining = size;
    }

    /// Octets of the chunk that are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Decodes a part of `input` that lies within the chunk; `ended` says that the chunk is over.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Decoded<'a> {
        let within = usize::try_from(self.remaining).map_or(input.len(), |left| left.min(input.len()));
        let input = &input[..within];
        let mut decoded = if self.binary {
            Decoded {
                consumed: input.len(),
                text: self.text.keep(input),
                ended: false,
            }
        } else {
            self.text.decode(input)
        };
        self.remaining -= decoded.consumed as u64;
        decoded.ended = self.remaining == 0;
        decoded
    }

    /// Says that the message ends here, and gives the octets held back: a CR at the very end.
    pub fn finish(&mut self) -> &'static [u8] {
        self.text.finish()
    }

    /// What is wrong with the body so far.
    #[must_use]
    pub fn fault(&self) -> Option<BodyFault> {
        self.text.fault
    }

    /// Octets of the body so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.text.size
    }
}

/// Where in a line the scan is. The octets seen in `Dot`, `DotCr` and `Cr` are held back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Position {
    /// After a CRLF, or at the start of the body.
    LineStart,
    /// Anywhere else.
    Text,
    /// After a dot at the start of a line.
    Dot,
    /// After a dot and a CR at the start of a line.
    DotCr,
    /// After a CR.
    Cr,
}

#[derive(Debug)]
struct TextScan {
    rules: BodyRules,
    dots: bool,
    position: Position,
    size: u64,
    /// Octets of the current line that earlier calls handed out.
    line: usize,
    fault: Option<BodyFault>,
}

impl TextScan {
    fn new(rules: BodyRules, dots: bool) -> Self {
        Self {
            rules,
            dots,
            position: Position::LineStart,
            size: 0,
            line: 0,
            fault: None,
        }
    }

    fn decode<'a>(&mut self, input: &'a [u8]) -> Decoded<'a> {
        let Some(&first) = input.first() else {
            return Decoded {
                consumed: 0,
                text: b"",
                ended: false,
            };
        };
        match (self.position, first) {
            (Position::Dot, b'\r') => self.hold(Position::DotCr),
            (Position::DotCr, b'\n') => {
                self.position = Position::LineStart;
                Decoded {
                    consumed: 1,
                    text: b"",
                    ended: true,
                }
            }
            (Position::Cr, b'\n') => {
                self.position = Position::LineStart;
                self.line_end(1)
            }
            (Position::Cr | Position::DotCr, _) => {
                self.position = Position::Text;
                self.bare(0)
            }
            (Position::LineStart | Position::Text | Position::Dot, b'\n') => {
                self.position = Position::Text;
                self.bare(1)
            }
            (Position::LineStart, b'.') if self.dots => self.hold(Position::Dot),
            (Position::LineStart | Position::Text | Position::Dot, _) => self.scan(input),
        }
    }

    /// Goes through `input` line by line, up to the first octet to be dropped or inserted. Its first octet is neither held nor
    /// special.
    fn scan<'a>(&mut self, input: &'a [u8]) -> Decoded<'a> {
        let mut line_start = 0;
        let mut position = Position::Text;
        let end = loop {
            let Some(offset) = memchr2(b'\r', b'\n', &input[line_start..]) else {
                break input.len();
            };
            let at = line_start + offset;
            match (input[at], input.get(at + 1)) {
                (b'\r', Some(b'\n')) => {
                    self.check_line(at + 2 - line_start);
                    line_start = at + 2;
                    match input.get(line_start) {
                        Some(b'.') if self.dots => {
                            position = Position::LineStart;
                            break line_start;
                        }
                        Some(_) => {}
                        None => {
                            position = Position::LineStart;
                            break line_start;
                        }
                    }
                }
                (b'\r', _) => {
                    position = Position::Cr;
                    break at;
                }
                _ => break at,
            }
        };
        self.line += end - line_start;
        if self.rules.line_max > 0 && self.line > self.rules.line_max {
            self.blame(BodyFault::LineTooLong);
        }
        let held = usize::from(position == Position::Cr);
        self.position = position;
        Decoded {
            consumed: end + held,
            text: self.keep(&input[..end]),
            ended: false,
        }
    }

    fn hold(&mut self, position: Position) -> Decoded<'static> {
        self.position = position;
        Decoded {
            consumed: 1,
            text: b"",
            ended: false,
        }
    }

    fn line_end(&mut self, consumed: usize) -> Decoded<'static> {
        self.check_line(CRLF.len());
        Decoded {
            consumed,
            text: self.keep(CRLF),
            ended: false,
        }
    }

    /// A CR or LF stands alone: the line ends there, or the body is refused.
    fn bare(&mut self, consumed: usize) -> Decoded<'static> {
        match self.rules.bare {
            BareLineEndings::Normalise => self.line_end(consumed),
            BareLineEndings::Refuse => {
                self.blame(BodyFault::BareLineEnding);
                Decoded {
                    consumed,
                    text: b"",
                    ended: false,
                }
            }
        }
    }

    fn finish(&mut self) -> &'static [u8] {
        if self.position != Position::Cr {
            return b"";
        }
        self.position = Position::Text;
        self.bare(0).text
    }

    /// Ends a line, of which `octets` have not been counted yet.
    fn check_line(&mut self, octets: usize) {
        if self.rules.line_max > 0 && self.line + octets > self.rules.line_max {
            self.blame(BodyFault::LineTooLong);
        }
        self.line = 0;
    }

    /// Counts what is to be handed out; returns nothing of a faulty body.
    fn keep<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        self.size = self.size.saturating_add(text.len() as u64);
        if self.rules.size_max > 0 && self.size > self.rules.size_max {
            self.blame(BodyFault::TooLarge);
        }
        if self.fault.is_some() { b"" } else { text }
    }

    /// The first fault counts, except that a bare line ending overrides it: it decides whether the session goes on.
    fn blame(&mut self, fault: BodyFault) {
        if self.fault.is_none() || fault == BodyFault::BareLineEnding {
            self.fault = Some(fault);
        }
    }
}

#[cfg(test)]
mod tests;
