//! Forms as text (`application/x-www-form-urlencoded`).

use std::fmt::Write as _;

/// Joins names and values.
pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    // Allocated at once, so that growing leaves no copy of a secret behind.
    let most = fields
        .iter()
        .map(|(name, value)| 3 * (name.len() + value.len()) + 2);
    let mut text = String::with_capacity(most.sum());
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        push(&mut text, name);
        text.push('=');
        push(&mut text, value);
    }
    text
}

/// One value.
pub(super) fn escape(value: &str) -> String {
    let mut text = String::with_capacity(3 * value.len());
    push(&mut text, value);
    text
}

fn push(text: &mut String, value: &str) {
    for octet in value.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                text.push(char::from(octet))
            }
            b' ' => text.push('+'),
            _ => {
                let _ = write!(text, "%{octet:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_ends_it() {
        #[rustfmt::skip]
        let cases = [
            ("plain",                  "abc-1_2.3*",  "abc-1_2.3*"),
            ("what separates fields",  "a&b=c",       "a%26b%3Dc"),
            ("a blank and a plus",     "a b+c",       "a+b%2Bc"),
            ("a colon, as in Basic",   "id:x",        "id%3Ax"),
            ("UTF-8",                  "ä",           "%C3%A4"),
            ("a line end",             "a\r\nb",      "a%0D%0Ab"),
        ];
        for (shows, value, want) in cases {
            assert_eq!(escape(value), want, "{shows}");
        }
        assert_eq!(encode(&[("token", "a=b"), ("x", "")]), "token=a%3Db&x=");
    }
}
