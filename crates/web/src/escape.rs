//! How text from anywhere gets into a page.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Html};
use postern_mail::visible;

/// The escaper of all templates: markup is shown as text, and characters that cannot be seen, or turn the direction of others, by
/// their numbers, as in listings and the log.
#[derive(Clone, Copy, Debug)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, dest: W, string: &str) -> fmt::Result {
        Html.write_escaped_str(dest, &visible::line(string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_markup_nor_hidden_characters_get_out() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows     text                                 in the page
            ("plain",                  "anna@oakfield.example",             "anna@oakfield.example"),
            ("an element",             "<script>alert(1)</script>",         "&#60;script&#62;alert(1)&#60;/script&#62;"),
            ("the end of a value",     "\"><img src=x onerror=alert(1)>",   "&#34;&#62;&#60;img src=x onerror=alert(1)&#62;"),
            ("single quotes",          "' onfocus='x",                      "&#39; onfocus=&#39;x"),
            ("an entity",              "&lt;b&gt;",                         "&#38;lt;b&#38;gt;"),
            ("right-to-left override", "\u{202e}moc",                       "\\u{202e}moc"),
            ("a zero width space",     "an\u{200b}na",                      "an\\u{200b}na"),
            ("a terminal escape",      "\x1b[2J",                           "\\u{1b}[2J"),
            ("letters beyond ASCII",   "Grüße 漢字",                         "Grüße 漢字"),
        ];
        for (shows, text, want) in cases {
            let mut got = String::new();
            Visible.write_escaped_str(&mut got, text).unwrap();
            assert_eq!(got, want, "{shows}");
        }
    }
}
