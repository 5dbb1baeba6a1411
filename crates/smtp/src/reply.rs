//! Replies: code, enhanced status code, text (RFC 5321 section 4.2, RFC 2034).

use std::borrow::Cow;
use std::fmt;

use bytes::BufMut;
use postern_mail::Status;

pub mod texts;

/// One reply of a server, of one line or several.
///
/// Lines of the text are separated by `\n`; on the wire they hold no other control character. Fixed
/// texts cost no allocation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The three digits, 200 to 599.
    pub code: u16,
    /// The enhanced status code before the text of every line, if any (RFC 2034).
    pub status: Option<Status>,
    /// The text without code and status, lines separated by `\n`.
    pub text: Cow<'static, str>,
}

/// The meaning of the first digit of a code (RFC 5321 section 4.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// 2xx: done.
    Success,
    /// 3xx: go on with what belongs to the command.
    Intermediate,
    /// 4xx: not now.
    Transient,
    /// 5xx: never.
    Permanent,
}

impl Reply {
    /// A reply with an enhanced status code and a fixed text.
    #[must_use]
    pub const fn fixed(code: u16, status: Status, text: &'static str) -> Self {
        Self {
            code,
            status: Some(status),
            text: Cow::Borrowed(text),
        }
    }

    /// A reply without an enhanced status code, as greeting, `EHLO`, 334 and 354 are.
    #[must_use]
    pub const fn bare(code: u16, text: &'static str) -> Self {
        Self {
            code,
            status: None,
            text: Cow::Borrowed(text),
        }
    }

    /// A reply with a text of its own.
    #[must_use]
    pub fn new(code: u16, status: Option<Status>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            status,
            text: text.into(),
        }
    }

    /// The class of the code. A code outside 200 to 499 counts as permanent failure.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.code {
            200..=299 => Class::Success,
            300..=399 => Class::Intermediate,
            400..=499 => Class::Transient,
            _ => Class::Permanent,
        }
    }

    /// Whether the code is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.class() == Class::Success
    }

    /// Whether the code is 4xx.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.class() == Class::Transient
    }

    /// Whether the code is 5xx.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.class() == Class::Permanent
    }

    /// The lines of the text, at least one.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// Appends the reply as it goes on the wire, each line ended by CRLF.
    ///
    /// A control character in the text is sent as `?`, so that client input repeated in a text
    /// cannot end the line early.
    pub fn write_to(&self, out: &mut impl BufMut) {
        let mut rest: &str = &self.text;
        loop {
            let (line, more) = match rest.split_once('\n') {
                Some((line, tail)) => {
                    rest = tail;
                    (line, true)
                }
                None => (rest, false),
            };
            put_number(self.code, out);
            out.put_u8(if more { b'-' } else { b' ' });
            if let Some(Status(class, subject, detail)) = self.status {
                put_number(u16::from(class), out);
                out.put_u8(b'.');
                put_number(subject, out);
                out.put_u8(b'.');
                put_number(detail, out);
                out.put_u8(b' ');
            }
            put_clean(line.as_bytes(), out);
            out.put_slice(b"\r\n");
            if !more {
                return;
            }
        }
    }
}

/// The reply on one line, as logs and bounces show it: `550 5.1.1 User unknown`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        for line in self.lines() {
            if !line.is_empty() {
                write!(f, " {line}")?;
            }
        }
        Ok(())
    }
}

fn put_number(number: u16, out: &mut impl BufMut) {
    let mut digits = [0_u8; 5];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
}

fn put_clean(text: &[u8], out: &mut impl BufMut) {
    if text.iter().all(|&octet| octet >= b' ' && octet != 127) {
        out.put_slice(text);
        return;
    }
    for &octet in text {
        out.put_u8(if octet >= b' ' && octet != 127 {
            octet
        } else {
            b'?'
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_on_the_wire() {
        #[rustfmt::skip]
        let cases = [
            ("one line",            Reply::fixed(250, Status(2, 1, 0), "ok"),             "250 2.1.0 ok\r\n"),
            ("no status",           Reply::bare(354, "go"),                               "354 go\r\n"),
            ("several lines",       Reply::bare(250, "a\nb\nc"),                          "250-a\r\n250-b\r\n250 c\r\n"),
            ("status on each",      Reply::fixed(214, Status(2, 0, 0), "a\nb"),           "214-2.0.0 a\r\n214 2.0.0 b\r\n"),
            ("empty text",          Reply::bare(334, ""),                                 "334 \r\n"),
            ("no injected line",    Reply::new(501, None, "x\r550\u{7f}".to_owned()),     "501 x?550?\r\n"),
            ("wide detail",         Reply::fixed(550, Status(5, 1, 10), "null"),          "550 5.1.10 null\r\n"),
        ];
        for (shows, reply, wire) in cases {
            let mut out = Vec::new();
            reply.write_to(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wire, "{shows}");
        }
    }

    #[test]
    fn classes() {
        for (code, class) in [
            (250, Class::Success),
            (354, Class::Intermediate),
            (421, Class::Transient),
            (550, Class::Permanent),
            (0, Class::Permanent),
        ] {
            assert_eq!(Reply::bare(code, "").class(), class, "{code}");
        }
    }
}
