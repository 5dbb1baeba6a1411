//! The SMTP reply that a filter chooses for a client.

use crate::strings;

/// Most lines in a reply, as many as `libmilter` lets a filter set.
pub const LINES_MAX: usize = 32;

/// Longest text of a line, in octets; longer ones are cut. `libmilter`'s own limit is 980.
pub const LINE_MAX: usize = 980;

/// An SMTP reply with a code of 400 to 599, an enhanced status code that fits it, and lines that are safe to send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplyCode {
    code: u16,
    enhanced: Option<(u8, u16, u16)>,
    lines: Vec<String>,
}

/// An invalid reply.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplyCodeError {
    /// No code of three digits at the beginning, or one outside of 400 to 599.
    #[error("{0:?} has no code from 400 to 599")]
    NoCode(String),
    /// Lines with different codes: several replies in one, which would put the client out of sync.
    #[error("more than one reply: {0:?} follows a line with another code, or the last one")]
    Several(String),
    /// More than [`LINES_MAX`] lines.
    #[error("more than {LINES_MAX} lines")]
    TooManyLines,
}

impl ReplyCode {
    /// Reads a reply as a filter sends it: `550 5.7.1 Go away`, several lines with a hyphen after the code in all but the last.
    ///
    /// An enhanced status code whose class contradicts the reply (`550 4.7.1`) gets the reply's class (RFC 2034 section 4): the
    /// client acts on the reply. Octets not allowed in replies become `?`; `%%` becomes `%`, since `libmilter` makes filters
    /// double it.
    ///
    /// # Errors
    ///
    /// [`ReplyCodeError`].
    pub fn parse(octets: &[u8]) -> Result<Self, ReplyCodeError> {
        let mut found: Option<Self> = None;
        let mut ended = false;
        for line in octets.split(|&octet| octet == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() && found.is_some() {
                continue;
            }
            let (code, last, text) =
                split(line).ok_or_else(|| ReplyCodeError::NoCode(strings::shown(line)))?;
            let reply = found.get_or_insert_with(|| Self {
                code,
                enhanced: None,
                lines: Vec::new(),
            });
            if code != reply.code || ended {
                return Err(ReplyCodeError::Several(strings::shown(line)));
            }
            ended = last;
            if reply.lines.len() == LINES_MAX {
                return Err(ReplyCodeError::TooManyLines);
            }
            let text = clean(text);
            let (enhanced, text) = split_enhanced(&text);
            reply.enhanced = reply.enhanced.or(enhanced);
            reply.lines.push(text[..text.len().min(LINE_MAX)].to_owned());
        }
        let mut reply = found.ok_or_else(|| ReplyCodeError::NoCode(String::new()))?;
        if let Some((class, ..)) = &mut reply.enhanced {
            *class = u8::try_from(reply.code / 100).unwrap_or(5);
        }
        Ok(reply)
    }

    /// The code, from 400 to 599.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code (RFC 3463), if the filter gave one: class, subject, detail.
    #[must_use]
    pub const fn enhanced(&self) -> Option<(u8, u16, u16)> {
        self.enhanced
    }

    /// The text, line by line, without codes: printable ASCII, at most [`LINE_MAX`] octets each, at least one line.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether it is permanent (500 to 599).
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// Whether the server must close the connection after it (421, RFC 5321 section 4.2.2).
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.code == 421
    }
}

/// The code, whether it is the last line, and the text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
    let code = std::str::from_utf8(digits).ok()?;
    let code = code
        .bytes()
        .all(|octet| octet.is_ascii_digit())
        .then(|| code.parse().ok())
        .flatten()
        .filter(|code| (400..600).contains(code))?;
    match rest {
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

/// An enhanced status code at the beginning of a text, and the text after it.
fn split_enhanced(text: &str) -> (Option<(u8, u16, u16)>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match enhanced(word) {
        Some(code) => (Some(code), rest),
        None => (None, text),
    }
}

fn enhanced(word: &str) -> Option<(u8, u16, u16)> {
    let mut parts = word.split('.');
    let mut number = |digits_max| {
        let part: &str = parts.next()?;
        let fits = part.len() <= digits_max && part.bytes().all(|octet| octet.is_ascii_digit());
        fits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
    (parts.next().is_none() && matches!(class, 4 | 5)).then_some((u8::try_from(class).ok()?, subject, detail))
}

/// Printable ASCII, with `%%` replaced by `%`.
fn clean(text: &[u8]) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut octets = text.iter().peekable();
    while let Some(&octet) = octets.next() {
        if octet == b'%' {
            octets.next_if_eq(&&b'%');
        }
        cleaned.push(match octet {
            b' '..=b'~' => char::from(octet),
            b'\t' => ' ',
            _ => '?',
        });
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replies() {
        #[rustfmt::skip]
        let cases: [(&str, &[u8], &str); 17] = [
            // what the case shows              from the filter                                 code, enhanced, lines
            ("one line",                        b"550 5.7.1 Go away",                           "550 5.7.1 [Go away]"),
            ("no enhanced code",                b"451 Later",                                   "451 - [Later]"),
            ("no text",                         b"550",                                         "550 - []"),
            ("no text behind the code",         b"550 5.7.1",                                   "550 5.7.1 []"),
            ("several lines",                   b"550-5.7.1 a\r\n550 5.7.1 b",                  "550 5.7.1 [a|b]"),
            ("LF alone",                        b"550-5.7.1 a\n550 5.7.1 b\n",                  "550 5.7.1 [a|b]"),
            ("a contradiction",                 b"550 4.7.1 No",                                "550 5.7.1 [No]"),
            ("the other way",                   b"451 5.7.1 No",                                "451 4.7.1 [No]"),
            ("a version is no status",          b"550 4.7 is old",                              "550 - [4.7 is old]"),
            ("doubled percent",                 b"550 100%% sure, 5% not",                      "550 - [100% sure, 5% not]"),
            ("a control character",             b"550 a\x07b\tc\rd",                            "550 - [a?b c?d]"),
            ("not ASCII",                       b"550 \xc3\xa4",                                "550 - [??]"),
            ("a code of success",               b"250 2.0.0 ok",                                "\"250 2.0.0 ok\" has no code from 400 to 599"),
            ("no code",                         b"Go away",                                     "\"Go away\" has no code from 400 to 599"),
            ("nothing",                         b"",                                            "\"\" has no code from 400 to 599"),
            ("two replies in one",              b"550 a\r\n250 b",                              "\"250 b\" has no code from 400 to 599"),
            ("four digits",                     b"5500 x",                                      "\"5500 x\" has no code from 400 to 599"),
        ];
        for (shows, octets, expected) in cases {
            let got = match ReplyCode::parse(octets) {
                Ok(reply) => {
                    let enhanced = reply.enhanced().map_or_else(
                        || "-".to_owned(),
                        |(class, subject, detail)| format!("{class}.{subject}.{detail}"),
                    );
                    format!("{} {enhanced} [{}]", reply.code(), reply.lines().join("|"))
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{shows}");
        }
    }

    #[test]
    fn several_replies_are_none() {
        for octets in [&b"550 a\r\n550 b"[..], b"550-a\r\n451 b", b"451 a\r\n550-b"] {
            assert!(matches!(
                ReplyCode::parse(octets),
                Err(ReplyCodeError::Several(_))
            ));
        }
        let lines = b"550-x\r\n".repeat(LINES_MAX);
        assert_eq!(ReplyCode::parse(&lines).unwrap().lines().len(), LINES_MAX);
        let lines = b"550-x\r\n".repeat(LINES_MAX + 1);
        assert_eq!(ReplyCode::parse(&lines), Err(ReplyCodeError::TooManyLines));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_safe_to_send(octets in proptest::collection::vec(any::<u8>(), 0..200), code in 400..600_u16) {
            let mut line = code.to_string().into_bytes();
            line.push(b' ');
            line.extend(octets);
            if let Ok(reply) = ReplyCode::parse(&line) {
                prop_assert_eq!(reply.code(), code);
                prop_assert!(!reply.lines().is_empty());
                for line in reply.lines() {
                    prop_assert!(line.len() <= LINE_MAX && line.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
                }
                if let Some((class, ..)) = reply.enhanced() {
                    prop_assert_eq!(u16::from(class), code / 100);
                }
            }
        }
    }
}
