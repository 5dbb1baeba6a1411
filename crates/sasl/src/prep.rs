//! SASLprep (RFC 4013): so that a name or password is the same on whatever keyboard it is typed.

use stringprep::tables;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// A text that SASLprep refuses. It does not say what the text was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrepError {
    /// A control character, a private-use one, or another that cannot be typed reliably (RFC 4013 section 2.3).
    #[error("it has a character that SASLprep forbids")]
    Prohibited,
    /// Text of both writing directions in an order that can be displayed in two ways (RFC 3454 section 6).
    #[error("it mixes writing directions")]
    Bidirectional,
    /// Nothing is left.
    #[error("it is empty")]
    Empty,
}

/// Prepares a name or password. ASCII without control characters stays as it is.
///
/// Characters that Unicode 3.2 did not have yet pass, as RFC 4013 section 2.5 allows for queries and as RFC 8265 has it:
/// a password may hold an emoji. Names and passwords are prepared by the same rule on both sides, so they match.
///
/// # Errors
///
/// See [`PrepError`].
pub(crate) fn prepare(text: &str) -> Result<Zeroizing<String>, PrepError> {
    if text.is_empty() {
        return Err(PrepError::Empty);
    }
    if text.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
        return Ok(Zeroizing::new(text.to_owned()));
    }
    // Mapping (section 2.1), then normalization (2.2). Memory is reserved first, so that growing leaves no copy of the
    // text behind.
    let mut prepared = Zeroizing::new(String::with_capacity(text.len() * 4));
    prepared.extend(
        text.chars()
            .filter(|&c| !tables::commonly_mapped_to_nothing(c))
            .map(|c| {
                if tables::non_ascii_space_character(c) {
                    ' '
                } else {
                    c
                }
            })
            .nfkc(),
    );
    if prepared.is_empty() {
        return Err(PrepError::Empty);
    }
    if prepared.chars().any(is_prohibited) {
        return Err(PrepError::Prohibited);
    }
    if breaks_bidi(&prepared) {
        return Err(PrepError::Bidirectional);
    }
    Ok(prepared)
}

/// RFC 4013 section 2.3, except surrogates, which are not a `char`.
fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 3454 section 6: text with a right-to-left character has none that runs from left to right, and starts and ends
/// with a right-to-left one.
fn breaks_bidi(text: &str) -> bool {
    if !text.chars().any(tables::bidi_r_or_al) {
        return false;
    }
    let edge = |c: Option<char>| c.is_some_and(tables::bidi_r_or_al);
    text.chars().any(tables::bidi_l) || !edge(text.chars().next()) || !edge(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_4013_section_3_and_beyond() {
        use PrepError::{Bidirectional, Empty, Prohibited};
        let cases = [
            ("SOFT HYPHEN goes", "I\u{ad}X", Ok("IX")),
            ("no change", "user", Ok("user")),
            ("case is kept", "USER", Ok("USER")),
            ("NFKC", "\u{aa}", Ok("a")),
            ("NFKC", "\u{2168}", Ok("IX")),
            ("control character", "\u{7}", Err(Prohibited)),
            ("bidi", "\u{627}\u{31}", Err(Bidirectional)),
            (
                "bidi in order",
                "\u{627}\u{31}\u{628}",
                Ok("\u{627}\u{31}\u{628}"),
            ),
            ("another blank", "a\u{a0}b", Ok("a b")),
            ("composed and not", "u\u{308}", Ok("ü")),
            ("newer than Unicode 3.2", "🦀", Ok("🦀")),
            ("private use", "\u{e000}", Err(Prohibited)),
            ("nothing", "", Err(Empty)),
            ("nothing left", "\u{ad}", Err(Empty)),
        ];
        for (shows, text, want) in cases {
            assert_eq!(
                prepare(text).as_ref().map(|t| t.as_str()),
                want.as_ref().map(|t| *t),
                "{shows}"
            );
        }
    }

    proptest! {
        #[test]
        fn prepared_text_stays_as_it_is(text in "\\PC{0,40}") {
            if let Ok(once) = prepare(&text) {
                prop_assert_eq!(prepare(&once), Ok(once));
            }
        }
    }
}
