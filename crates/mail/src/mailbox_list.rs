//! The mailboxes of a `From` field (RFC 5322 section 3.4), for callers that must know exactly whom it names.
//!
//! Strict where readers differ: a value that two of them could read as different addresses is refused. Display names and comments
//! are dropped.

use crate::{Mailbox, ParseOptions};

/// Reads the value of one `From` field, unfolded. `None` for what is not a plain list of mailboxes: groups, routes, unterminated
/// angle brackets or quotes, text after an address, nothing at all.
#[must_use]
pub fn mailbox_list(value: &str) -> Option<Vec<Mailbox>> {
    let mut list = Vec::new();
    let mut reader = Reader::default();
    for c in value.chars() {
        if reader.take(c)? {
            list.push(reader.finish()?);
        }
    }
    list.push(reader.finish()?);
    Some(list)
}

/// The state while reading one entry of the list.
#[derive(Debug, Default)]
struct Reader {
    /// Depth of comments.
    comments: usize,
    quoted: bool,
    escaped: bool,
    angle: Angle,
    /// The text outside comments and angle brackets: a display name, or the address itself.
    outside: String,
    inside: String,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Angle {
    #[default]
    Before,
    Inside,
    After,
}

impl Reader {
    /// Takes one character; true for a comma, which ends the entry.
    fn take(&mut self, c: char) -> Option<bool> {
        if c.is_control() && c != '\t' {
            return None;
        }
        if self.escaped {
            self.escaped = false;
            self.keep(c);
            return Some(false);
        }
        match c {
            '\\' if self.quoted || self.comments > 0 => {
                self.escaped = true;
                self.keep(c);
            }
            '(' if !self.quoted => self.comments += 1,
            ')' if !self.quoted => self.comments = self.comments.checked_sub(1)?,
            _ if self.comments > 0 => {}
            // Readers differ in how they show this.
            '"' if self.angle == Angle::After => return None,
            '"' => {
                self.quoted = !self.quoted;
                self.keep(c);
            }
            _ if self.quoted => self.keep(c),
            ',' => return Some(true),
            ';' => return None,
            ':' if self.angle == Angle::Before => return None,
            '<' if self.angle == Angle::Before => self.angle = Angle::Inside,
            '>' if self.angle == Angle::Inside => self.angle = Angle::After,
            '<' | '>' => return None,
            ' ' | '\t' => self.keep(' '),
            _ if self.angle == Angle::After => return None,
            _ => self.keep(c),
        }
        Some(false)
    }

    fn keep(&mut self, c: char) {
        match self.angle {
            _ if self.comments > 0 => {}
            Angle::Before | Angle::After => self.outside.push(c),
            Angle::Inside => self.inside.push(c),
        }
    }

    /// Returns the address of the entry, and begins the next.
    fn finish(&mut self) -> Option<Mailbox> {
        let entry = std::mem::take(self);
        if entry.quoted || entry.escaped || entry.comments > 0 {
            return None;
        }
        let address = match entry.angle {
            Angle::Before => entry.outside,
            Angle::Inside => return None,
            Angle::After => entry.inside,
        };
        let options = ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        };
        Mailbox::parse(address.trim(), &options).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        #[rustfmt::skip]
        let cases: [(&str, &str, Option<&[&str]>); 27] = [
            ("an address",                    "a@x.example",                           Some(&["a@x.example"])),
            ("with a name",                   "A Caird <a@x.example>",                 Some(&["a@x.example"])),
            ("a quoted name with a comma",    "\"Caird, A\" <a@x.example>",            Some(&["a@x.example"])),
            ("a name that looks like one",    "\"boss@x.example\" <a@x.example>",      Some(&["a@x.example"])),
            ("so without quotes",             "boss@x.example <a@x.example>",          Some(&["a@x.example"])),
            ("an encoded name",               "=?utf-8?q?A=2C?= <a@x.example>",        Some(&["a@x.example"])),
            ("a name in UTF-8",               "Jürgen <j@x.example>",                  Some(&["j@x.example"])),
            ("two",                           "a@x.example, B <b@x.example>",          Some(&["a@x.example", "b@x.example"])),
            ("a comment",                     "a@x.example (boss@x.example, (x))",     Some(&["a@x.example"])),
            ("a comment with a parenthesis",  "a@x.example (\\), b@x.example)",        Some(&["a@x.example"])),
            ("a quoted local part",           "\"a b\"@x.example",                     Some(&["\"a b\"@x.example"])),
            ("an angle bracket in quotes",    "\"<b@x.example>\" <a@x.example>",       Some(&["a@x.example"])),
            ("blanks inside the brackets",    "A < a@x.example >",                     Some(&["a@x.example"])),
            ("two addresses in brackets",     "<a@x.example><b@x.example>",            None),
            ("text behind the address",       "<a@x.example> b@x.example",             None),
            ("quoted text behind it",         "<a@x.example> \"b@x.example\"",         None),
            ("an address beyond ASCII",       "Jürgen <jürgen@x.example>",             Some(&["jürgen@x.example"])),
            ("two without a comma",           "a@x.example b@x.example",               None),
            ("a group",                       "G: a@x.example;",                       None),
            ("a route",                       "<@y.example:a@x.example>",              None),
            ("a quote without end",           "\"a <a@x.example>",                     None),
            ("a bracket without end",         "<a@x.example",                          None),
            ("a comment without end",         "a@x.example (",                         None),
            ("an empty place in the list",    "a@x.example,,b@x.example",              None),
            ("no domain",                     "acaird",                                None),
            ("nothing",                       "",                                      None),
            ("a NUL",                         "a@x.example\0",                         None),
        ];
        for (shows, value, expected) in cases {
            let got =
                mailbox_list(value).map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(
                got.as_deref()
                    .map(|l| l.iter().map(String::as_str).collect::<Vec<_>>()),
                expected.map(<[&str]>::to_vec),
                "{shows}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_value_breaks_the_reader(value in "[ab@.<>,;:()\\\\\" \t]{0,40}") {
            let _ = mailbox_list(&value);
        }
    }
}
