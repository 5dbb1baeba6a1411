//! Reads `Authentication-Results` as far as is needed: who wrote it, and whether a method passed.

/// Most methods of one field examined.
const METHODS_MAX: usize = 100;

/// Whether a field's value claims to be from the host with this name (RFC 8601 section 2.2, `authserv-id`). Names are compared
/// ignoring case, a trailing dot and control characters, as lenient readers do.
#[must_use]
pub fn is_by(value: &[u8], authserv_id: &str) -> bool {
    let text = String::from_utf8_lossy(value);
    let text: String = text
        .chars()
        .filter(|c| c.is_ascii_whitespace() || !c.is_control())
        .collect();
    let mut reader = Reader(&text);
    reader.word().is_some_and(|word| {
        let name = word.strip_suffix('.').unwrap_or(&word);
        name.eq_ignore_ascii_case(authserv_id)
    })
}

/// Whether a field's value hides its author in an encoded word (RFC 2047), which is not allowed there: readers that decode all
/// fields alike may find any name in it.
#[must_use]
pub fn hides_author(value: &[u8]) -> bool {
    let name = value.split(|octet| *octet == b';').next().unwrap_or_default();
    name.windows(2).any(|pair| pair == b"=?")
}

/// Whether the results in a text, with or without a leading host name, contain `method=result`.
#[must_use]
pub fn has_result(text: &str, method: &str, result: &str) -> bool {
    results(text).any(|(name, value)| name.eq_ignore_ascii_case(method) && value.eq_ignore_ascii_case(result))
}

/// The first result of a method in a text.
#[must_use]
pub fn result_of(text: &str, method: &str) -> Option<String> {
    results(text).find_map(|(name, value)| name.eq_ignore_ascii_case(method).then_some(value))
}

fn results(text: &str) -> impl Iterator<Item = (String, String)> {
    let mut reader = Some(Reader(text));
    let parts = std::iter::from_fn(move || {
        let here = reader.as_mut()?;
        let found = here.method();
        if !here.skip_past_semicolon() {
            reader = None;
        }
        Some(found)
    });
    parts.take(METHODS_MAX).flatten()
}

struct Reader<'a>(&'a str);

impl Reader<'_> {
    /// `spf = pass`, or `spf/1 = pass`.
    fn method(&mut self) -> Option<(String, String)> {
        let name = self.word()?;
        self.skip_blanks();
        if self.take('/') {
            self.word()?;
            self.skip_blanks();
        }
        if !self.take('=') {
            return None;
        }
        Some((name, self.word()?))
    }

    /// A token or a quoted string, after blanks and comments.
    fn word(&mut self) -> Option<String> {
        self.skip_blanks();
        if self.take('"') {
            return self.quoted();
        }
        let special = |c: char| c.is_ascii_whitespace() || c.is_control() || "()<>@,;:\\\"/[]?=".contains(c);
        let end = self.0.find(special).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    fn quoted(&mut self) -> Option<String> {
        let mut word = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => word.push(chars.next()?),
                '\r' | '\n' => {}
                c => word.push(c),
            }
        }
        self.0 = chars.as_str();
        Some(word)
    }

    fn take(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Blanks, folds and comments, which nest.
    fn skip_blanks(&mut self) {
        let mut depth = 0_usize;
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                '\\' if depth > 0 => {
                    chars.next();
                }
                _ if depth > 0 || c.is_ascii_whitespace() => {}
                _ => {
                    self.0 = &self.0[at..];
                    return;
                }
            }
        }
        self.0 = "";
    }

    /// Skips past the next semicolon outside quotes and comments. Returns false if there is none.
    fn skip_past_semicolon(&mut self) -> bool {
        loop {
            self.skip_blanks();
            match self.0.chars().next() {
                None => return false,
                Some(';') => {
                    self.0 = &self.0[1..];
                    return true;
                }
                Some('"') => {
                    self.0 = &self.0[1..];
                    if self.quoted().is_none() {
                        return false;
                    }
                }
                Some(c) => self.0 = &self.0[c.len_utf8()..],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_field_is() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows             value                                         ours
            ("ours",                           " mx.example.org; spf=pass",                  true),
            ("ours, no result",                " mx.example.org; none",                      true),
            ("ours, nothing behind",           " mx.example.org",                            true),
            ("ours, in capitals",              " MX.Example.ORG; none",                      true),
            ("ours, with a version",           " mx.example.org 1; none",                    true),
            ("ours, quoted",                   " \"mx.example.org\"; none",                  true),
            ("ours, quoted with escapes",      " \"mx\\.example.org\"; none",                true),
            ("ours, behind a comment",         " (a (b) \\) c)\r\n\tmx.example.org; none",   true),
            ("ours, before a comment",         " mx.example.org(x); none",                   true),
            ("ours, with a dot behind",        " mx.example.org.; none",                     true),
            ("ours, NUL before it",            " \0mx.example.org; none",                    true),
            ("ours, controls within",          " mx.exam\u{8}ple.org\u{7f}; none",           true),
            ("another host",                   " mx.example.net; spf=pass",                  false),
            ("below us",                       " a.mx.example.org; none",                    false),
            ("longer",                         " mx.example.org.net; none",                  false),
            ("our name in a comment",          " mx.example.net (mx.example.org); none",     false),
            ("our name in a result",           " x; spf=pass smtp.helo=mx.example.org",      false),
            ("nothing",                        "",                                           false),
            ("a comment without end",          " (mx.example.org; none",                     false),
            ("a quote without end",            " \"mx.example.org; none",                    false),
        ];
        for (shows, value, ours) in cases {
            assert_eq!(is_by(value.as_bytes(), "mx.example.org"), ours, "{shows}");
        }
    }

    #[test]
    fn who_hides() {
        for (value, hides) in [
            (" =?utf-8?q?mx.example.org?=; dmarc=pass", true),
            (" =?utf-8?q?mx.example.org;_dmarc=3Dpass?=", true),
            (" (=?us-ascii?b?eA==?=) mx.example.org; none", true),
            (" mx.example.org; dkim=pass reason=\"=?x\"", false),
            (" mx.example.org", false),
        ] {
            assert_eq!(hides_author(value.as_bytes()), hides, "{value}");
        }
    }

    #[test]
    fn results_are_found() {
        let text = "mx.example; spf=fail smtp.mailfrom=a;\r\n\tdkim=pass (dmarc=pass) header.d=\"x; arc=pass\"; dmarc/1 = pass (p=reject)";
        for (method, result, found) in [
            ("spf", "fail", true),
            ("spf", "pass", false),
            ("dkim", "pass", true),
            ("dmarc", "pass", true),
            ("arc", "pass", false),
            ("mailfrom", "a", false),
        ] {
            assert_eq!(has_result(text, method, result), found, "{method}={result}");
        }
        assert_eq!(result_of(text, "SPF").as_deref(), Some("fail"));
        assert_eq!(result_of(text, "arc"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[a-c;=()\"\\\\ \u{e4}/\r\n]{0,60}") {
            let _ = is_by(text.as_bytes(), "a");
            let _ = has_result(&text, "a", "b");
        }
    }
}
