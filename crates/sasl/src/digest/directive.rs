//! The form that all messages of DIGEST-MD5 share: `name=value` or `name="value"`, separated by commas (RFC 2831
//! section 7.1).

/// Most directives in a message. RFC 2831 knows twelve.
const DIRECTIVES_MAX: usize = 32;

/// The directives of a message, in its order; names in lower case, values without their quotes.
#[derive(Debug)]
pub(super) struct Directives(Vec<(String, Vec<u8>)>);

impl Directives {
    /// Reads a message of at most `limit` octets.
    pub(super) fn parse(message: &[u8], limit: usize) -> Result<Self, &'static str> {
        if message.len() > limit {
            return Err("too long");
        }
        let mut directives = Vec::new();
        let mut rest = skip(message, |b| is_blank(b) || b == b',');
        while !rest.is_empty() {
            if directives.len() == DIRECTIVES_MAX {
                return Err("too many directives");
            }
            let (name, behind) = token(rest)?;
            let behind = skip(behind, is_blank)
                .strip_prefix(b"=")
                .ok_or("a directive without a value")?;
            let (value, behind) = match skip(behind, is_blank) {
                [b'"', quoted @ ..] => unquote(quoted)?,
                plain => token(plain).map(|(value, behind)| (value.to_vec(), behind))?,
            };
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            directives.push((name, value));
            rest = skip(behind, is_blank);
            if !rest.is_empty() && rest[0] != b',' {
                return Err("no comma between directives");
            }
            rest = skip(rest, |b| is_blank(b) || b == b',');
        }
        Ok(Self(directives))
    }

    /// All values of a name.
    pub(super) fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_slice())
    }

    /// The value of a name that may be given once.
    pub(super) fn once(&self, name: &str) -> Result<Option<&[u8]>, &'static str> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err("a directive is given twice"),
        }
    }

    /// The value of a name that must be given once.
    pub(super) fn required(&self, name: &str) -> Result<&[u8], &'static str> {
        self.once(name)?.ok_or("a directive is missing")
    }

    /// Whether `charset=utf-8` is given.
    pub(super) fn utf8(&self) -> Result<bool, &'static str> {
        match self.once("charset")? {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case(b"utf-8") => Ok(true),
            Some(_) => Err("unknown charset"),
        }
    }

    /// A value that is a comma-separated list of tokens.
    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<String>>, &'static str> {
        let Some(value) = self.once(name)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(value).map_err(|_| "not UTF-8")?;
        Ok(Some(
            text.split(',')
                .map(|word| word.trim().to_ascii_lowercase())
                .collect(),
        ))
    }
}

/// Appends `name="value"`, with a comma before it unless it is the first.
pub(super) fn push_quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push_name(out, name);
    out.push(b'"');
    for &octet in value {
        if octet == b'"' || octet == b'\\' {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
}

/// Appends `name=value`, with a comma before it unless it is the first.
pub(super) fn push_token(out: &mut Vec<u8>, name: &str, value: &str) {
    push_name(out, name);
    out.extend(value.as_bytes());
}

fn push_name(out: &mut Vec<u8>, name: &str) {
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend(name.as_bytes());
    out.push(b'=');
}

fn skip(text: &[u8], over: impl Fn(u8) -> bool) -> &[u8] {
    let start = text.iter().position(|&b| !over(b)).unwrap_or(text.len());
    &text[start..]
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// A token and the rest.
fn token(text: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let is_token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b);
    let end = text.iter().position(|&b| !is_token(b)).unwrap_or(text.len());
    if end == 0 {
        return Err("a word is missing");
    }
    Ok(text.split_at(end))
}

/// The value of a quoted string whose opening quote has been read, and what follows the closing one.
fn unquote(text: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let mut value = Vec::new();
    let mut octets = text.iter().enumerate();
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'"' => return Ok((value, &text[at + 1..])),
            b'\\' => match octets.next() {
                Some((_, &quoted)) => value.push(quoted),
                None => break,
            },
            0 => return Err("a NUL"),
            octet => value.push(octet),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        /// What it shows, the message, and what is read from it.
        type Case<'a> = (&'a str, &'a str, Result<&'a [(&'a str, &'a str)], &'a str>);
        let cases: [Case<'_>; 13] = [
            ("token and quoted", "a=b,c=\"d\"", Ok(&[("a", "b"), ("c", "d")])),
            ("names in any case", "NONCE=\"x\"", Ok(&[("nonce", "x")])),
            ("a quoted quote", r#"a="x\"y\\z""#, Ok(&[("a", "x\"y\\z")])),
            ("a comma inside", "a=\"b,c\"", Ok(&[("a", "b,c")])),
            (
                "blanks and line breaks",
                " a = b ,\r\n\tc=d",
                Ok(&[("a", "b"), ("c", "d")]),
            ),
            ("empty elements", ",,a=b,,", Ok(&[("a", "b")])),
            ("nothing", "", Ok(&[])),
            ("empty quoted value", "a=\"\"", Ok(&[("a", "")])),
            ("no value", "a", Err("a directive without a value")),
            ("an empty token", "a=,b=c", Err("a word is missing")),
            ("an open quote", "a=\"b", Err("a quote is not closed")),
            ("a backslash at the end", "a=\"b\\", Err("a quote is not closed")),
            ("no comma", "a=\"b\"c=d", Err("no comma between directives")),
        ];
        for (shows, text, want) in cases {
            let got = Directives::parse(text.as_bytes(), 100).map(|directives| directives.0);
            let want = want.map(|list| {
                let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
                list.iter().map(own).collect::<Vec<_>>()
            });
            assert_eq!(got, want, "{shows}");
        }
        assert_eq!(Directives::parse(b"a=b", 2).err(), Some("too long"));
        let many = "a=b,".repeat(DIRECTIVES_MAX + 1);
        assert_eq!(
            Directives::parse(many.as_bytes(), 1000).err(),
            Some("too many directives")
        );
        let twice = Directives::parse(b"nonce=a,nonce=b", 100).unwrap();
        assert_eq!(twice.required("nonce"), Err("a directive is given twice"));
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(value in "[^\\x00]{0,40}") {
            let mut out = Vec::new();
            push_quoted(&mut out, "first", value.as_bytes());
            push_token(&mut out, "second", "x");
            let read = Directives::parse(&out, 1000).unwrap();
            prop_assert_eq!(read.required("first"), Ok(value.as_bytes()));
            prop_assert_eq!(read.required("second"), Ok(b"x".as_slice()));
        }

        #[test]
        fn any_octets(message in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Directives::parse(&message, 100);
        }
    }
}
