//! Texts as they are compared.

use std::borrow::Cow;

/// Whether a text had invalid UTF-8.
pub(crate) fn is_garbled(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

/// A key in the form used for comparison.
pub(crate) fn fold(key: &str) -> Cow<'_, str> {
    if key.is_ascii() {
        if key.bytes().any(|octet| octet.is_ascii_uppercase()) {
            Cow::Owned(key.to_ascii_lowercase())
        } else {
            Cow::Borrowed(key)
        }
    } else {
        Cow::Owned(key.to_lowercase())
    }
}
