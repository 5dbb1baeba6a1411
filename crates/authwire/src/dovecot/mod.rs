//! Dovecot's auth protocols: the client protocol, with which Postfix or `imap-login` has credentials checked, and the master
//! protocol, with which a mail process finds out which user it works for.
//!
//! Both are lines of fields between tabs. A field is `key=value` or a key alone; tabs, line ends and NUL in it are escaped
//! as the octet 1 and a letter.

mod answer;
mod master;
mod request;

pub use answer::{Answer, FailCode, Failure, Server, check, hello};
pub use master::{Account, Master, master_greeting};
pub use request::{AuthRequest, Client, Greeting, challenge, failure, greeting, ok};

use std::borrow::Cow;

/// Longest line accepted, in octets. A base64 response of 12 KiB and all other fields fit; Dovecot's own limit is 8 KiB.
pub const LINE_MAX: usize = 16_384;

/// Octets of a cookie.
pub const COOKIE_LEN: usize = 16;

/// Identifies a client's connection towards masters. Unguessable.
pub type Cookie = [u8; COOKIE_LEN];

/// The protocol's major version: clients and masters with another one are not understood.
pub const MAJOR: u32 = 1;

/// The minor version announced to clients.
pub const MINOR: u32 = 2;

/// A line that does not follow the protocol. The connection cannot be used any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    /// Over [`LINE_MAX`].
    #[error("line over {LINE_MAX} octets")]
    TooLong,
    /// Not UTF-8, or with an unknown escape.
    #[error("not text")]
    NotText,
    /// A required field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field has an invalid value.
    #[error("{0} is not valid")]
    Field(&'static str),
    /// Fields after `resp`, which must be last.
    #[error("fields behind resp")]
    BehindResponse,
}

/// The line as text.
fn text(line: &[u8]) -> Result<&str, LineError> {
    if line.len() > LINE_MAX {
        return Err(LineError::TooLong);
    }
    std::str::from_utf8(line).map_err(|_| LineError::NotText)
}

/// Writes a value so that it stays in its field.
#[must_use]
pub fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['\0', '\x01', '\t', '\r', '\n']) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        match c {
            '\0' => escaped.push_str("\x010"),
            '\x01' => escaped.push_str("\x011"),
            '\t' => escaped.push_str("\x01t"),
            '\r' => escaped.push_str("\x01r"),
            '\n' => escaped.push_str("\x01n"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Reads what [`escape`] wrote.
fn unescape(field: &str) -> Result<Cow<'_, str>, LineError> {
    if !field.contains('\x01') {
        return Ok(Cow::Borrowed(field));
    }
    let mut plain = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        if c != '\x01' {
            plain.push(c);
            continue;
        }
        plain.push(match chars.next() {
            Some('0') => '\0',
            Some('1') => '\x01',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('n') => '\n',
            _ => return Err(LineError::NotText),
        });
    }
    Ok(Cow::Owned(plain))
}

/// A number in a field of its own, in decimal digits only.
fn number(field: Option<&str>, what: &'static str) -> Result<u32, LineError> {
    let field = field.ok_or(LineError::Missing(what))?;
    if field.is_empty() || !field.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(LineError::Field(what));
    }
    field.parse().map_err(|_| LineError::Field(what))
}

/// Both parts of a version.
fn version<'a>(mut fields: impl Iterator<Item = &'a str>) -> Result<(u32, u32), LineError> {
    let major = number(fields.next(), "version")?;
    Ok((major, number(fields.next(), "version")?))
}

/// Key and value of a field; a key alone has an empty value.
fn key_and_value(field: &str) -> Result<(&str, Cow<'_, str>), LineError> {
    let (key, value) = field.split_once('=').unwrap_or((field, ""));
    Ok((key, unescape(value)?))
}

/// Octets as lower-case hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a String does not fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// A cookie from its digits.
fn cookie(field: Option<&str>) -> Result<Cookie, LineError> {
    let digits = field.ok_or(LineError::Missing("cookie"))?.as_bytes();
    let mut cookie = [0; COOKIE_LEN];
    if digits.len() != 2 * COOKIE_LEN {
        return Err(LineError::Field("cookie"));
    }
    let digit = |octet: u8| {
        char::from(octet)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    for (octet, pair) in cookie.iter_mut().zip(digits.chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(LineError::Field("cookie"));
        };
        *octet = high << 4 | low;
    }
    Ok(cookie)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cookies() {
        let octets = [0xab; COOKIE_LEN];
        assert_eq!(cookie(Some(&hex(&octets))), Ok(octets));
        assert_eq!(cookie(Some("AB".repeat(16).as_str())), Ok(octets), "in any case");
        for wrong in [
            "",
            "ab",
            &"g".repeat(32),
            &"+1".repeat(16),
            &"ab".repeat(17),
            "ä".repeat(16).as_str(),
        ] {
            assert_eq!(cookie(Some(wrong)), Err(LineError::Field("cookie")), "{wrong}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number(Some("4294967295"), "id"), Ok(u32::MAX));
        for wrong in ["", "+1", "-1", " 1", "4294967296", "1a"] {
            assert_eq!(number(Some(wrong), "id"), Err(LineError::Field("id")), "{wrong}");
        }
        assert_eq!(number(None, "id"), Err(LineError::Missing("id")));
    }

    proptest! {
        #[test]
        fn a_value_stays_in_its_field(value in any::<String>()) {
            let escaped = escape(&value);
            prop_assert!(!escaped.contains(['\t', '\n', '\r', '\0']));
            prop_assert_eq!(unescape(&escaped).unwrap(), value.as_str());
        }
    }
}
