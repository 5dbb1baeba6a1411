//! Decodes message bodies: dots and line endings of `DATA`, chunks of `BDAT`.
//!
//! A body that is found wrong is still read to its end, without a word of it being kept: were the
//! rest left unread, it would be taken for commands.

use memchr::memchr2;

pub use crate::line::BareLineEndings;

/// What a body may be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BodyRules {
    /// Most octets after unstuffing, every CRLF counted and the final dot line not, as `SIZE` does
    /// (RFC 1870 section 5). 0 for no limit.
    pub size_max: u64,
    /// Most octets of a line with its CRLF (RFC 5321 section 4.5.3.1.6 asks for 1,000 at least).
    /// 0 for no limit.
    pub line_max: usize,
    /// What becomes of a CR or LF without the other.
    pub bare: BareLineEndings,
}

/// Why a body cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyFault {
    /// A bare CR or LF. Nothing behind it can be trusted: reply and close the connection.
    #[error("bare CR or LF in the body")]
    BareLineEnding,
    /// Larger than [`BodyRules::size_max`].
    #[error("body too large")]
    TooLarge,
    /// A line longer than [`BodyRules::line_max`].
    #[error("line too long")]
    LineTooLong,
}

/// What one call has decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Decoded<'a> {
    /// Octets of the input that are done with. Call again with the rest, if any.
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
/// their CRLF, and a dot that opens a line is dropped. Only CRLF, dot, CRLF ends the body, whatever
/// [`BareLineEndings`] says.
///
/// RFC 5321 sections 2.3.8, 4.1.1.4 and 4.5.2.
#[derive(Debug)]
pub struct DataDecoder {
    text: TextScan,
}

/// Decodes the chunks of one message sent with `BDAT` (RFC 3030 section 2).
///
/// In a body that is text, line endings are held to the same rules as in `DATA`, across the borders
/// of chunks too. A body declared `BINARYMIME` is taken as it is.
#[derive(Debug)]
pub struct ChunkDecoder {
    text: TextScan,
    binary: bool,
    remaining: u64,
}

impl DataDecoder {
    /// Starts at the first octet behind `DATA` CRLF.
    #[must_use]
    pub fn new(rules: BodyRules) -> Self {
        Self {
            text: TextScan::new(rules, true),
        }
    }

    /// Decodes a part of `input`: as far as the octets can be handed out as they stand.
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

/// Where in a line the scan stands. What `Dot`, `DotCr` and `Cr` have seen is held back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Position {
    /// Behind a CRLF, or at the start of the body.
    LineStart,
    /// Anywhere else.
    Text,
    /// Behind a dot at the start of a line.
    Dot,
    /// Behind a dot and a CR at the start of a line.
    DotCr,
    /// Behind a CR.
    Cr,
}

#[derive(Debug)]
struct TextScan {
    rules: BodyRules,
    dots: bool,
    position: Position,
    size: u64,
    /// Octets of the current line that earlier calls have handed out.
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

    /// Goes from line to line through `input`, whose first octet is neither held nor special, as far as
    /// nothing has to be left out or put in.
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

    /// Closes a line of which `octets` were not counted yet.
    fn check_line(&mut self, octets: usize) {
        if self.rules.line_max > 0 && self.line + octets > self.rules.line_max {
            self.blame(BodyFault::LineTooLong);
        }
        self.line = 0;
    }

    /// Counts what is to be handed out, and hands out nothing of a body that is found wrong.
    fn keep<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        self.size = self.size.saturating_add(text.len() as u64);
        if self.rules.size_max > 0 && self.size > self.rules.size_max {
            self.blame(BodyFault::TooLarge);
        }
        if self.fault.is_some() { b"" } else { text }
    }

    /// The first fault counts, but for a bare line ending: it decides whether the session goes on.
    fn blame(&mut self, fault: BodyFault) {
        if self.fault.is_none() || fault == BodyFault::BareLineEnding {
            self.fault = Some(fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Body, octets consumed if it ended, fault.
    type Outcome = (Vec<u8>, Option<usize>, Option<BodyFault>);

    fn decode(pieces: &[&[u8]], rules: BodyRules) -> Outcome {
        let mut decoder = DataDecoder::new(rules);
        let (mut body, mut total) = (Vec::new(), 0);
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let decoded = decoder.decode(rest);
                body.extend_from_slice(decoded.text);
                total += decoded.consumed;
                rest = &rest[decoded.consumed..];
                if decoded.ended {
                    return (body, Some(total), decoder.fault());
                }
            }
        }
        (body, None, decoder.fault())
    }

    fn rules(size_max: u64, line_max: usize, bare: BareLineEndings) -> BodyRules {
        BodyRules {
            size_max,
            line_max,
            bare,
        }
    }

    #[test]
    fn body_framing() {
        use BareLineEndings::{Normalise, Refuse};
        use BodyFault::{BareLineEnding, LineTooLong, TooLarge};
        let strict = rules(0, 0, Refuse);
        let small = rules(6, 0, Refuse);
        let narrow = rules(0, 4, Refuse);
        let mended = rules(0, 0, Normalise);
        #[rustfmt::skip]
        let cases: [(&str, BodyRules, &str, &str, Option<usize>, Option<BodyFault>); 35] = [
            // what the case shows          rules   input                   body            ends      fault
            ("empty body",                  strict, ".\r\n",                "",             Some(3),  None),
            ("one line",                    strict, "a\r\n.\r\n",           "a\r\n",        Some(6),  None),
            ("empty line",                  strict, "\r\n.\r\n",            "\r\n",         Some(5),  None),
            ("stuffed dot",                 strict, "..a\r\n.\r\n",         ".a\r\n",       Some(8),  None),
            ("stuffed dot alone",           strict, "..\r\n.\r\n",          ".\r\n",        Some(7),  None),
            ("dot that was not stuffed",    strict, ".a\r\n.\r\n",          "a\r\n",        Some(7),  None),
            ("dot inside a line",           strict, "a.\r\n.\r\n",          "a.\r\n",       Some(7),  None),
            ("next command is left",        strict, "a\r\n.\r\nQUIT\r\n",   "a\r\n",        Some(6),  None),
            ("final dot cut short",         strict, "a\r\n.\r",             "a\r\n",        None,     None),
            ("no end",                      strict, "a\r\nb",               "a\r\nb",       None,     None),

            ("exactly at the limit",        small,  "abcd\r\n.\r\n",        "abcd\r\n",     Some(9),  None),
            ("one octet over",              small,  "abcde\r\n.\r\n",       "",             Some(10), Some(TooLarge)),
            ("over, and read to the end",   small,  "a\r\nb\r\nc\r\n.\r\nX","",             Some(12), Some(TooLarge)),
            ("line at its limit",           narrow, "ab\r\n.\r\n",          "ab\r\n",       Some(7),  None),
            ("line over its limit",         narrow, "abc\r\n.\r\n",         "",             Some(8),  Some(LineTooLong)),
            ("line over without end",       narrow, "abcdef",               "",             None,     Some(LineTooLong)),

            ("LF dot CRLF",                 strict, "a\n.\r\nb\r\n.\r\n",   "a",            Some(11), Some(BareLineEnding)),
            ("CR dot CRLF",                 strict, "a\r.\r\nb\r\n.\r\n",   "a",            Some(11), Some(BareLineEnding)),
            ("LF dot LF",                   strict, "a\n.\nb\r\n.\r\n",     "a",            Some(10), Some(BareLineEnding)),
            ("CR dot CR",                   strict, "a\r.\rb\r\n.\r\n",     "a",            Some(10), Some(BareLineEnding)),
            ("CRLF dot LF",                 strict, "a\r\n.\nb\r\n.\r\n",   "a\r\n",        Some(11), Some(BareLineEnding)),
            ("CRLF dot CR",                 strict, "a\r\n.\rb\r\n.\r\n",   "a\r\n",        Some(11), Some(BareLineEnding)),
            ("CRLF dot CR CR LF",           strict, "a\r\n.\r\r\n.\r\n",    "a\r\n",        Some(10), Some(BareLineEnding)),
            ("CR CR LF dot CRLF",           strict, "a\r\r\n.\r\n",         "a",            Some(7),  Some(BareLineEnding)),
            ("LF LF dot CRLF",              strict, "a\n\n.\r\nb\r\n.\r\n", "a",            Some(12), Some(BareLineEnding)),
            ("bare CR at the first octet",  strict, "\ra\r\n.\r\n",         "",             Some(7),  Some(BareLineEnding)),

            ("LF dot CRLF mended",          mended, "a\n.\r\nb\r\n.\r\n",   "a\r\n.\r\nb\r\n", Some(11), None),
            ("CR dot CRLF mended",          mended, "a\r.\r\nb\r\n.\r\n",   "a\r\n.\r\nb\r\n", Some(11), None),
            ("LF dot LF mended",            mended, "a\n.\nb\r\n.\r\n",     "a\r\n.\r\nb\r\n", Some(10), None),
            ("CRLF dot LF mended",          mended, "a\r\n.\nb\r\n.\r\n",   "a\r\n\r\nb\r\n",  Some(11), None),
            ("CRLF dot CR mended",          mended, "a\r\n.\rb\r\n.\r\n",   "a\r\n\r\nb\r\n",  Some(11), None),
            ("CR CR LF mended",             mended, "a\r\r\n.\r\n",         "a\r\n\r\n",    Some(7),  None),
            ("a lone LF mended",            mended, "\n\r\n.\r\n",          "\r\n\r\n",     Some(6),  None),
            ("dots behind a bare LF stay",  mended, "a\n..\r\n.\r\n",       "a\r\n..\r\n",  Some(9),  None),
            ("a CR as last octet is held",  mended, "a\r",                  "a",            None,     None),
        ];
        // The peer chooses where a packet ends, so each case runs once for every place to cut it.
        for (shows, rules, input, body, ends, fault) in cases {
            for cut in 0..=input.len() {
                let (head, tail) = input.as_bytes().split_at(cut);
                let (got, consumed, blamed) = decode(&[head, tail], rules);
                assert_eq!((consumed, blamed), (ends, fault), "{shows}, cut at {cut}");
                if fault.is_none() {
                    assert_eq!(String::from_utf8_lossy(&got), body, "{shows}, cut at {cut}");
                }
            }
        }
    }

    fn chunks(pieces: &[&[u8]], binary: bool, bare: BareLineEndings) -> (Vec<u8>, Option<BodyFault>) {
        let mut decoder = ChunkDecoder::new(rules(0, 0, bare), binary);
        let mut body = Vec::new();
        for piece in pieces {
            decoder.begin(piece.len() as u64);
            let mut input = piece.to_vec();
            input.extend_from_slice(b"QUIT\r\n");
            let (mut rest, mut ended) = (&input[..], piece.is_empty());
            while !ended {
                let decoded = decoder.decode(rest);
                body.extend_from_slice(decoded.text);
                rest = &rest[decoded.consumed..];
                ended = decoded.ended;
            }
            assert_eq!(rest, b"QUIT\r\n", "what follows a chunk is left");
        }
        body.extend_from_slice(decoder.finish());
        (body, decoder.fault())
    }

    #[test]
    fn chunk_bodies() {
        use BareLineEndings::{Normalise, Refuse};
        let broken = Some(BodyFault::BareLineEnding);
        #[rustfmt::skip]
        let cases: [(&str, &[u8], bool, BareLineEndings, &[u8], Option<BodyFault>); 9] = [
            ("a text",                      b"a\r\nb\r\n",   false, Refuse,    b"a\r\nb\r\n",     None),
            ("dots mean nothing",           b".\r\n..a\r\n", false, Refuse,    b".\r\n..a\r\n",   None),
            ("an end that is no line's",    b"a\r\nb",       false, Refuse,    b"a\r\nb",         None),
            ("a bare LF",                   b"a\nb\r\n",     false, Refuse,    b"",               broken),
            ("a CR that nothing follows",   b"a\r",          false, Refuse,    b"",               broken),
            ("a CR at the end, mended",     b"a\r",          false, Normalise, b"a\r\n",          None),
            ("a bare LF, mended",           b"a\n.\r\n",     false, Normalise, b"a\r\n.\r\n",     None),
            ("binary is taken as it is",    b"\0\n\r\r\n.",  true,  Refuse,    b"\0\n\r\r\n.",    None),
            ("nothing at all",              b"",             false, Refuse,    b"",               None),
        ];
        for (shows, input, binary, bare, body, fault) in cases {
            for cut in 0..=input.len() {
                let (head, tail) = input.split_at(cut);
                let (got, blamed) = chunks(&[head, tail], binary, bare);
                assert_eq!(blamed, fault, "{shows}, cut at {cut}");
                if fault.is_none() {
                    assert_eq!(got, body, "{shows}, cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn a_chunk_over_the_limit_is_read_to_its_end() {
        let mut decoder = ChunkDecoder::new(rules(4, 0, BareLineEndings::Refuse), true);
        decoder.begin(6);
        assert_eq!(decoder.decode(b"abc").text, b"abc");
        let rest = decoder.decode(b"defQUIT");
        assert_eq!((rest.consumed, rest.text, rest.ended), (3, &b""[..], true));
        assert_eq!(decoder.fault(), Some(BodyFault::TooLarge));
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![3 => Just(b'\r'), 3 => Just(b'\n'), 3 => Just(b'.'), 2 => Just(b'a'), 1 => any::<u8>()];
        proptest::collection::vec(octet, 0..60)
    }

    fn cut<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut places: Vec<usize> = cuts.iter().map(|&cut| cut.min(input.len())).collect();
        places.extend([0, input.len()]);
        places.sort_unstable();
        places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #[test]
        fn the_body_does_not_depend_on_the_pieces(
            input in octets(),
            cuts in proptest::collection::vec(0_usize..60, 0..5),
            normalise: bool,
        ) {
            let bare = if normalise { BareLineEndings::Normalise } else { BareLineEndings::Refuse };
            let rules = rules(20, 12, bare);
            let (body, ends, fault) = decode(&cut(&input, &cuts), rules);
            let (whole, whole_ends, whole_fault) = decode(&[&input], rules);
            prop_assert_eq!(ends, whole_ends);
            // Which of two faults in one packet is named first may differ; that there is one may not.
            prop_assert_eq!(fault.is_some(), whole_fault.is_some());
            if fault.is_none() {
                prop_assert_eq!(body, whole);
            }
        }

        #[test]
        fn no_bare_line_ending_gets_through(input in octets(), normalise: bool) {
            let bare = if normalise { BareLineEndings::Normalise } else { BareLineEndings::Refuse };
            let (mut body, ends, fault) = decode(&[&input], rules(0, 0, bare));
            if fault.is_none() {
                if ends.is_none() && body.last() == Some(&b'\r') {
                    body.pop();
                }
                let text = String::from_utf8_lossy(&body).replace("\r\n", "");
                prop_assert!(!text.contains(['\r', '\n']), "{:?}", body);
            }
        }

        #[test]
        fn the_end_is_the_first_dot_between_two_crlf(input in octets(), normalise: bool) {
            let bare = if normalise { BareLineEndings::Normalise } else { BareLineEndings::Refuse };
            let (_, ends, _) = decode(&[&input], rules(0, 0, bare));
            let mut framed = b"\r\n".to_vec();
            framed.extend_from_slice(&input);
            let expected = framed.windows(5).position(|window| window == b"\r\n.\r\n").map(|at| at + 3);
            prop_assert_eq!(ends, expected);
        }
    }
}
