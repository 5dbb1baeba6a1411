//! The list, its look-ups and its edits.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::new::{FieldError, NewField};

/// Most octets that edits may add to a header in all. A filter that wants more is faulty.
const ADDED_MAX: usize = 1 << 20;

/// The header section of a message, without the empty line after it.
///
/// Fields are counted from 0, from the top. Whatever the text is, [`write`](Self::write) reproduces it to the octet if nothing
/// was edited: lines that are not fields count as fields without a name.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The original text, followed by what edits have added.
    text: Vec<u8>,
    /// Octets of `text` that edits have added.
    added: usize,
    /// The positions of the fields in `text`, in the order in which they are sent.
    fields: Vec<Span>,
}

/// The position of one field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Span {
    from: usize,
    to: usize,
}

/// One field as it is in the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    raw: &'a [u8],
}

/// What to do with a field.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum FieldEdit {
    /// Keep it.
    #[default]
    Keep,
    /// Remove it.
    Remove,
    /// Replace it with this.
    Replace(NewField),
    /// Insert this before it.
    Before(NewField),
}

impl Header {
    /// Parses a header section. The text ends where the section does: before the empty line, or with the message.
    ///
    /// A field goes on in the next line as long as that begins with a blank (RFC 5322 section 2.2.3).
    #[must_use]
    pub fn parse(text: Vec<u8>) -> Self {
        let mut fields: Vec<Span> = Vec::new();
        let mut from = 0;
        while from < text.len() {
            let to = memchr(b'\n', &text[from..]).map_or(text.len(), |at| from + at + 1);
            match fields.last_mut() {
                Some(field) if matches!(text[from], b' ' | b'\t') => field.to = to,
                _ => fields.push(Span { from, to }),
            }
            from = to;
        }
        Self {
            text,
            added: 0,
            fields,
        }
    }

    /// Splits a message in memory: its header, and the offset of its body, after the empty line. Without an empty line all of it
    /// is header, and there is no body.
    #[must_use]
    pub fn split(content: &[u8]) -> (&[u8], usize) {
        let mut from = 0;
        while from < content.len() {
            let to = memchr(b'\n', &content[from..]).map_or(content.len(), |at| from + at + 1);
            if matches!(&content[from..to], b"\r\n" | b"\n") {
                return (&content[..from], to);
            }
            from = to;
        }
        (content, content.len())
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Octets of all fields.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.fields.iter().map(|span| span.to - span.from).sum()
    }

    /// All fields, from the top.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = Field<'_>> + ExactSizeIterator {
        self.fields.iter().map(|span| self.field(*span))
    }

    /// The field at this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Field<'_>> {
        self.fields.get(index).map(|span| self.field(*span))
    }

    /// The fields with this name in any case, from the top, each with its index.
    pub fn named<'h>(&'h self, name: &'h str) -> impl DoubleEndedIterator<Item = (usize, Field<'h>)> {
        self.fields()
            .enumerate()
            .filter(move |(_, field)| field.is_named(name))
    }

    /// The index of the `nth` field with this name, counted from 0.
    #[must_use]
    pub fn place(&self, name: &str, nth: usize) -> Option<usize> {
        self.named(name).nth(nth).map(|(place, _)| place)
    }

    /// Adds a field below all others.
    ///
    /// # Errors
    ///
    /// [`FieldError::TooMuchAdded`].
    pub fn push(&mut self, field: &NewField) -> Result<(), FieldError> {
        self.insert(self.fields.len(), field)
    }

    /// Adds a field before the one at `index`, or below all others if there is none.
    ///
    /// # Errors
    ///
    /// [`FieldError::TooMuchAdded`].
    pub fn insert(&mut self, index: usize, field: &NewField) -> Result<(), FieldError> {
        let span = self.add(field)?;
        self.end_last_line(index.min(self.fields.len()));
        self.fields.insert(index.min(self.fields.len()), span);
        Ok(())
    }

    /// Replaces the field at `index`. Returns false, and changes nothing, if there is none.
    ///
    /// # Errors
    ///
    /// [`FieldError::TooMuchAdded`].
    pub fn replace(&mut self, index: usize, field: &NewField) -> Result<bool, FieldError> {
        if index >= self.fields.len() {
            return Ok(false);
        }
        self.fields[index] = self.add(field)?;
        Ok(true)
    }

    /// Replaces the value of the field at `index`; name, colon and last line end stay as they are. Returns false, and changes
    /// nothing, if there is no such field.
    ///
    /// # Errors
    ///
    /// [`FieldError::Value`] for a value that would end the field early, [`FieldError::Line`], [`FieldError::TooMuchAdded`].
    pub fn set_value(&mut self, index: usize, value: &[u8]) -> Result<bool, FieldError> {
        let Some(span) = self.fields.get(index).copied() else {
            return Ok(false);
        };
        let old = self.field(span);
        let raw = old.raw();
        let from = old.value_start();
        let made = [&raw[..from], value, &raw[from + old.value().len()..]].concat();
        super::new::check_lines(&made)?;
        self.fields[index] = self.add_raw(&made)?;
        Ok(true)
    }

    /// Removes the field at `index`. Returns false if there is none.
    pub fn remove(&mut self, index: usize) -> bool {
        if index >= self.fields.len() {
            return false;
        }
        self.fields.remove(index);
        true
    }

    /// Replaces the `nth` field with this name, counted from 0. If there are fewer, the new one is added below all others.
    ///
    /// # Errors
    ///
    /// [`FieldError::TooMuchAdded`].
    pub fn replace_nth(&mut self, nth: usize, field: &NewField) -> Result<(), FieldError> {
        match self.place(field.name(), nth) {
            Some(index) => self.replace(index, field).map(drop),
            None => self.push(field),
        }
    }

    /// Removes the `nth` field with this name, counted from 0. Returns false if there are fewer.
    pub fn remove_nth(&mut self, name: &str, nth: usize) -> bool {
        self.place(name, nth).is_some_and(|index| self.remove(index))
    }

    /// Removes all fields for which `keep` returns false. Returns how many.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) -> usize {
        let before = self.fields.len();
        let text = &self.text;
        self.fields.retain(|span| {
            keep(Field {
                raw: &text[span.from..span.to],
            })
        });
        before - self.fields.len()
    }

    /// Does to each of these fields, from the top, what `edit` says, all in one pass. Returns how many fields there are in their
    /// place.
    ///
    /// A new field for which there is no room ([`FieldError::TooMuchAdded`]) is left out, and the field that it would replace
    /// stays.
    pub fn edit(&mut self, fields: Range<usize>, mut edit: impl FnMut(Field<'_>) -> FieldEdit) -> usize {
        let end = fields.end.min(self.fields.len());
        let begin = fields.start.min(end);
        let below = self.fields.split_off(end);
        let edited = self.fields.split_off(begin);
        for span in edited {
            match edit(self.field(span)) {
                FieldEdit::Keep => self.fields.push(span),
                FieldEdit::Remove => {}
                FieldEdit::Replace(new) => {
                    let made = self.add(&new).unwrap_or(span);
                    self.fields.push(made);
                }
                FieldEdit::Before(new) => {
                    // Below all others so far.
                    let _ = self.push(&new);
                    self.fields.push(span);
                }
            }
        }
        let left = self.fields.len() - begin;
        self.fields.extend(below);
        left
    }

    /// The text in as few pieces as possible: one if nothing was edited.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut spans = self.fields.iter().copied().peekable();
        std::iter::from_fn(move || {
            let mut whole = spans.next()?;
            while let Some(next) = spans.next_if(|next| next.from == whole.to) {
                whole.to = next.to;
            }
            Some(&self.text[whole.from..whole.to])
        })
    }

    /// Writes the fields as they are sent.
    pub fn write(&self, out: &mut Vec<u8>) {
        for piece in self.pieces() {
            out.extend_from_slice(piece);
        }
    }

    /// The fields as they are sent. If nothing was edited this is the original text, not copied.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        let untouched = Span {
            from: 0,
            to: self.text.len(),
        };
        let ends = self.fields.first().zip(self.fields.last());
        let in_order = self.fields.windows(2).all(|pair| pair[0].to == pair[1].from);
        match ends {
            Some((first, last)) if in_order && first.from == untouched.from && last.to == untouched.to => {
                self.text
            }
            _ => {
                let mut out = Vec::with_capacity(self.octets());
                self.write(&mut out);
                out
            }
        }
    }

    fn field(&self, span: Span) -> Field<'_> {
        Field {
            raw: &self.text[span.from..span.to],
        }
    }

    fn add(&mut self, field: &NewField) -> Result<Span, FieldError> {
        self.add_raw(field.raw())
    }

    fn add_raw(&mut self, raw: &[u8]) -> Result<Span, FieldError> {
        if raw.len() > ADDED_MAX - self.added {
            return Err(FieldError::TooMuchAdded);
        }
        self.added += raw.len();
        let from = self.text.len();
        self.text.extend_from_slice(raw);
        Ok(Span {
            from,
            to: self.text.len(),
        })
    }

    /// Gives the field above `index` a line end if the message ended without one: otherwise the next field would become part of
    /// it.
    fn end_last_line(&mut self, index: usize) {
        let Some(above) = index.checked_sub(1).and_then(|above| self.fields.get_mut(above)) else {
            return;
        };
        let field = &self.text[above.from..above.to];
        if field.last() != Some(&b'\n') {
            let from = self.text.len();
            self.text.extend_from_within(above.from..above.to);
            self.text.extend_from_slice(b"\r\n");
            *above = Span {
                from,
                to: self.text.len(),
            };
        }
    }
}

impl<'a> Field<'a> {
    /// All its octets: name, colon, value, folds and the last line end.
    #[must_use]
    pub fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Its name as written, without blanks before the colon (RFC 5322 section 4.5); empty for a line that is not a field.
    #[must_use]
    pub fn name(self) -> &'a [u8] {
        let name = &self.raw[..self.colon().unwrap_or(0)];
        let name = name.trim_ascii_end();
        let is_name = name
            .iter()
            .all(|octet| matches!(octet, b'!'..=b'9' | b';'..=b'~'));
        if is_name { name } else { &[] }
    }

    /// Whether it has this name, in any case.
    #[must_use]
    pub fn is_named(self, name: &str) -> bool {
        !name.is_empty() && self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Everything after the colon, blanks and folds included, without the last line end; all of a line that is not a field.
    #[must_use]
    pub fn value(self) -> &'a [u8] {
        let value = &self.raw[self.value_start()..];
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        value.strip_suffix(b"\r").unwrap_or(value)
    }

    /// The value as one line (RFC 5322 section 2.2.3): without line ends, and without blanks before and after it. All other
    /// blanks stay.
    #[must_use]
    pub fn unfolded(self) -> Cow<'a, [u8]> {
        let value = self.value();
        if memchr(b'\n', value).is_none() {
            return Cow::Borrowed(value.trim_ascii());
        }
        let mut line = Vec::with_capacity(value.len());
        for piece in value.split_inclusive(|&octet| octet == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            line.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        }
        Cow::Owned(line.trim_ascii().to_vec())
    }

    /// Where the value begins.
    fn value_start(self) -> usize {
        match self.colon() {
            Some(colon) if !self.name().is_empty() => colon + 1,
            _ => 0,
        }
    }

    fn colon(self) -> Option<usize> {
        memchr(b':', self.raw)
    }
}
