//! xtext, the encoding of `ENVID=`, `ORCPT=` and `AUTH=` (RFC 3461 section 4, RFC 6533 section 3).

/// Why a text is not xtext.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum XtextError {
    /// `+` without two upper-case hexadecimal digits.
    #[error("'+' must be followed by two hexadecimal digits")]
    BadEscape,
    /// A character that must have been encoded, or a control character behind an escape.
    #[error("character not allowed in xtext")]
    BadCharacter,
    /// What comes out is not UTF-8.
    #[error("decoded text is not UTF-8")]
    NotUtf8,
}

/// Encodes for an SMTP parameter.
#[must_use]
pub fn encode(text: &str) -> String {
    todo!("{text}")
}

/// Decodes the value of an SMTP parameter. The result holds no control character, so it may go into a header field.
///
/// # Errors
///
/// See [`XtextError`].
pub fn decode(text: &str) -> Result<String, XtextError> {
    todo!("{text}")
}

/// Decodes `ORCPT=`, which is `type;xtext`, to `type;address` (RFC 3461 section 4.2).
///
/// For the type `utf-8` the address is read as `utf-8-addr-xtext` or `utf-8-addr-unitext` (RFC 6533 section 3).
///
/// # Errors
///
/// See [`XtextError`]; [`XtextError::BadCharacter`] when the type is missing or no atom.
pub fn decode_orcpt(text: &str) -> Result<String, XtextError> {
    todo!("{text}")
}

/// Encodes `type;address` as the value of `ORCPT=`.
///
/// `smtputf8` says whether the next hop takes UTF-8; without it the address goes out in ASCII only.
#[must_use]
pub fn encode_orcpt(orcpt: &str, smtputf8: bool) -> String {
    todo!("{orcpt} {smtputf8}")
}
