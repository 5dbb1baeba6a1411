//! The `{SCHEME}` at the beginning of a stored password.

use super::error::SchemeError;

/// Longest name, in octets.
const NAME_MAX: usize = 32;

/// Name in upper case and what follows; `None` if the text does not begin with a brace.
pub(super) fn split(text: &str) -> Result<Option<(String, &str)>, SchemeError> {
    let Some(inner) = text.strip_prefix('{') else {
        return Ok(None);
    };
    let Some((name, rest)) = inner.split_once('}') else {
        return Err(SchemeError::Damaged("an opening brace without a closing one"));
    };
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(fits) {
        return Err(SchemeError::Damaged("the name in braces is not a known scheme"));
    }
    Ok(Some((name.to_ascii_uppercase(), rest)))
}
