//! Which characters an address is made of.

/// Whether `local` needs no quotes: atoms joined by single dots.
pub(super) fn is_dot_string(local: &str) -> bool {
    !local.is_empty()
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(|c| is_atext(c, true)))
}

/// Whether `c` may be in a quoted local part, escaped where needed.
pub(super) fn is_quotable(c: char, utf8: bool) -> bool {
    matches!(c, ' '..='~') || (utf8 && !c.is_ascii() && !is_unsafe(c))
}

/// `atext` (RFC 5322 section 3.2.3), with UTF-8 (RFC 6531 section 3.3).
pub(super) fn is_atext(c: char, utf8: bool) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '/' | '=' | '?' => true,
        '^' | '_' | '`' | '{' | '|' | '}' | '~' => true,
        c => utf8 && !c.is_ascii() && !is_unsafe(c),
    }
}

/// Non-ASCII control characters: C1 controls, line and paragraph separators, and those that change the direction of text, with
/// which an address can be made to look like another.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
