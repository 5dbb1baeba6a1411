//! A field or line as patterns see it: as text, with line ends as in Postfix's tables.
//!
//! Octets that are no UTF-8 stand in the text as characters of a private range, and become what they were when a part of the text
//! goes back into the message.

use std::borrow::Cow;

use super::part::{Part, name_of};

/// Where octets that are no text stand.
const RAW: u32 = 0xF_F000;

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

    /// The name of the field; `None` of a line.
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
        text.push_str(chunk.valid());
        text.extend(
            chunk
                .invalid()
                .iter()
                .filter_map(|&octet| char::from_u32(RAW + u32::from(octet))),
        );
    }
    text
}

/// Text as octets.
pub(super) fn to_octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match u32::from(c)
            .checked_sub(RAW)
            .and_then(|raw| u8::try_from(raw).ok())
        {
            Some(octet) => octets.push(octet),
            None => octets.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    octets
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

    proptest! {
        #[test]
        fn octets_come_back(octets: Vec<u8>) {
            prop_assert_eq!(to_octets(&to_text(&octets)), octets);
        }
    }
}
