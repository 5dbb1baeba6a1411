//! A field or line as patterns see it: as text, with line ends as in Postfix's tables.
//!
//! Octets that are not UTF-8 are represented in the text by characters of a private range, and are restored when a part of the
//! text goes back into the message. Characters of that range in the message itself are treated as octets that are not UTF-8: each
//! becomes as many of these characters as it has octets, so that the message gets back what it had.

use std::borrow::Cow;

use super::part::{Part, name_of};

/// The private range: octet `n` is represented by character `RAW + n`.
const RAW: u32 = 0xF_F000;

/// The first octet in UTF-8 of all characters of that range.
const RAW_LEAD: u8 = 0xF3;

/// A field or line.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    part: Part,
    octets: &'a [u8],
    text: String,
}

impl<'a> Subject<'a> {
    pub(super) fn of(part: Part, octets: &'a [u8]) -> Self {
        let text = to_text(trimmed(octets)).replace("\r\n", "\n");
        Self { part, octets, text }
    }

    /// `Name: value` with its folds, or the line.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The name of the field; `None` for a line.
    pub(super) fn name(&self) -> Option<&'a [u8]> {
        (self.part != Part::Body).then(|| name_of(self.octets))
    }

    /// The value of the field as one line, or the line.
    pub(super) fn value(&self) -> Cow<'_, str> {
        if self.part == Part::Body {
            return Cow::Borrowed(&self.text);
        }
        let value = self
            .text
            .split_once(':')
            .map_or(self.text.as_str(), |(_, value)| value);
        Cow::Owned(value.replace('\n', "").trim().to_owned())
    }
}

fn trimmed(octets: &[u8]) -> &[u8] {
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    octets.strip_suffix(b"\r").unwrap_or(octets)
}

/// Octets as text.
fn to_text(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        let valid = chunk.valid();
        // Hardly any text has such a character.
        if valid.as_bytes().contains(&RAW_LEAD) {
            let mut buffer = [0; 4];
            for c in valid.chars() {
                match raw_octet(c) {
                    Some(_) => push_raw(&mut text, c.encode_utf8(&mut buffer).as_bytes()),
                    None => text.push(c),
                }
            }
        } else {
            text.push_str(valid);
        }
        push_raw(&mut text, chunk.invalid());
    }
    text
}

/// Text as octets.
pub(super) fn to_octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match raw_octet(c) {
            Some(octet) => octets.push(octet),
            None => octets.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    octets
}

/// Text as the octets of one line.
pub(super) fn to_line(text: &str) -> Vec<u8> {
    let mut octets = to_octets(text);
    for octet in &mut octets {
        if matches!(octet, b'\r' | b'\n' | 0) {
            *octet = b' ';
        }
    }
    octets
}

/// The octet that this character represents. It is never ASCII, which is text.
fn raw_octet(c: char) -> Option<u8> {
    let octet = u8::try_from(u32::from(c).checked_sub(RAW)?).ok()?;
    (!octet.is_ascii()).then_some(octet)
}

fn push_raw(text: &mut String, octets: &[u8]) {
    text.extend(
        octets
            .iter()
            .filter_map(|&octet| char::from_u32(RAW + u32::from(octet))),
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_and_lines() {
        let field = Subject::of(Part::Header, b"Subject : a\r\n\tb \xfc\r\n");
        assert_eq!(field.name(), Some(&b"Subject"[..]));
        assert!(field.text().starts_with("Subject : a\n\tb "));
        assert_eq!(to_octets(&field.value()), b"a\tb \xfc");
        let line = Subject::of(Part::Body, b"a: b");
        assert_eq!((line.name(), line.text()), (None, "a: b"));
        assert_eq!(line.value(), "a: b");
    }

    #[test]
    fn characters_of_the_private_range() {
        for octet in 0..=u8::MAX {
            let c = char::from_u32(RAW + u32::from(octet)).unwrap();
            let whole = format!("a{c}b");
            let text = to_text(whole.as_bytes());
            assert_eq!(to_octets(&text), whole.as_bytes(), "{c:?}");
            // Its parts have no octets that it does not have.
            for part in text.chars() {
                let octets = to_octets(part.encode_utf8(&mut [0; 4]));
                assert!(octets.iter().all(|one| whole.as_bytes().contains(one)), "{c:?}");
            }
        }
        assert_eq!(to_octets("\u{ff00a}\u{ff0fc}"), b"\xf3\xbf\x80\x8a\xfc");
        assert_eq!(to_line("a\r\nb\0c\u{ff00d}"), b"a  b c\xf3\xbf\x80\x8d");
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<Vec<u8>>(),
            ".{0,8}".prop_map(String::into_bytes),
            proptest::char::range('\u{feff0}', '\u{ff10f}').prop_map(|c| c.to_string().into_bytes()),
            // A part of such a character.
            (proptest::char::range('\u{ff000}', '\u{ff0ff}'), 1..4_usize)
                .prop_map(|(c, len)| c.to_string().into_bytes()[..len].to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn octets_come_back(octets: Vec<u8>) {
            prop_assert_eq!(to_octets(&to_text(&octets)), octets);
        }

        #[test]
        fn octets_come_back_among_private_characters(pieces in proptest::collection::vec(piece(), 0..8)) {
            let octets = pieces.concat();
            prop_assert_eq!(to_octets(&to_text(&octets)), octets.clone());
            prop_assert!(!to_line(&to_text(&octets)).iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')));
        }
    }
}
