//! Cleans up the header of a message while it streams through, so that every later reader finds the same fields in it.
//!
//! Readers differ in what they do with a line that is not a field: some end the header there, some skip it, some take it for a
//! part of the field before. The filter leaves them no choice. A mailbox separator (`From root Sun Nov 22 10:00:00 2026`) and a
//! stray line among fields become fields of their own; where text begins without an empty line before it, one is inserted.
//!
//! From a submission it also removes invalid fields, for which its caller adds valid ones (RFC 6409 section 8).

mod line;
mod value;

use memchr::{memchr, memchr2_iter};

use self::line::Line;
pub use self::value::{is_author, is_date, is_message_id};

/// Most octets of a line that are kept until its end comes. A longer one is judged by its beginning.
const LINE_HELD: usize = 8 << 10;

/// Most octets of a field that are kept until it is judged. A longer `From` is passed on, a longer `Date` or `Message-ID` is not
/// valid.
const FIELD_HELD: usize = 8 << 10;

/// Most octets of stray lines before the next field. More than that is body text.
const STRAY_MAX: usize = 4 << 10;

/// Octets after which a stray line goes on a new line, so that none exceeds 998 octets.
const FOLD_STRAY: usize = 980;

/// The field that a mailbox separator becomes, as in Postfix.
const SEPARATOR_FIELD: &[u8] = b"Mailbox-Line:";

/// The field that any other stray line becomes.
const STRAY_FIELD: &[u8] = b"X-Stray-Line:";

const CRLF: &[u8] = b"\r\n";

/// How much is cleaned up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HeadRules {
    /// Whether the message is a submission, from which are removed: invalid fields, all but the first valid one of several
    /// `Date`, `Message-ID` and `From` fields, blanks before a colon, and blank continuation lines.
    pub submission: bool,
    /// Whether `SMTPUTF8` was given, so that a `Message-ID` may have non-ASCII characters.
    pub utf8: bool,
    /// Whether every non-empty `From` is passed on, for a later check of all of them.
    pub every_from: bool,
}

/// The cleaned header, as far as the filter has come.
#[derive(Clone, Debug, Default)]
pub struct Ordered {
    /// The header fields, each with its CRLF.
    pub fields: Vec<u8>,
    /// Whether an empty line follows them. A message that ends within its header has none.
    pub separated: bool,
    /// The beginning of the body: text without an empty line before it.
    pub text: Vec<u8>,
}

impl Ordered {
    /// All of it, as it is sent.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let separator = if self.separated { CRLF } else { b"" };
        [&self.fields, separator, &self.text].concat()
    }
}

/// Why a message is refused: invariant 5, for messages whose body may be binary.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeadFault {
    /// A CR without LF, or an LF without CR.
    #[error("bare CR or LF in the header")]
    BareLineEnding,
    /// A NUL.
    #[error("NUL in the header")]
    Nul,
}

/// The filter. Memory is bounded by three times 8 KiB, whatever the input and however it is cut.
#[derive(Debug, Default)]
pub struct HeadFilter {
    rules: HeadRules,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Whether the beginning of the current line was already judged.
    within: bool,
    /// Whether the judged part of the current line ended in CR.
    after_cr: bool,
    /// Where the lines of the current field go.
    field: Sink,
    held: Vec<u8>,
    /// Lines that are not fields, until what follows decides what they are.
    stray: Vec<u8>,
    /// Whether a line has come.
    begun: bool,
    /// Which of the fields that may occur once were passed on.
    kept: [bool; 3],
    seen: u64,
    complete: bool,
    fault: Option<HeadFault>,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Sink {
    /// There is no field yet.
    #[default]
    None,
    /// Passed on at once.
    Out,
    /// Kept until the field's end.
    Held(Single),
    /// Removed.
    Dropped,
    /// Among the stray lines.
    Stray,
}

/// A field that may occur only once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Single {
    Date,
    MessageId,
    From,
}

impl HeadFilter {
    /// Starts at the beginning of a message.
    #[must_use]
    pub fn new(rules: HeadRules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Takes as much of the input as belongs to the header, writes the result, and returns how many octets it took. The rest, and
    /// everything after [`is_complete`](Self::is_complete), is body, to follow [`Ordered::text`].
    pub fn feed(&mut self, input: &[u8], out: &mut Ordered) -> usize {
        let mut taken = 0;
        while !self.complete && taken < input.len() {
            let rest = &input[taken..];
            let end = memchr(b'\n', rest).map(|at| at + 1);
            let piece = &rest[..end.unwrap_or(rest.len())];
            taken += piece.len();
            self.seen += piece.len() as u64;
            if self.within {
                self.go_on(piece, end.is_some(), out);
            } else if end.is_some() && self.line.is_empty() {
                self.judge(piece, out);
            } else {
                self.line.extend_from_slice(piece);
                if end.is_some() || self.line.len() > LINE_HELD {
                    let line = std::mem::take(&mut self.line);
                    self.within = end.is_none();
                    self.judge(&line, out);
                }
            }
        }
        taken
    }

    /// Says that the message ends here.
    pub fn finish(&mut self, out: &mut Ordered) {
        if self.complete {
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        if self.within {
            self.go_on(CRLF, true, out);
        } else if !line.is_empty() {
            line.extend_from_slice(CRLF);
            self.judge(&line, out);
        }
        if !self.complete {
            self.end_field(out);
            self.begin_text(out);
        }
    }

    /// Whether the header has ended.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Octets of the header so far, as received.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What is wrong with the header so far. After a fault nothing more is written.
    #[must_use]
    pub fn fault(&self) -> Option<HeadFault> {
        self.fault
    }

    /// Judges a line, or the beginning of one that is too long to be kept.
    fn judge(&mut self, line: &[u8], out: &mut Ordered) {
        if !self.is_clean(line) {
            return;
        }
        let first = !std::mem::replace(&mut self.begun, true);
        match Line::of(line) {
            Line::Empty => {
                self.end_field(out);
                if self.stray.is_empty() {
                    out.separated = true;
                } else {
                    self.begin_text(out);
                    out.text.extend_from_slice(line);
                }
                self.complete = true;
            }
            Line::Continuation { blank } => self.continued(line, blank, out),
            Line::Field { name, colon } => {
                if !self.stray.is_empty() && !line::is_known(name) {
                    return self.take(Sink::Stray, line, out);
                }
                self.end_field(out);
                self.write_stray(out);
                self.field = self.sink_for(name);
                let name = if self.rules.submission {
                    name
                } else {
                    &line[..colon]
                };
                self.take(self.field, name, out);
                self.take(self.field, &line[colon..], out);
            }
            Line::Separator { dated: true } if first => {
                self.field = Sink::Out;
                write_stray_line(line, &mut out.fields);
            }
            Line::Separator { .. } | Line::Other => {
                self.end_field(out);
                self.field = Sink::Stray;
                self.take(Sink::Stray, line, out);
            }
        }
    }

    fn continued(&mut self, line: &[u8], blank: bool, out: &mut Ordered) {
        match self.field {
            // A continuation line without a field.
            Sink::None => {
                self.field = Sink::Stray;
                self.take(Sink::Stray, line, out);
            }
            Sink::Out | Sink::Held(_) if blank && self.rules.submission => {}
            sink => self.take(sink, line, out),
        }
    }

    /// Takes more of a line whose beginning was already judged.
    fn go_on(&mut self, piece: &[u8], ended: bool, out: &mut Ordered) {
        if self.is_clean(piece) {
            self.take(self.field, piece, out);
        }
        self.within = !ended;
    }

    fn take(&mut self, sink: Sink, piece: &[u8], out: &mut Ordered) {
        match sink {
            Sink::Out => out.fields.extend_from_slice(piece),
            Sink::None | Sink::Dropped => {}
            Sink::Held(single) => {
                self.held.extend_from_slice(piece);
                if self.held.len() > FIELD_HELD {
                    self.field = if single == Single::From {
                        out.fields.append(&mut self.held);
                        self.kept[single as usize] = true;
                        Sink::Out
                    } else {
                        self.held.clear();
                        Sink::Dropped
                    };
                }
            }
            Sink::Stray => {
                self.stray.extend_from_slice(piece);
                if self.stray.len() > STRAY_MAX {
                    self.begin_text(out);
                    self.complete = true;
                }
            }
        }
    }

    fn sink_for(&self, name: &[u8]) -> Sink {
        if !self.rules.submission {
            return Sink::Out;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("date") {
            Sink::Held(Single::Date)
        } else if is("message-id") {
            Sink::Held(Single::MessageId)
        } else if is("from") {
            Sink::Held(Single::From)
        } else {
            Sink::Out
        }
    }

    /// Ends the current field: passes it on, or not.
    fn end_field(&mut self, out: &mut Ordered) {
        if let Sink::Held(single) = std::mem::replace(&mut self.field, Sink::Out) {
            if self.is_wanted(single) {
                self.kept[single as usize] = true;
                out.fields.append(&mut self.held);
            }
            self.held.clear();
        }
    }

    fn is_wanted(&self, single: Single) -> bool {
        let value = self.held.iter().position(|&octet| octet == b':').map(|colon| {
            let value = String::from_utf8_lossy(&self.held[colon + 1..]);
            value.replace(['\r', '\n'], "")
        });
        let value = value.unwrap_or_default();
        let value = value.trim();
        if single == Single::From && self.rules.every_from {
            return !value.is_empty();
        }
        !self.kept[single as usize]
            && match single {
                Single::Date => is_date(value),
                Single::MessageId => is_message_id(value, self.rules.utf8),
                Single::From => is_author(value),
            }
    }

    /// A field follows: the stray lines are part of the header.
    fn write_stray(&mut self, out: &mut Ordered) {
        let stray = std::mem::take(&mut self.stray);
        let mut under_way = false;
        for line in stray.split_inclusive(|&octet| octet == b'\n') {
            match Line::of(line) {
                Line::Continuation { blank: true } => {}
                Line::Continuation { .. } if under_way => out.fields.extend_from_slice(line),
                Line::Field { name, colon } => {
                    let name = if self.rules.submission {
                        name
                    } else {
                        &line[..colon]
                    };
                    out.fields.extend_from_slice(name);
                    out.fields.extend_from_slice(&line[colon..]);
                    under_way = true;
                }
                _ => {
                    write_stray_line(line, &mut out.fields);
                    under_way = true;
                }
            }
        }
    }

    /// Text follows: the stray lines are the beginning of the body.
    fn begin_text(&mut self, out: &mut Ordered) {
        if !self.stray.is_empty() {
            out.separated = true;
            out.text.append(&mut self.stray);
            self.stray = Vec::new();
        }
    }

    /// Looks for what no header may hold. A faulty piece is not written, nor is anything after it.
    fn is_clean(&mut self, piece: &[u8]) -> bool {
        if self.fault.is_none() {
            self.fault = self.fault_of(piece);
        }
        self.fault.is_none()
    }

    fn fault_of(&mut self, piece: &[u8]) -> Option<HeadFault> {
        if memchr(0, piece).is_some() {
            return Some(HeadFault::Nul);
        }
        let mut after_cr = std::mem::take(&mut self.after_cr);
        let mut next = 0;
        for at in memchr2_iter(b'\r', b'\n', piece) {
            let pair = after_cr && at == next && piece[at] == b'\n';
            if !pair && (after_cr || piece[at] == b'\n') {
                return Some(HeadFault::BareLineEnding);
            }
            after_cr = piece[at] == b'\r';
            next = at + 1;
        }
        if after_cr && next < piece.len() {
            return Some(HeadFault::BareLineEnding);
        }
        self.after_cr = after_cr;
        None
    }
}

fn write_stray_line(line: &[u8], out: &mut Vec<u8>) {
    let name = match Line::of(line) {
        Line::Separator { .. } => SEPARATOR_FIELD,
        _ => STRAY_FIELD,
    };
    out.extend_from_slice(name);
    out.extend_from_slice(if line.len() > FOLD_STRAY { b"\r\n " } else { b" " });
    out.extend_from_slice(line);
}

#[cfg(test)]
mod tests;
