//! Fields to be put into a header: whoever makes them, they are well formed.

/// Octets of a line without its end (RFC 5322 section 2.1.1).
const LINE_MAX: usize = 998;

/// Octets of a name: it must fit on a line with its colon.
const NAME_MAX: usize = LINE_MAX - 1;

/// A field to be put into a header. One that exists is well formed: nothing in it ends the field, or the header, early.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewField {
    raw: Vec<u8>,
    name: usize,
}

/// Why a field cannot be put into a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FieldError {
    /// The name is empty, too long, or has a blank, a colon or anything but printable ASCII (RFC 5322 section 2.2).
    #[error("not a name of a header field")]
    Name,
    /// The value has a NUL or a CR without LF.
    #[error("a NUL or bare CR in the value of a header field")]
    Value,
    /// A line would be longer than 998 octets, and there is no blank at which to fold it.
    #[error("a line of a header field is longer than {LINE_MAX} octets and cannot be folded")]
    Line,
    /// Edits have added more than 1 MiB to one header.
    #[error("too much was added to a header")]
    TooMuchAdded,
}

impl NewField {
    /// A field with one space after the colon.
    ///
    /// The value may be folded, with CRLF or LF: a line that does not begin with a blank gets one, so that it stays in the field, and
    /// a line of nothing but blanks, which some readers take for the end of the header, is left out. Trailing line ends are
    /// ignored. A line over 998 octets is folded at a blank. Non-ASCII octets pass unchanged (RFC 6532).
    ///
    /// # Errors
    ///
    /// [`FieldError::Name`], [`FieldError::Value`], [`FieldError::Line`].
    pub fn new(name: &str, value: &[u8]) -> Result<Self, FieldError> {
        Self::build(name, b" ", value)
    }

    /// A field whose value follows the colon as it is, with its own leading blanks.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn verbatim(name: &str, value: &[u8]) -> Result<Self, FieldError> {
        Self::build(name, b"", value)
    }

    /// The name as given.
    #[must_use]
    pub fn name(&self) -> &str {
        // It was a `str` of ASCII.
        std::str::from_utf8(&self.raw[..self.name]).unwrap_or_default()
    }

    /// All octets of the field, with its last CRLF.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    fn build(name: &str, blank: &[u8], value: &[u8]) -> Result<Self, FieldError> {
        let is_name = name
            .bytes()
            .all(|octet| matches!(octet, b'!'..=b'9' | b';'..=b'~'));
        if !is_name || name.is_empty() || name.len() > NAME_MAX {
            return Err(FieldError::Name);
        }
        let mut raw = Vec::with_capacity(name.len() + value.len() + 4);
        raw.extend_from_slice(name.as_bytes());
        raw.push(b':');
        raw.extend_from_slice(blank);
        let mut line_start = 0;
        for (place, line) in value.split(|&octet| octet == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.iter().any(|octet| matches!(octet, 0 | b'\r')) {
                return Err(FieldError::Value);
            }
            if place > 0 {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                raw.extend_from_slice(b"\r\n");
                line_start = raw.len();
                if !matches!(line[0], b' ' | b'\t') {
                    raw.push(b' ');
                }
            }
            for (at, word) in words(line) {
                // Not right after the name: the first line would have an empty value.
                if raw.len() - line_start + word.len() > LINE_MAX && at > 0 && has_text(&raw[line_start..]) {
                    raw.extend_from_slice(b"\r\n");
                    line_start = raw.len();
                }
                raw.extend_from_slice(word);
            }
        }
        raw.extend_from_slice(b"\r\n");
        let mut lines = raw.split(|&octet| octet == b'\n');
        if lines.any(|line| line.len() > LINE_MAX + 1) {
            return Err(FieldError::Line);
        }
        Ok(Self {
            raw,
            name: name.len(),
        })
    }
}

/// Whether the octets of a field are well formed: each line after the first begins with a blank, and none is over the limit.
pub(super) fn check_lines(raw: &[u8]) -> Result<(), FieldError> {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    for (place, line) in raw.split(|&octet| octet == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().any(|octet| matches!(octet, 0 | b'\r')) {
            return Err(FieldError::Value);
        }
        if place > 0 && !line.first().is_some_and(|octet| matches!(octet, b' ' | b'\t')) {
            return Err(FieldError::Value);
        }
        if line.len() > LINE_MAX {
            return Err(FieldError::Line);
        }
    }
    Ok(())
}

/// The words of a line, each with the blanks before it, and where each begins.
fn words(line: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let is_blank = |octet: &u8| matches!(octet, b' ' | b'\t');
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = line.get(at..).filter(|rest| !rest.is_empty())?;
        let blanks = rest.iter().take_while(|octet| is_blank(octet)).count();
        let text = rest[blanks..].iter().take_while(|octet| !is_blank(octet)).count();
        let mut len = blanks + text;
        // Blanks at the end belong to the last word: alone they would be a blank line.
        if rest[len..].iter().all(is_blank) {
            len = rest.len();
        }
        let begin = at;
        at += len;
        Some((begin, &rest[..len]))
    })
}

fn has_text(line: &[u8]) -> bool {
    !line.trim_ascii().is_empty()
}
