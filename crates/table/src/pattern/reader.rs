//! Reads a pattern, and writes it for the engine.

use super::dialect::Dialect;

/// A pattern being read.
pub(super) struct Reader<'p> {
    rest: &'p str,
    pub(super) dialect: Dialect,
    pub(super) out: String,
}

impl<'p> Reader<'p> {
    pub(super) fn new(pattern: &'p str, dialect: Dialect) -> Self {
        Self {
            rest: pattern,
            dialect,
            out: String::with_capacity(pattern.len() + 16),
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }

    pub(super) fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) const fn rest(&self) -> &'p str {
        self.rest
    }

    /// Skips that many octets.
    pub(super) fn skip(&mut self, octets: usize) {
        self.rest = self.rest.get(octets..).unwrap_or_default();
    }

    /// A literal character.
    pub(super) fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() && c != '<' && c != '>' {
            self.out.push('\\');
        }
        self.out.push(c);
    }
}

/// The single character of a Perl escape such as `\t` and `\x41`; `first` has been read.
pub(super) fn character(reader: &mut Reader<'_>, first: char) -> Result<char, String> {
    let of = |number: u32| {
        char::from_u32(number).ok_or_else(|| format!("has \\x{number:X}, which is not a character"))
    };
    Ok(match first {
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        'f' => '\x0c',
        'a' => '\x07',
        'e' => '\x1b',
        'x' => {
            let rest = reader.rest();
            let (digits, len) = match rest.strip_prefix('{') {
                Some(inner) => {
                    let end = inner.find('}').ok_or("has `\\x{` without `}`")?;
                    (&inner[..end], end + 2)
                }
                None => {
                    let hex = rest.bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
                    (&rest[..hex], hex)
                }
            };
            let number = if digits.is_empty() {
                Some(0)
            } else {
                u32::from_str_radix(digits, 16)
                    .ok()
                    .filter(|_| !digits.starts_with('+'))
            };
            let number = number.ok_or("has an `\\x` without hexadecimal digits")?;
            reader.skip(len);
            of(number)?
        }
        '0' => {
            let rest = reader.rest();
            let octal = rest
                .bytes()
                .take(2)
                .take_while(|octet| matches!(octet, b'0'..=b'7'))
                .count();
            let number = u32::from_str_radix(&rest[..octal], 8).unwrap_or(0);
            reader.skip(octal);
            of(number)?
        }
        c if c.is_ascii_alphanumeric() => {
            return Err(format!("has the unknown escape `\\{c}`: leave out the `\\`"));
        }
        c => c,
    })
}
