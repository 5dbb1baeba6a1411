//! Pieces of the lines.

use std::net::IpAddr;

/// The value of `name=…` in a text, up to its end.
pub(super) fn field<'t>(text: &'t str, name: &str, ends: &[char]) -> Option<&'t str> {
    let mut rest = text;
    loop {
        let at = rest.find(name)?;
        let begins = at == 0 || rest[..at].ends_with([' ', ',', ';']);
        let value = &rest[at + name.len()..];
        if begins {
            return Some(value.split(ends).next().unwrap_or(value));
        }
        rest = value;
    }
}

/// The address between the first `[` and `]`; IPv6 may have a prefix `IPv6:`.
pub(super) fn in_brackets(text: &str) -> Option<IpAddr> {
    let inside = text.split_once('[')?.1.split_once(']')?.0;
    inside.trim_start_matches("IPv6:").parse().ok()
}

/// An address without its angle brackets.
pub(super) fn bare(text: &str) -> String {
    text.trim()
        .trim_start_matches('<')
        .trim_end_matches('>')
        .to_owned()
}

/// A reply's code and the text after it.
pub(super) fn reply(text: &str) -> Option<(u16, &str)> {
    let code: u16 = text.get(..3)?.parse().ok()?;
    (400..600).contains(&code).then(|| (code, text[3..].trim()))
}
