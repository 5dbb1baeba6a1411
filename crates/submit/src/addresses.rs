//! Addresses in header fields and on command lines, found even if they are not well-formed: `anna`, `Anna <anna@x.example>`,
//! groups, comments, quotes, source routes. The server checks them.

/// An address that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The address, without display name, comment, angle brackets and source route.
    pub text: String,
    /// Where it ends in the value: the position for a missing domain.
    pub end: usize,
    /// Whether it has no domain.
    pub bare: bool,
}

/// Reads the value of an address field, or an argument: a list of addresses separated by commas. Never fails; what is not an
/// address is returned as it is.
#[must_use]
pub fn scan(value: &[u8]) -> Vec<Found> {
    let mut reader = Reader::default();
    for (place, &octet) in value.iter().enumerate() {
        reader.take(place, octet);
    }
    reader.end_entry();
    reader.found
}

/// Adds `@domain` to each address of a value that has none.
#[must_use]
pub fn qualified(value: &[u8], domain: &str) -> Option<Vec<u8>> {
    let found = scan(value);
    if !found.iter().any(|one| one.bare) {
        return None;
    }
    let mut whole = Vec::with_capacity(value.len() + 64);
    let mut from = 0;
    for one in found.iter().filter(|one| one.bare) {
        whole.extend_from_slice(&value[from..one.end]);
        whole.push(b'@');
        whole.extend_from_slice(domain.as_bytes());
        from = one.end;
    }
    whole.extend_from_slice(&value[from..]);
    Some(whole)
}

/// One address while it is being read.
#[derive(Debug, Default)]
struct Entry {
    text: Vec<u8>,
    end: usize,
    has_at: bool,
    /// Whether its last octet was followed by a blank: the next word is then separated by a blank.
    parted: bool,
}

impl Entry {
    fn push(&mut self, place: usize, octet: u8) {
        // Blanks around dots and `@` are allowed in header fields, and mean nothing.
        let joins = |octet: Option<&u8>| matches!(octet, Some(b'.' | b'@'));
        if self.parted && !self.text.is_empty() && !joins(self.text.last()) && !joins(Some(&octet)) {
            self.text.push(b' ');
        }
        self.parted = false;
        self.text.push(octet);
        self.end = place + 1;
    }
}

#[derive(Debug, Default)]
struct Reader {
    found: Vec<Found>,
    /// Depth of comments.
    comments: usize,
    quoted: bool,
    escaped: bool,
    /// Whether within angle brackets.
    angle: bool,
    /// The text outside of angle brackets.
    outside: Entry,
    /// The text within.
    inside: Option<Entry>,
}

impl Reader {
    fn take(&mut self, place: usize, octet: u8) {
        if self.comments > 0 {
            match octet {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'(' => self.comments += 1,
                b')' => self.comments -= 1,
                _ => {}
            }
            return;
        }
        if self.quoted {
            match octet {
                b'\r' | b'\n' => return,
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            self.entry().push(place, octet);
            return;
        }
        match octet {
            b'(' => {
                self.comments = 1;
                self.entry().parted = true;
            }
            b' ' | b'\t' | b'\r' | b'\n' => self.entry().parted = true,
            b'<' if !self.angle => {
                self.angle = true;
                self.inside = Some(Entry::default());
            }
            b'>' if self.angle => self.angle = false,
            // A source route: `@a,@b:user@c`.
            b':' if self.angle => *self.entry() = Entry::default(),
            // The name of a group.
            b':' if !self.is_literal() => {
                self.outside = Entry::default();
                self.inside = None;
            }
            b',' if self.angle && self.entry().text.first() == Some(&b'@') => {}
            b',' | b';' => self.end_entry(),
            _ => {
                if octet == b'"' {
                    self.quoted = true;
                }
                let entry = self.entry();
                entry.has_at |= octet == b'@';
                entry.push(place, octet);
            }
        }
    }

    /// Whether the current text is an address literal, which contains colons.
    fn is_literal(&self) -> bool {
        let text = &self.outside.text;
        text.contains(&b'[') && !text.contains(&b']')
    }

    fn entry(&mut self) -> &mut Entry {
        match &mut self.inside {
            Some(inside) if self.angle => inside,
            _ => &mut self.outside,
        }
    }

    fn end_entry(&mut self) {
        self.angle = false;
        let outside = std::mem::take(&mut self.outside);
        let entry = self.inside.take().unwrap_or(outside);
        if entry.text.is_empty() {
            return;
        }
        self.found.push(Found {
            text: String::from_utf8_lossy(&entry.text).into_owned(),
            end: entry.end,
            bare: !entry.has_at,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found() {
        #[rustfmt::skip]
        let cases: [(&str, &[&str]); 22] = [
            ("anna",                                        &["anna"]),
            ("anna@x.example",                              &["anna@x.example"]),
            ("Anna Berg <anna@x.example>",                  &["anna@x.example"]),
            ("anna, bea@x.example,,  carl ",                &["anna", "bea@x.example", "carl"]),
            ("\"Berg, Anna\" <anna>, bea",                  &["anna", "bea"]),
            ("root (Cron Daemon)",                          &["root"]),
            ("(a \\) b) anna (c (d) e)",                    &["anna"]),
            ("undisclosed-recipients:;",                    &[]),
            ("Friends: anna, Bea <bea@x.example>; carl",    &["anna", "bea@x.example", "carl"]),
            ("<@a.example,@b.example:anna@c.example>",      &["anna@c.example"]),
            ("\"anna berg\"@x.example",                     &["\"anna berg\"@x.example"]),
            ("\"a@b\"",                                     &["\"a@b\""]),
            ("anna @ x . example",                          &["anna@x.example"]),
            ("anna\r\n berg",                               &["anna berg"]),
            ("a@[IPv6:2001:db8::1], b",                     &["a@[IPv6:2001:db8::1]", "b"]),
            ("<>",                                          &[]),
            ("",                                            &[]),
            ("Anna <anna",                                  &["anna"]),
            ("anna>",                                       &["anna>"]),
            ("\"anna",                                      &["\"anna"]),
            ("(anna",                                       &[]),
            ("j\u{f6}rg@x.example",                         &["j\u{f6}rg@x.example"]),
        ];
        for (value, expected) in cases {
            let found: Vec<String> = scan(value.as_bytes()).into_iter().map(|one| one.text).collect();
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn domains_are_put_where_they_are_missing() {
        #[rustfmt::skip]
        let cases = [
            ("anna",                                   Some("anna@h.example")),
            ("Anna <anna>, bea@x.example, carl (C)",   Some("Anna <anna@h.example>, bea@x.example, carl@h.example (C)")),
            ("Friends: anna,\r\n bea;",                Some("Friends: anna@h.example,\r\n bea@h.example;")),
            ("\"a@b\" <c>",                            Some("\"a@b\" <c@h.example>")),
            ("\"a@b\"",                                Some("\"a@b\"@h.example")),
            ("anna@x.example",                         None),
            ("",                                       None),
        ];
        for (value, expected) in cases {
            let whole = qualified(value.as_bytes(), "h.example");
            assert_eq!(whole.as_deref(), expected.map(str::as_bytes), "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_qualified_needs_no_more(value in "[ -~\r\n]{0,60}") {
            if let Some(whole) = qualified(value.as_bytes(), "h.example") {
                proptest::prop_assert!(whole.len() > value.len());
            }
        }

        #[test]
        fn nothing_is_too_strange(value in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            for one in scan(&value) {
                proptest::prop_assert!(one.end <= value.len() && !one.text.is_empty());
            }
        }
    }
}
