//! Makes text from elsewhere safe to show: on a terminal, in listings, in the log.
//!
//! What peers sent must not control the terminal, forge a line, hide one, or make two names look alike. So control characters,
//! characters that change the writing direction, and invisible ones are shown as their numbers.

use std::borrow::Cow;

/// Whether a character is not shown as it is: C0 and C1 controls, line and paragraph separators, and what Unicode calls
/// `Bidi_Control` and `Default_Ignorable_Code_Point`.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text on one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_hidden)
}

/// The text with its line ends.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_hidden(c))
}

/// A JSON text, in which only strings can hold such characters; their escapes mean the same to any reader.
pub fn json(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| c != '\n' && is_hidden(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn escape(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Shows a message on a terminal, piece by piece: lines and tabs as they are, everything else that is hidden as its number.
#[derive(Debug, Default)]
pub struct Message {
    /// Octets of a character whose end is in the next piece, or a CR that may belong to a line end.
    held: Vec<u8>,
}

impl Message {
    /// The next piece as it is shown.
    pub fn piece(&mut self, octets: &[u8]) -> String {
        self.held.extend_from_slice(octets);
        let held = std::mem::take(&mut self.held);
        let mut shown = String::with_capacity(held.len());
        let mut chunks = held.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            let (mut valid, invalid) = (chunk.valid(), chunk.invalid());
            let is_last = chunks.peek().is_none();
            if is_last && invalid.is_empty() && valid.ends_with('\r') {
                self.held.push(b'\r');
                valid = &valid[..valid.len() - 1];
            }
            show(valid, &mut shown);
            if is_last && may_go_on(invalid) {
                self.held.extend_from_slice(invalid);
            } else {
                show_octets(invalid, &mut shown);
            }
        }
        shown
    }

    /// What is left at the end.
    pub fn rest(self) -> String {
        let mut shown = String::new();
        show_octets(&self.held, &mut shown);
        shown
    }
}

/// Whether these octets, which are not a character, are the beginning of one.
fn may_go_on(octets: &[u8]) -> bool {
    std::str::from_utf8(octets).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

fn show(text: &str, into: &mut String) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\t' => into.push(c),
            c if is_hidden(c) => into.extend(c.escape_default()),
            c => into.push(c),
        }
    }
}

fn show_octets(octets: &[u8], into: &mut String) {
    for octet in octets {
        into.push_str(&format!("\\x{octet:02x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_or_hides() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows      text                   shown
            ("plain",                   "a@b.c",               "a@b.c"),
            ("letters beyond ASCII",    "Grüße 漢字 \u{1f4e7}", "Grüße 漢字 \u{1f4e7}"),
            ("terminal escapes",        "a\x1b[2Jb\u{85}",     "a\\u{1b}[2Jb\\u{85}"),
            ("a line end",              "a\nb",                "a\\nb"),
            ("zero width space",        "an\u{200b}n@b.c",     "an\\u{200b}n@b.c"),
            ("Arabic letter mark",      "a\u{61c}b",           "a\\u{61c}b"),
            ("right-to-left override",  "\u{202e}moc",         "\\u{202e}moc"),
            ("isolates",                "\u{2066}a\u{2069}",   "\\u{2066}a\\u{2069}"),
            ("soft hyphen, filler",     "a\u{ad}\u{3164}",     "a\\u{ad}\\u{3164}"),
            ("variation selectors",     "a\u{fe0f}\u{e0100}",  "a\\u{fe0f}\\u{e0100}"),
            ("tags",                    "\u{e0041}",           "\\u{e0041}"),
            ("line separator",          "a\u{2028}b",          "a\\u{2028}b"),
            ("byte order mark",         "\u{feff}a",           "\\u{feff}a"),
        ];
        for (shows, text, want) in cases {
            assert_eq!(line(text), want, "{shows}");
            let shown = serde_json::to_string_pretty(&[text]).unwrap();
            let shown = json(&shown);
            assert!(
                !shown.chars().any(|c| c != '\n' && is_hidden(c)),
                "{shows}: {shown}"
            );
            assert_eq!(
                serde_json::from_str::<[String; 1]>(&shown).unwrap(),
                [text],
                "{shows}"
            );
        }
        assert_eq!(lines("a\nb\x07"), "a\nb\\u{7}");
    }

    #[test]
    fn messages_come_in_pieces() {
        #[rustfmt::skip]
        let cases: &[(&str, &[&[u8]], &str)] = &[
            // what the case shows          pieces                                 shown
            ("lines and tabs",              &[b"A: b\r\n\tc\r\n\r\nd\n"],          "A: b\n\tc\n\nd\n"),
            ("a line end in two pieces",    &[b"a\r", b"\nb"],                     "a\nb"),
            ("a bare CR hides nothing",     &[b"Good\rEvil\r\n"],                  "Good\\rEvil\n"),
            ("a CR at the end",             &[b"a\r"],                             "a\\x0d"),
            ("a title for the window",      &[b"\x1b]0;pwned\x07"],                "\\u{1b}]0;pwned\\u{7}"),
            ("an escape in two pieces",     &[b"\x1b", b"[2J"],                    "\\u{1b}[2J"),
            ("a letter in two pieces",      &[b"Gr\xc3", b"\xbc\xc3\x9fe"],        "Grüße"),
            ("8 bits that are no UTF-8",    &[b"\x9b2J", b"\xe4\xe4"],             "\\x9b2J\\xe4\\xe4"),
            ("C1 as UTF-8",                 &[b"\xc2\x9b2J"],                      "\\u{9b}2J"),
            ("half a letter at the end",    &[b"a\xe2\x82"],                       "a\\xe2\\x82"),
            ("invisible",                   &["an\u{200b}n".as_bytes()],           "an\\u{200b}n"),
        ];
        for (shows, pieces, want) in cases {
            let mut message = Message::default();
            let mut shown: String = pieces.iter().map(|piece| message.piece(piece)).collect();
            shown.push_str(&message.rest());
            assert_eq!(shown, *want, "{shows}");
        }
    }

    proptest::proptest! {
        #[test]
        fn pieces_do_not_matter(octets: Vec<u8>, at: proptest::sample::Index) {
            let whole = {
                let mut message = Message::default();
                message.piece(&octets) + &message.rest()
            };
            let (one, other) = octets.split_at(at.index(octets.len() + 1));
            let mut message = Message::default();
            let parts = message.piece(one) + &message.piece(other) + &message.rest();
            proptest::prop_assert_eq!(&parts, &whole);
            proptest::prop_assert!(!whole.chars().any(|c| c != '\n' && c != '\t' && is_hidden(c)));
        }
    }
}
