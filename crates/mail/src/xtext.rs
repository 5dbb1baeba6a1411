//! xtext, the encoding of `ENVID=`, `ORCPT=` and `AUTH=` (RFC 3461 section 4, RFC 6533 section 3).

use std::fmt::Write as _;

/// Why a text is not xtext.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum XtextError {
    /// `+` without two hexadecimal digits, or `\` without `x{…}` and one to six of them.
    #[error("an escape is not followed by hexadecimal digits")]
    BadEscape,
    /// A character that must have been encoded, or a control character that was escaped.
    #[error("character not allowed in xtext")]
    BadCharacter,
    /// The result is not UTF-8.
    #[error("decoded text is not UTF-8")]
    NotUtf8,
}

/// Encodes for an SMTP parameter: all but visible ASCII, and `+` and `=`, become `+` and two hexadecimal digits.
#[must_use]
pub fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if is_xchar(octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push('+');
            encoded.push(char::from(DIGITS[usize::from(octet >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
    }
    encoded
}

/// Decodes the value of an SMTP parameter. The result holds no control character, so it may go into a header field.
///
/// # Errors
///
/// See [`XtextError`].
pub fn decode(text: &str) -> Result<String, XtextError> {
    let mut octets = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(octet) = octets.next() {
        match octet {
            b'+' => decoded.push(hex_digit(octets.next())? << 4 | hex_digit(octets.next())?),
            octet if is_xchar(octet) => decoded.push(octet),
            _ => return Err(XtextError::BadCharacter),
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| XtextError::NotUtf8)?;
    if decoded.chars().any(char::is_control) {
        Err(XtextError::BadCharacter)
    } else {
        Ok(decoded)
    }
}

/// Decodes `ORCPT=`, which is `type;xtext`, to `type;address` (RFC 3461 section 4.2).
///
/// For the type `utf-8` the address is read as `utf-8-addr-xtext` or `utf-8-addr-unitext` (RFC 6533 section 3).
///
/// # Errors
///
/// See [`XtextError`]; [`XtextError::BadCharacter`] if the type is missing or not an atom, or the address is empty.
pub fn decode_orcpt(text: &str) -> Result<String, XtextError> {
    let (kind, address) = text.split_once(';').ok_or(XtextError::BadCharacter)?;
    let atom = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if kind.is_empty() || address.is_empty() || !kind.chars().all(atom) {
        return Err(XtextError::BadCharacter);
    }
    let address = if is_utf8_kind(kind) {
        decode_unitext(address)?
    } else {
        decode(address)?
    };
    Ok(format!("{kind};{address}"))
}

/// Encodes `type;address` as the value of `ORCPT=`.
///
/// `smtputf8` says whether the next hop takes UTF-8; without it the address is sent in ASCII only. A non-ASCII address is always
/// sent with the type `utf-8`.
#[must_use]
pub fn encode_orcpt(orcpt: &str, smtputf8: bool) -> String {
    let (kind, address) = orcpt.split_once(';').unwrap_or(("rfc822", orcpt));
    if address.is_ascii() && !is_utf8_kind(kind) {
        return format!("{kind};{}", encode(address));
    }
    format!("utf-8;{}", encode_unitext(address, smtputf8))
}

/// Encodes as `utf-8-addr-unitext`, or without `utf8` as `utf-8-addr-xtext`, which is ASCII (RFC 6533 section 3).
pub(crate) fn encode_unitext(address: &str, utf8: bool) -> String {
    let mut encoded = String::with_capacity(address.len());
    for c in address.chars() {
        let plain = if c.is_ascii() {
            is_qchar(c as u8)
        } else {
            utf8 && !c.is_control()
        };
        if plain {
            encoded.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "\\x{{{:X}}}", u32::from(c));
        }
    }
    encoded
}

/// Decodes `utf-8-addr-xtext` and `utf-8-addr-unitext`: `\x{E4}` stands for ä (RFC 6533 section 3).
fn decode_unitext(text: &str) -> Result<String, XtextError> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let c = if c == '\\' {
            let (digits, after) = rest
                .strip_prefix("\\x{")
                .and_then(|escape| escape.split_once('}'))
                .filter(|(digits, _)| matches!(digits.len(), 1..=6))
                .filter(|(digits, _)| digits.bytes().all(|octet| octet.is_ascii_hexdigit()))
                .ok_or(XtextError::BadEscape)?;
            rest = after;
            let code = u32::from_str_radix(digits, 16).map_err(|_| XtextError::BadEscape)?;
            char::from_u32(code).ok_or(XtextError::BadEscape)?
        } else {
            if c.is_ascii() && !is_qchar(c as u8) {
                return Err(XtextError::BadCharacter);
            }
            rest = &rest[c.len_utf8()..];
            c
        };
        if c.is_control() {
            return Err(XtextError::BadCharacter);
        }
        decoded.push(c);
    }
    Ok(decoded)
}

fn is_utf8_kind(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("utf-8")
}

fn is_xchar(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'+' | b'=')
}

fn is_qchar(octet: u8) -> bool {
    is_xchar(octet) && octet != b'\\'
}

fn hex_digit(octet: Option<u8>) -> Result<u8, XtextError> {
    match octet {
        Some(octet @ b'0'..=b'9') => Ok(octet - b'0'),
        Some(octet @ b'A'..=b'F') => Ok(octet - b'A' + 10),
        Some(octet @ b'a'..=b'f') => Ok(octet - b'a' + 10),
        _ => Err(XtextError::BadEscape),
    }
}

#[cfg(test)]
mod tests {
    use XtextError::*;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_decoded_safely() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows           text           decoded
            ("plain",                        "QQ314159",    Ok("QQ314159")),
            ("plus and equals",              "a+2Bb+3Dc",   Ok("a+b=c")),
            ("lower-case digits",            "a+2bb",       Ok("a+b")),
            ("blank",                        "a+20b",       Ok("a b")),
            ("null sender of AUTH=",         "<>",          Ok("<>")),
            ("UTF-8",                        "+C3+A4",      Ok("ä")),
            ("nothing",                      "",            Ok("")),
            ("equals must be encoded",       "a=b",         Err(BadCharacter)),
            ("blank must be encoded",        "a b",         Err(BadCharacter)),
            ("raw UTF-8",                    "ä",           Err(BadCharacter)),
            ("header injection",             "a+0D+0AX:b",  Err(BadCharacter)),
            ("NUL",                          "a+00",        Err(BadCharacter)),
            ("C1 control in UTF-8",          "+C2+85",      Err(BadCharacter)),
            ("escape cut short",             "a+2",         Err(BadEscape)),
            ("plus alone",                   "+",           Err(BadEscape)),
            ("no digit",                     "a+2G",        Err(BadEscape)),
            ("half a character",             "+C3",         Err(NotUtf8)),
        ];
        for (shows, text, expected) in cases {
            assert_eq!(decode(text), expected.map(str::to_owned), "{shows}");
        }
    }

    #[test]
    fn original_recipients() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows      parameter                     decoded
            ("plain",                   "rfc822;a@b.example",         Ok("rfc822;a@b.example")),
            ("xtext",                   "rfc822;a+2Bc@b.example",     Ok("rfc822;a+c@b.example")),
            ("another type",            "x400;/S=a/",                 Err(BadCharacter)),
            ("utf-8 in ASCII",          "utf-8;j\\x{F6}rg@b.example", Ok("utf-8;jörg@b.example")),
            ("utf-8 as it is",          "UTF-8;jörg@b.example",       Ok("UTF-8;jörg@b.example")),
            ("escaped backslash",       "utf-8;\\x{5C}",              Ok("utf-8;\\")),
            ("escaped line break",      "utf-8;a\\x{0A}b",            Err(BadCharacter)),
            ("surrogate",               "utf-8;\\x{D800}",            Err(BadEscape)),
            ("beyond Unicode",          "utf-8;\\x{FFFFFF}",          Err(BadEscape)),
            ("signed number",           "utf-8;\\x{+41}",             Err(BadEscape)),
            ("escape without end",      "utf-8;\\x{41",               Err(BadEscape)),
            ("raw UTF-8 elsewhere",     "rfc822;jörg@b",              Err(BadCharacter)),
            ("no type",                 "a@b.example",                Err(BadCharacter)),
            ("empty type",              ";a@b.example",               Err(BadCharacter)),
            ("bad type",                "r fc;a@b.example",           Err(BadCharacter)),
            ("no address",              "rfc822;",                    Err(BadCharacter)),
        ];
        for (shows, text, expected) in cases {
            assert_eq!(decode_orcpt(text), expected.map(str::to_owned), "{shows}");
        }
    }

    #[test]
    fn original_recipients_fit_what_the_next_hop_takes() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows          decoded                 UTF-8   parameter
            ("plain",                       "rfc822;a+c@b",         false,  "rfc822;a+2Bc@b"),
            ("the next hop takes UTF-8",    "utf-8;jörg+c@b",       true,   "utf-8;jörg\\x{2B}c@b"),
            ("the next hop does not",       "utf-8;jörg@b",         false,  "utf-8;j\\x{F6}rg@b"),
            ("beyond the first 256",        "utf-8;\u{4e2d}@b",     false,  "utf-8;\\x{4E2D}@b"),
            ("wrongly typed",               "rfc822;jörg@b",        false,  "utf-8;j\\x{F6}rg@b"),
        ];
        for (shows, orcpt, smtputf8, expected) in cases {
            assert_eq!(encode_orcpt(orcpt, smtputf8), expected, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = decode(&text);
            let _ = decode_orcpt(&text);
        }

        #[test]
        fn what_is_encoded_is_decoded(text in "[^\\p{Cc}]{0,40}") {
            prop_assert_eq!(decode(&encode(&text)), Ok(text));
        }

        #[test]
        fn original_recipients_survive(text in "[^\\p{Cc}]{1,40}", smtputf8: bool) {
            let orcpt = format!("utf-8;{text}");
            let encoded = encode_orcpt(&orcpt, smtputf8);
            prop_assert!(smtputf8 || encoded.is_ascii());
            prop_assert_eq!(decode_orcpt(&encoded), Ok(orcpt));
        }
    }
}
