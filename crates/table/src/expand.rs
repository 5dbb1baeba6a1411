//! Texts with placeholders for parts of the key, as Postfix writes them: `%s`, `%u`, `%d`, `%1`.

/// A text with placeholders.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expansion {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(String),
    Part(Part, Source),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Whole,
    Local,
    Domain,
    /// A label of the domain, counted from its end.
    Label(usize),
}

/// Which of the two texts a part comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    Key,
    Value,
}

/// The purpose of a text with placeholders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Of {
    /// A query: all placeholders are parts of the key.
    Question,
    /// A result: `%s`, `%u` and `%d` are parts of the value, `%S`, `%U`, `%D` and `%1` to `%9` parts of the key.
    Answer,
}

impl Expansion {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// An invalid placeholder after a `%`; the text follows the name of the parameter.
    pub fn parse(text: &str, of: Of) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut open = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                open.push(c);
                continue;
            }
            let own = match of {
                Of::Question => Source::Key,
                Of::Answer => Source::Value,
            };
            let place = match chars.next() {
                Some('%') => {
                    open.push('%');
                    continue;
                }
                Some('s') => (Part::Whole, own),
                Some('u') => (Part::Local, own),
                Some('d') => (Part::Domain, own),
                Some('S') => (Part::Whole, Source::Key),
                Some('U') => (Part::Local, Source::Key),
                Some('D') => (Part::Domain, Source::Key),
                Some(digit @ '1'..='9') => {
                    let number = digit.to_digit(10).unwrap_or(1) as usize;
                    (Part::Label(number), Source::Key)
                }
                other => {
                    let found = other.map_or_else(|| "%".to_owned(), |c| format!("%{c}"));
                    return Err(format!(
                        "has `{found}`, which stands for nothing: there are %s, %u, %d and %1 to %9, and %% for one `%`"
                    ));
                }
            };
            if !open.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut open)));
            }
            pieces.push(Piece::Part(place.0, place.1));
        }
        if !open.is_empty() {
            pieces.push(Piece::Text(open));
        }
        Ok(Self { pieces })
    }

    /// Whether it is the same for every key.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Whether it has `%u` or `%d` or a part of the domain, for which the key must be an address.
    #[must_use]
    pub fn looks_at_parts(&self) -> bool {
        let is_part = |piece: &Piece| matches!(piece, Piece::Part(part, _) if *part != Part::Whole);
        self.pieces.iter().any(is_part)
    }

    /// The text for a key and a value, each part escaped by `escape`. `None` if a part is missing: the key has no domain, too
    /// few labels, or nothing before its `@`. Then no query is made, or the value is left out, as with Postfix.
    #[must_use]
    pub fn fill(&self, key: &str, value: &str, escape: &dyn Fn(&str) -> String) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Part(part, source) => {
                    let text = match source {
                        Source::Key => key,
                        Source::Value => value,
                    };
                    filled.push_str(&escape(part.of(text)?));
                }
            }
        }
        Some(filled)
    }
}

impl Part {
    fn of(self, text: &str) -> Option<&str> {
        let parts = text.rsplit_once('@');
        match (self, parts) {
            (Self::Whole, _) | (Self::Local, None) => Some(text),
            (Self::Local, Some((local, _))) => (!local.is_empty()).then_some(local),
            (_, None) => None,
            (Self::Domain, Some((_, domain))) => Some(domain),
            (Self::Label(number), Some((_, domain))) => domain.rsplit('.').nth(number - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers() {
        use Of::{Answer, Question};
        #[rustfmt::skip]
        let cases = [
            (Question, "a='%s'",     "u@mail.x.org", "",      Some("a='u@mail.x.org'"), "the key"),
            (Question, "%u|%d",      "u@x.org",      "",      Some("u|x.org"),          "its parts"),
            (Question, "%U|%D|%S",   "u@x.org",      "",      Some("u|x.org|u@x.org"),  "as well"),
            (Question, "%1.%2.%3",   "u@mail.x.org", "",      Some("org.x.mail"),       "labels from the end"),
            (Question, "%4",         "u@mail.x.org", "",      None,                     "one that is not there"),
            (Question, "%u",         "u",            "",      Some("u"),                "no domain: all of it"),
            (Question, "%d",         "x.org",        "",      None,                     "no domain"),
            (Question, "%u",         "@x.org",       "",      None,                     "nothing before the @"),
            (Question, "%s",         "@x.org",       "",      Some("@x.org"),           "a key of a domain"),
            (Question, "50%%",       "u",            "",      Some("50%"),              "a percent sign"),
            (Answer,   "%s",         "k@k.org",      "v",     Some("v"),                "the value"),
            (Answer,   "%u@%D",      "k@k.org",      "v@w",   Some("v@k.org"),          "parts of both"),
            (Answer,   "smtp:[%s]",  "k",            "h",     Some("smtp:[h]"),         "within text"),
            (Answer,   "%d",         "k@k.org",      "v",     None,                     "a value without domain"),
            (Answer,   "%1",         "k@k.org",      "v",     Some("org"),              "a label of the key"),
        ];
        for (of, text, key, value, want, shows) in cases {
            let expansion = Expansion::parse(text, of).unwrap();
            let got = expansion.fill(key, value, &|part| part.to_owned());
            assert_eq!(got.as_deref(), want, "{shows}");
        }
        for text in ["%", "%x", "a%"] {
            assert!(Expansion::parse(text, Question).is_err(), "{text}");
        }
        assert!(Expansion::parse("x", Question).unwrap().is_fixed());
        let escaped = Expansion::parse("(%s)", Question).unwrap();
        assert_eq!(
            escaped.fill("a", "", &|part| format!("<{part}>")).as_deref(),
            Some("(<a>)")
        );
    }
}
