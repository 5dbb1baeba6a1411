//! Parses a message while it streams through: which octets are header fields, content of parts, or text between parts.

use memchr::memchr;

use super::kind::{Encoding, Kind};
use super::plan::Obstacle;

/// Most octets of a line that are kept until its end comes. A longer one is neither a delimiter nor a field that is looked for.
const LINE_HELD: usize = 1 << 10;

/// Most octets of a field value that are kept.
const VALUE_MAX: usize = 4 << 10;

/// Deepest nesting of parts.
const DEPTH_MAX: usize = 50;

/// Most parts in all.
const ENTITIES_MAX: usize = 10_000;

/// Receives the parsed octets. Put together, they are the message.
pub(crate) trait Reader {
    /// A line of the header of part `number`, or a piece of one.
    fn field(&mut self, number: usize, text: &[u8], is_encoding: bool);
    /// The header of a part is complete, and what its content is; `end` is the empty line, where there is one.
    fn header_end(&mut self, part: &Part, end: &[u8]);
    /// Content of the part, without line ends.
    fn text(&mut self, text: &[u8]);
    /// A line end that is content.
    fn line_end(&mut self, end: &[u8]);
    /// The content of the part has ended.
    fn content_end(&mut self);
    /// A delimiter, or the text before the first and after the last part; `signed` says whether a signature covers it.
    fn between(&mut self, text: &[u8], signed: bool);
}

/// A message or a part of one, by its header.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Counted from 0, in the order in which the headers begin.
    pub(crate) number: usize,
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    /// Whether there is a `Content-Type`.
    pub(super) typed: bool,
    /// Whether it is a message: the whole one, or one within it.
    pub(crate) message: bool,
    /// Whether there is a `MIME-Version`.
    pub(super) versioned: bool,
    /// Whether a signature covers it.
    pub(super) signed: bool,
}

/// Parses one message.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Whether the beginning of the current line was already passed on.
    within: bool,
    place: Place,
    levels: Vec<Level>,
    header: HeaderSoFar,
    /// A line end that is content, or belongs to a delimiter; or a CR that may be the beginning of one.
    held: &'static [u8],
    /// Parts that have begun.
    parts: usize,
    obstacle: Option<Obstacle>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Header,
    Content,
    Between,
}

/// A multipart around the current part.
#[derive(Debug)]
struct Level {
    boundary: Vec<u8>,
    digest: bool,
    signed: bool,
}

/// What is known of the current header.
#[derive(Debug, Default)]
struct HeaderSoFar {
    message: bool,
    field: Field,
    content_type: Option<Vec<u8>>,
    encoding: Option<Vec<u8>>,
    versioned: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Field {
    #[default]
    Other,
    /// The first with its name.
    Type,
    Encoding,
    /// A further one, which is ignored.
    SecondEncoding,
}

impl Scan {
    pub(crate) fn new() -> Self {
        Self {
            line: Vec::new(),
            within: false,
            place: Place::Header,
            levels: Vec::new(),
            header: HeaderSoFar {
                message: true,
                ..HeaderSoFar::default()
            },
            held: b"",
            parts: 1,
            obstacle: None,
        }
    }

    /// Why the message cannot be parsed.
    pub(crate) fn obstacle(&self) -> Option<Obstacle> {
        self.obstacle
    }

    pub(crate) fn feed(&mut self, input: &[u8], reader: &mut impl Reader) {
        let mut rest = input;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).map(|at| at + 1);
            let (piece, behind) = rest.split_at(end.unwrap_or(rest.len()));
            rest = behind;
            if self.within {
                self.go_on(piece, reader);
                self.within = end.is_none();
            } else if end.is_some() && self.line.is_empty() {
                self.line(piece, reader);
            } else {
                self.line.extend_from_slice(piece);
                if end.is_some() || self.line.len() > LINE_HELD {
                    let mut line = std::mem::take(&mut self.line);
                    self.within = end.is_none();
                    self.line(&line, reader);
                    line.clear();
                    self.line = line;
                }
            }
        }
    }

    /// Says that the message ends here.
    pub(crate) fn finish(&mut self, reader: &mut impl Reader) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.line(&line, reader);
        }
        if self.place == Place::Header {
            self.end_header(b"", reader);
        }
        if self.place == Place::Content {
            // No delimiter followed to which it could belong.
            self.tell_held(reader);
            reader.content_end();
        }
    }

    /// A line, or the beginning of one that is too long to be kept.
    fn line(&mut self, line: &[u8], reader: &mut impl Reader) {
        if self.place == Place::Header {
            if matches!(line, b"\r\n" | b"\n") {
                return self.end_header(line, reader);
            }
            if self.delimiter(line).is_none() && self.is_field(line) {
                let is_encoding = matches!(self.header.field, Field::Encoding | Field::SecondEncoding);
                self.keep(line);
                return reader.field(self.parts - 1, line, is_encoding);
            }
            // Content that has no empty line before it. It may begin with a delimiter of the part whose header ends here.
            self.end_header(b"", reader);
        }
        match self.delimiter(line) {
            Some((level, last)) => self.delimit(level, last, line, reader),
            None => self.go_on(line, reader),
        }
    }

    /// More of a line whose beginning was passed on, or a line that is not a delimiter.
    fn go_on(&mut self, piece: &[u8], reader: &mut impl Reader) {
        match self.place {
            Place::Header => {
                let is_encoding = matches!(self.header.field, Field::Encoding | Field::SecondEncoding);
                self.keep(piece);
                reader.field(self.parts - 1, piece, is_encoding);
            }
            Place::Between => reader.between(piece, self.is_signed()),
            Place::Content => self.content(piece, reader),
        }
    }

    fn content(&mut self, mut piece: &[u8], reader: &mut impl Reader) {
        if self.held == b"\r" {
            // The line was cut after it.
            match piece.strip_prefix(b"\n") {
                Some(behind) => {
                    self.held = b"\r\n";
                    piece = behind;
                }
                None => self.tell_held(reader),
            }
        }
        let (text, end): (&[u8], &'static [u8]) = match piece {
            [text @ .., b'\r', b'\n'] => (text, b"\r\n"),
            [text @ .., b'\n'] => (text, b"\n"),
            [text @ .., b'\r'] => (text, b"\r"),
            text => (text, b""),
        };
        if !text.is_empty() {
            self.tell_held(reader);
            reader.text(text);
        }
        if !end.is_empty() {
            self.tell_held(reader);
            self.held = end;
        }
    }

    fn tell_held(&mut self, reader: &mut impl Reader) {
        match std::mem::take(&mut self.held) {
            b"" => {}
            b"\r" => reader.text(b"\r"),
            held => reader.line_end(held),
        }
    }

    /// The innermost multipart that a line delimits, and whether it ends it.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--").filter(|_| line.len() <= LINE_HELD)?;
        self.levels.iter().enumerate().rev().find_map(|(level, around)| {
            let behind = text.strip_prefix(around.boundary.as_slice())?;
            let (behind, last) = match behind.strip_prefix(b"--") {
                Some(behind) => (behind, true),
                None => (behind, false),
            };
            behind.trim_ascii().is_empty().then_some((level, last))
        })
    }

    fn delimit(&mut self, level: usize, last: bool, line: &[u8], reader: &mut impl Reader) {
        let signed = self.is_signed();
        if self.place == Place::Content {
            reader.content_end();
            let held = std::mem::take(&mut self.held);
            reader.between(held, signed);
        }
        reader.between(line, signed);
        self.levels.truncate(level + 1);
        self.place = Place::Between;
        if last {
            self.levels.truncate(level);
        } else {
            self.begin(false);
        }
    }

    /// The header of a part begins.
    fn begin(&mut self, message: bool) {
        if self.parts >= ENTITIES_MAX {
            self.obstacle = Some(Obstacle::Structure);
            return;
        }
        self.parts += 1;
        self.place = Place::Header;
        self.header = HeaderSoFar {
            message,
            ..HeaderSoFar::default()
        };
    }

    fn end_header(&mut self, end: &[u8], reader: &mut impl Reader) {
        let header = std::mem::take(&mut self.header);
        let in_digest = !header.message && self.levels.last().is_some_and(|level| level.digest);
        let encoding = header.encoding.as_deref().map(Encoding::of).unwrap_or_default();
        let mut kind = Kind::of(header.content_type.as_deref(), in_digest);
        if kind == Kind::Message && end.is_empty() {
            // It has no content that could be a message.
            kind = Kind::Muddle;
        }
        if encoding == Encoding::Encoded && !matches!(kind, Kind::Text | Kind::Octets) {
            // Not allowed, and its content cannot be parsed.
            kind = Kind::Octets;
        }
        let part = Part {
            number: self.parts - 1,
            encoding,
            typed: header.content_type.is_some(),
            message: header.message,
            versioned: header.versioned,
            signed: self.is_signed(),
            kind,
        };
        reader.header_end(&part, end);
        if self.levels.len() >= DEPTH_MAX && matches!(part.kind, Kind::Parts { .. } | Kind::Message) {
            self.obstacle = Some(Obstacle::Structure);
        }
        match part.kind {
            Kind::Parts {
                boundary,
                digest,
                signed,
            } => {
                self.place = Place::Between;
                self.levels.push(Level {
                    boundary,
                    digest,
                    signed: signed || part.signed,
                });
            }
            Kind::Message => self.begin(true),
            _ => self.place = Place::Content,
        }
    }

    fn is_signed(&self) -> bool {
        self.levels.last().is_some_and(|level| level.signed)
    }

    /// Whether a line is a field or belongs to one; remembers which field.
    fn is_field(&mut self, line: &[u8]) -> bool {
        if matches!(line[0], b' ' | b'\t') {
            return true;
        }
        let Some(colon) = memchr(b':', &line[..line.len().min(LINE_HELD)]) else {
            return false;
        };
        let name = line[..colon].trim_ascii_end();
        if name.is_empty()
            || !name
                .iter()
                .all(|octet| matches!(octet, b'!'..=b'9' | b';'..=b'~' | 128..))
        {
            return false;
        }
        let header = &mut self.header;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        header.field = Field::Other;
        if is(b"content-type") && header.content_type.is_none() {
            header.field = Field::Type;
            header.content_type = Some(Vec::new());
        } else if is(b"content-transfer-encoding") {
            header.field = if header.encoding.is_none() {
                header.encoding = Some(Vec::new());
                Field::Encoding
            } else {
                Field::SecondEncoding
            };
        } else if is(b"mime-version") {
            header.versioned = true;
        }
        true
    }

    /// Keeps the line if it belongs to a value that matters.
    fn keep(&mut self, line: &[u8]) {
        let header = &mut self.header;
        let value = match header.field {
            Field::Type => &mut header.content_type,
            Field::Encoding => &mut header.encoding,
            Field::Other | Field::SecondEncoding => return,
        };
        let Some(value) = value else { return };
        let text = match memchr(b':', line) {
            Some(colon) if value.is_empty() => &line[colon + 1..],
            _ => line,
        };
        let room = VALUE_MAX.saturating_sub(value.len());
        value.extend_from_slice(&text[..text.len().min(room)]);
    }
}
