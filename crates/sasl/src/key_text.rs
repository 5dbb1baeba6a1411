//! The text form of stored keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Longest text form of a key, in octets. Longer text is refused before it is looked at.
pub const KEY_TEXT_MAX: usize = 4_096;

/// A text that is not a stored key. It does not say what the text was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a stored key for {kind}: {what}")]
pub struct KeyError {
    /// What key was expected.
    pub(crate) kind: &'static str,
    /// What is wrong with it.
    pub(crate) what: &'static str,
}

/// Shows the type's name and that the content is hidden.
pub(crate) fn redacted(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name}([redacted])")
}

/// Writes octets in lower-case hexadecimal.
pub(crate) fn hex(octets: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(String::with_capacity(octets.len() * 2));
    for octet in octets {
        text.push(char::from(DIGITS[usize::from(octet >> 4)]));
        text.push(char::from(DIGITS[usize::from(octet & 15)]));
    }
    text
}

/// Reads exactly `N` octets of hexadecimal in any case.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    if text.len() != 2 * N {
        return None;
    }
    let mut octets = Zeroizing::new([0; N]);
    for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(digits[0]).to_digit(16)?;
        let low = char::from(digits[1]).to_digit(16)?;
        *octet = u8::try_from(high << 4 | low).ok()?;
    }
    Some(octets)
}

/// Reads strict base64 into memory that is wiped.
pub(crate) fn unbase64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(text).ok().map(Zeroizing::new)
}
