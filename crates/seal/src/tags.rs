//! Lists of tags, `name=value; name=value`: the format of signatures and key records (RFC 6376 section 3.2).

/// Most tags of one list; the RFCs define fewer than 20.
const TAGS_MAX: usize = 100;

/// A list of tags in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TagList<'a>(Vec<(&'a str, &'a str)>);

/// Why something is not a list of tags.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TagFault {
    /// A part between semicolons has no equals sign.
    #[error("a part between semicolons has no \"=\"")]
    NoValue,
    /// A name is invalid.
    #[error("the name of a tag is not made of letters, digits and \"_\"")]
    Name,
    /// A tag occurs twice, which invalidates the whole list.
    #[error("a tag is there twice")]
    Twice,
    /// Control characters or octets beyond ASCII in a value.
    #[error("the value of a tag has characters that it cannot have")]
    Value,
    /// More than 100 tags.
    #[error("too many tags")]
    TooMany,
}

impl<'a> TagList<'a> {
    /// Parses a list. Blanks and folds around names and values are ignored; those within a value are kept.
    ///
    /// # Errors
    ///
    /// [`TagFault`], for the list as a whole.
    pub fn parse(text: &'a str) -> Result<Self, TagFault> {
        let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
        let mut tags: Vec<(&str, &str)> = Vec::new();
        let mut parts = text.split(';').map(|part| part.trim_matches(is_blank)).peekable();
        while let Some(part) = parts.next() {
            // One trailing semicolon is allowed.
            if part.is_empty() && parts.peek().is_none() {
                break;
            }
            let (name, value) = part.split_once('=').ok_or(TagFault::NoValue)?;
            let (name, value) = (
                name.trim_end_matches(is_blank),
                value.trim_start_matches(is_blank),
            );
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(is_name) {
                return Err(TagFault::Name);
            }
            if !value.chars().all(|c| c.is_ascii_graphic() || is_blank(c)) {
                return Err(TagFault::Value);
            }
            if tags.iter().any(|(other, _)| *other == name) {
                return Err(TagFault::Twice);
            }
            if tags.len() >= TAGS_MAX {
                return Err(TagFault::TooMany);
            }
            tags.push((name, value));
        }
        Ok(Self(tags))
    }

    /// The value of a tag. Names are case-sensitive.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| *value)
    }

    /// The name of the first tag.
    #[must_use]
    pub fn first(&self) -> Option<&'a str> {
        self.0.first().map(|(name, _)| *name)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        type Tags = &'static [(&'static str, &'static str)];
        #[rustfmt::skip]
        let cases: &[(&str, &str, Result<Tags, TagFault>)] = &[
            // what the case shows          text                         tags
            ("two tags",                    "v=1; a=rsa-sha256",         Ok(&[("v", "1"), ("a", "rsa-sha256")])),
            ("a semicolon at the end",      "v=1;",                      Ok(&[("v", "1")])),
            ("and blanks behind it",        "v=1; \r\n",                 Ok(&[("v", "1")])),
            ("blanks around the sign",      "v = 1 ;\r\n\ta\t=\r\n b",   Ok(&[("v", "1"), ("a", "b")])),
            ("blanks within stay",          "n=a b",                     Ok(&[("n", "a b")])),
            ("an empty value",              "p=",                        Ok(&[("p", "")])),
            ("a sign in the value",         "p=AA==",                    Ok(&[("p", "AA==")])),
            ("names by letter case",        "a=1; A=2",                  Ok(&[("a", "1"), ("A", "2")])),
            ("nothing",                     "",                          Ok(&[])),
            ("two semicolons",              "v=1;;a=b",                  Err(TagFault::NoValue)),
            ("no sign",                     "v=1; junk",                 Err(TagFault::NoValue)),
            ("no name",                     "=1",                        Err(TagFault::Name)),
            ("a digit first",               "1a=1",                      Err(TagFault::Name)),
            ("a blank in the name",         "a b=1",                     Err(TagFault::Name)),
            ("a tag twice",                 "v=1; v=1",                  Err(TagFault::Twice)),
            ("beyond ASCII",                "n=\u{e4}",                  Err(TagFault::Value)),
        ];
        for (shows, text, want) in cases {
            let got = TagList::parse(text).map(|list| list.iter().collect::<Vec<_>>());
            assert_eq!(got, want.map(<[_]>::to_vec), "{shows}");
        }
        let many: String = (0..200).map(|n| format!("a{n}=;")).collect();
        assert_eq!(TagList::parse(&many), Err(TagFault::TooMany));
    }
}
