//! Lists in braces, as Postfix writes tables within a line: `{ a=b, { c = d, e }, f=g }`.

use crate::lines::is_blank;

/// The text within the outer braces.
pub(crate) fn inner(text: &str) -> Option<&str> {
    text.trim().strip_prefix('{')?.strip_suffix('}')
}

/// The members of a list, separated by commas and blanks outside inner braces, which are kept. `None` for unbalanced braces.
pub(crate) fn members(list: &str) -> Option<Vec<&str>> {
    let mut members = Vec::new();
    let (mut depth, mut begin) = (0_usize, None);
    for (index, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        let parts = depth == 0 && (c == ',' || is_blank(c) || c == '\n');
        match (begin, parts) {
            (None, false) => begin = Some(index),
            (Some(start), true) => {
                members.push(&list[start..index]);
                begin = None;
            }
            _ => {}
        }
    }
    if let Some(start) = begin {
        members.push(&list[start..]);
    }
    (depth == 0).then_some(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        #[rustfmt::skip]
        let cases: [(&str, Option<&[&str]>); 6] = [
            ("a=b, c=d",             Some(&["a=b", "c=d"])),
            (" { a = b, c } ,d=e ",  Some(&["{ a = b, c }", "d=e"])),
            ("{a {b} c}",            Some(&["{a {b} c}"])),
            ("",                     Some(&[])),
            ("a}",                   None),
            ("{a",                   None),
        ];
        for (text, want) in cases {
            assert_eq!(members(text).as_deref(), want, "{text}");
        }
    }
}
