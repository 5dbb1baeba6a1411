//! Reading replies off the wire (RFC 5321 section 4.2).

use bytes::{Buf, BytesMut};
use memchr::memchr;
use postern_mail::Status;

use crate::reply::Reply;

/// How much a server may say in one reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplyLimits {
    /// Longest line, in octets with its line end. Default 4,096; RFC 5321 section 4.5.3.1.5 allows 512.
    pub line_max: usize,
    /// Longest reply, in octets of all lines together. Default 64 KiB.
    pub reply_max: usize,
    /// How much of the text is kept, in octets; the rest is read and dropped. Default 8 KiB, which holds any `EHLO` answer.
    pub text_max: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            line_max: 4_096,
            reply_max: 64 << 10,
            text_max: 8 << 10,
        }
    }
}

/// Why the input is not a reply. The connection cannot be used any more: there is no telling where the next reply begins.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line exceeds [`ReplyLimits::line_max`].
    #[error("the server sent a reply line of over {0} octets")]
    LineTooLong(usize),
    /// The reply exceeds [`ReplyLimits::reply_max`].
    #[error("the server sent a reply of over {0} octets")]
    TooLong(usize),
    /// A line that does not begin with a code; its first characters, cleaned.
    #[error("the server sent something that is not an SMTP reply: {0:?}")]
    Malformed(String),
    /// The lines of one reply have different codes (RFC 5321 section 4.2.1).
    #[error("the server mixed the codes {0} and {1} in one reply")]
    MixedCodes(u16, u16),
}

/// Assembles replies from bytes that arrive in pieces of any size.
///
/// Lines may end in a bare LF, since some servers do so and nothing can be smuggled through a reply. The text is cleaned here:
/// control characters become `?`, and what is not UTF-8 the replacement character.
#[derive(Clone, Debug, Default)]
pub struct ReplyParser {
    limits: ReplyLimits,
    /// Octets at the start of the input that were already searched for a line end.
    searched: usize,
    /// Octets of the lines taken so far.
    octets: usize,
    partial: Option<Reply>,
}

impl ReplyParser {
    /// A parser with limits other than the defaults.
    #[must_use]
    pub fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes one reply off the start of `input`, or `None` when more octets are needed.
    ///
    /// Complete lines are taken even if the reply is not complete; the parser keeps them. What follows the reply stays in
    /// `input`, as pipelining needs. Between calls, `input` may only grow at its end.
    ///
    /// # Errors
    ///
    /// See [`ReplyError`]. After one, neither the parser nor the input can be used further.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        loop {
            let Some(end) = memchr(b'\n', &input[self.searched..]).map(|at| self.searched + at) else {
                self.searched = input.len();
                return if input.len() >= self.limits.line_max {
                    Err(ReplyError::LineTooLong(self.limits.line_max))
                } else {
                    Ok(None)
                };
            };
            self.searched = 0;
            if end >= self.limits.line_max {
                return Err(ReplyError::LineTooLong(self.limits.line_max));
            }
            self.octets += end + 1;
            if self.octets > self.limits.reply_max {
                return Err(ReplyError::TooLong(self.limits.reply_max));
            }
            let line = Line::parse(&input[..end])?;
            let last = line.last;
            self.take(&line)?;
            input.advance(end + 1);
            if last {
                self.octets = 0;
                return Ok(self.partial.take());
            }
        }
    }

    /// Whether the start of a reply has been taken, so that the end of input would truncate it.
    #[must_use]
    pub fn is_mid_reply(&self) -> bool {
        self.partial.is_some() || self.searched > 0
    }

    fn take(&mut self, line: &Line<'_>) -> Result<(), ReplyError> {
        let Some(reply) = &mut self.partial else {
            let mut text = String::new();
            append_clean(&mut text, line.text, self.limits.text_max);
            self.partial = Some(Reply::new(line.code, line.status, text));
            return Ok(());
        };
        if reply.code != line.code {
            return Err(ReplyError::MixedCodes(reply.code, line.code));
        }
        // Some servers give the status on the last line alone.
        if reply.status.is_none() {
            reply.status = line.status;
        }
        let text = reply.text.to_mut();
        if text.len() < self.limits.text_max {
            text.push('\n');
            append_clean(text, line.text, self.limits.text_max);
        }
        Ok(())
    }
}

/// One parsed line of a reply.
struct Line<'a> {
    code: u16,
    last: bool,
    status: Option<Status>,
    text: &'a [u8],
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, ReplyError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let malformed = || {
            let mut shown = String::new();
            append_clean(&mut shown, line, 80);
            ReplyError::Malformed(shown)
        };
        let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else {
            return Err(malformed());
        };
        let code = [a, b, c]
            .iter()
            .fold(0_u16, |sum, &&digit| sum * 10 + u16::from(digit - b'0'));
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(malformed()),
        };
        let (status, text) = split_status(code, text);
        Ok(Self {
            code,
            last,
            status,
            text,
        })
    }
}

/// Separates the enhanced status code from the text. One whose class contradicts the code is left where it is (RFC 2034 section
/// 4).
fn split_status(code: u16, text: &[u8]) -> (Option<Status>, &[u8]) {
    let class = (code / 100) as u8;
    let parse = || -> Option<(Status, &[u8])> {
        let (first, rest) = number(text)?;
        let (subject, rest) = number(rest.strip_prefix(b".")?)?;
        let (detail, rest) = number(rest.strip_prefix(b".")?)?;
        let rest = match rest {
            [] => rest,
            [b' ', rest @ ..] => rest,
            _ => return None,
        };
        (first == u16::from(class) && matches!(class, 2 | 4 | 5))
            .then_some((Status(class, subject, detail), rest))
    };
    parse().map_or((None, text), |(status, rest)| (Some(status), rest))
}

/// One to three digits.
fn number(text: &[u8]) -> Option<(u16, &[u8])> {
    let digits = text
        .iter()
        .take(4)
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    if digits == 0 || digits > 3 {
        return None;
    }
    let value = text[..digits]
        .iter()
        .fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some((value, &text[digits..]))
}

/// Appends `bytes` as clean text until `text` holds `max` octets (give or take a character).
fn append_clean(text: &mut String, bytes: &[u8], max: usize) {
    let room = max.saturating_sub(text.len());
    let bytes = &bytes[..bytes.len().min(room)];
    if bytes.iter().all(|octet| (b' '..127).contains(octet)) {
        // ASCII without control characters is valid UTF-8.
        text.push_str(std::str::from_utf8(bytes).unwrap_or_default());
        return;
    }
    text.extend(
        String::from_utf8_lossy(bytes)
            .chars()
            .map(|c| if misleads(c) { '?' } else { c }),
    );
}

/// Whether a character could distort the text around it in a log or a bounce: control characters, and those that change the
/// direction of text (Unicode's Bidi_Control).
fn misleads(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> (Vec<Reply>, Option<ReplyError>) {
        let mut parser = ReplyParser::new(ReplyLimits {
            line_max: 64,
            reply_max: 160,
            text_max: 100,
        });
        let mut input = BytesMut::new();
        let mut replies = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                match parser.next(&mut input) {
                    Ok(Some(reply)) => replies.push(reply),
                    Ok(None) => break,
                    Err(error) => return (replies, Some(error)),
                }
            }
        }
        (replies, None)
    }

    /// What the case shows, octets from the server, replies, error.
    type Case<'a> = (&'static str, &'a [u8], Vec<Reply>, Option<ReplyError>);

    #[test]
    fn replies_off_the_wire() {
        let reply = |code, status, text: &str| Reply::new(code, status, text.to_owned());
        let long = format!("250 {}\r\n", "x".repeat(80));
        let many = "250-0123456789012345678901234567890123456789\r\n".repeat(5);
        #[rustfmt::skip]
        let cases: Vec<Case<'_>> = vec![
            ("one line",                 b"250 ok\r\n",                       vec![reply(250, None, "ok")], None),
            ("with status",              b"250 2.1.0 ok\r\n",                 vec![reply(250, Some(Status(2, 1, 0)), "ok")], None),
            ("status alone",             b"250 2.0.0\r\n",                    vec![reply(250, Some(Status(2, 0, 0)), "")], None),
            ("wide detail",              b"556 5.1.10 null\r\n",              vec![reply(556, Some(Status(5, 1, 10)), "null")], None),
            ("status of another class",  b"550 2.1.1 odd\r\n",                vec![reply(550, None, "2.1.1 odd")], None),
            ("no status, a version",     b"250 2.1 ok\r\n",                   vec![reply(250, None, "2.1 ok")], None),
            ("354 has none",             b"354 3.0.0 go\r\n",                 vec![reply(354, None, "3.0.0 go")], None),
            ("text turned round",        "550 a\u{202e}b\r\n".as_bytes(),    vec![reply(550, None, "a?b")], None),
            ("code alone",               b"250\r\n",                          vec![reply(250, None, "")], None),
            ("bare LF",                  b"250 ok\n",                         vec![reply(250, None, "ok")], None),
            ("several lines",            b"250-a\r\n250-b\r\n250 c\r\n",      vec![reply(250, None, "a\nb\nc")], None),
            ("status on each line",      b"550-5.1.1 a\r\n550 5.1.1 b\r\n",   vec![reply(550, Some(Status(5, 1, 1)), "a\nb")], None),
            ("status on the last line",  b"550-a\r\n550 5.1.1 b\r\n",         vec![reply(550, Some(Status(5, 1, 1)), "a\nb")], None),
            ("pipelined",                b"250 a\r\n354 b\r\n",               vec![reply(250, None, "a"), reply(354, None, "b")], None),
            ("not complete",             b"250-a\r\n250 b",                   vec![], None),
            ("controls cleaned",         b"250 a\x1b[2Jb\x7f\r\n",            vec![reply(250, None, "a?[2Jb?")], None),
            ("no UTF-8",                 b"250 a\xff\r\n",                    vec![reply(250, None, "a\u{fffd}")], None),
            ("other codes mixed in",     b"250-a\r\n550 b\r\n",               vec![], Some(ReplyError::MixedCodes(250, 550))),
            ("letters",                  b"HTTP/1.1 400 Bad\r\n",             vec![], Some(ReplyError::Malformed("HTTP/1.1 400 Bad".into()))),
            ("code out of range",        b"650 x\r\n",                        vec![], Some(ReplyError::Malformed("650 x".into()))),
            ("no mark behind the code",  b"2500 x\r\n",                       vec![], Some(ReplyError::Malformed("2500 x".into()))),
            ("empty line",               b"\r\n",                             vec![], Some(ReplyError::Malformed(String::new()))),
            ("line too long",            long.as_bytes(),                     vec![], Some(ReplyError::LineTooLong(64))),
            ("no end of line at all",    &[b'2'; 70],                         vec![], Some(ReplyError::LineTooLong(64))),
            ("too many lines",           many.as_bytes(),                     vec![], Some(ReplyError::TooLong(160))),
        ];
        for (shows, input, replies, error) in cases {
            for cut in 0..=input.len() {
                let (head, tail) = input.split_at(cut);
                let got = all(&[head, tail]);
                assert_eq!(got, (replies.clone(), error.clone()), "{shows}, cut at {cut}");
            }
        }
    }

    proptest! {
        /// Whatever a server sends: no panic, bounded text, and the same result wherever it is cut.
        #[test]
        fn cuts_do_not_matter(input in "([2-5][0-9]{2}[ -][ -~\u{80}]{0,20}\r?\n|[ -~]{0,9}\n){0,6}", cut in 0_usize..100) {
            let bytes = input.as_bytes();
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let whole = all(&[bytes]);
            prop_assert_eq!(&all(&[head, tail]), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&all(&single), &whole);
        }

        /// A reply that was written is read back unchanged.
        #[test]
        fn written_replies_are_read(code in 200_u16..600, status in any::<bool>(), lines in prop::collection::vec("[a-zA-Z][ -~]{0,15}", 1..3)) {
            let class = (code / 100) as u8;
            let status = (status && class != 3).then_some(Status(class, 7, 1));
            let reply = Reply::new(code, status, lines.join("\n"));
            let mut octets = Vec::new();
            reply.write_to(&mut octets);
            prop_assert_eq!(all(&[&octets]), (vec![reply], None));
        }

        /// Random input is refused or incomplete, never a panic.
        #[test]
        fn noise(input in prop::collection::vec(any::<u8>(), 0..300)) {
            let (replies, _) = all(&[&input]);
            for reply in replies {
                prop_assert!(reply.text.len() <= 300 && !reply.text.contains(|c: char| misleads(c) && c != '\n'));
            }
        }
    }
}
