//! Helpers for tag lists, besides [`TagList`](crate::TagList).

/// Blanks and folds.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A text without any blank: Base64 and names may be folded anywhere.
pub(super) fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !is_blank(*c)).collect()
}
