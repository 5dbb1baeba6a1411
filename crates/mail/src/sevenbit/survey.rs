//! The first pass: what each part holds, and how it is to be sent.

use memchr::memchr;

use super::kind::{Encoding, Kind};
use super::plan::{Charset, Form, Obstacle, Plan, Step};
use super::scan::{Part, Reader, Scan};

/// Longest line that every host takes, without its end (RFC 5321 section 4.5.3.1.6).
const LINE_MAX: usize = 998;

/// Examines a message, piece by piece.
#[derive(Debug)]
pub struct Survey {
    scan: Scan,
    findings: Findings,
}

#[derive(Debug, Default)]
struct Findings {
    steps: Vec<Step>,
    /// The part whose content is being read.
    part: Option<Part>,
    content: Content,
    obstacle: Option<Obstacle>,
}

/// What is in the content of one part.
#[derive(Debug, Default)]
struct Content {
    octets: u64,
    /// Octets above 127.
    high: u64,
    /// Octets that quoted-printable writes as three.
    escaped: u64,
    /// Whether it cannot be sent as lines: a NUL, a bare CR or LF, or a line that is too long.
    binary: bool,
    line: usize,
    utf8: Utf8,
}

/// Whether text is UTF-8, in pieces.
#[derive(Debug, Default)]
struct Utf8 {
    /// The beginning of a character that is not complete yet.
    begun: Vec<u8>,
    broken: bool,
}

impl Default for Survey {
    fn default() -> Self {
        Self::new()
    }
}

impl Survey {
    /// Starts at the beginning of a message.
    #[must_use]
    pub fn new() -> Self {
        Self {
            scan: Scan::new(),
            findings: Findings::default(),
        }
    }

    /// Examines the next piece.
    pub fn feed(&mut self, input: &[u8]) {
        self.scan.feed(input, &mut self.findings);
    }

    /// The message ends here.
    ///
    /// # Errors
    ///
    /// It cannot be converted.
    pub fn finish(mut self) -> Result<Plan, Obstacle> {
        self.scan.finish(&mut self.findings);
        match self.findings.obstacle.or_else(|| self.scan.obstacle()) {
            Some(obstacle) => Err(obstacle),
            None => Ok(Plan {
                steps: self.findings.steps,
            }),
        }
    }
}

impl Findings {
    fn blame(&mut self, obstacle: Obstacle) {
        self.obstacle.get_or_insert(obstacle);
    }
}

impl Reader for Findings {
    fn field(&mut self, _number: usize, text: &[u8], _is_encoding: bool) {
        if !text.is_ascii() {
            self.blame(Obstacle::Header);
        }
    }

    fn header_end(&mut self, part: &Part, _end: &[u8]) {
        let container = matches!(part.kind, Kind::Parts { .. } | Kind::Message);
        let form = if container && part.encoding == Encoding::Declared && !part.signed {
            Form::SevenBit
        } else {
            Form::AsIs
        };
        self.steps.push(Step {
            version: form != Form::AsIs && part.message && !part.versioned,
            form,
            charset: None,
        });
        if !container {
            self.part = Some(part.clone());
            self.content = Content::default();
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.content.text(text);
    }

    fn line_end(&mut self, end: &[u8]) {
        self.content.line_end(end);
    }

    fn content_end(&mut self) {
        let content = std::mem::take(&mut self.content);
        let Some(part) = self.part.take() else { return };
        let touchable = !part.signed && part.kind != Kind::Muddle && part.encoding != Encoding::Encoded;
        if content.high == 0 && !(content.binary && touchable) {
            if part.encoding == Encoding::Declared && touchable && !content.binary {
                self.steps[part.number].form = Form::SevenBit;
            }
            return;
        }
        if part.signed {
            return self.blame(Obstacle::Signed);
        }
        if part.kind == Kind::Muddle {
            return self.blame(Obstacle::Structure);
        }
        if part.encoding == Encoding::Encoded {
            return self.blame(Obstacle::Encoded);
        }
        let nameless = part.message && !part.typed;
        self.steps[part.number] = Step {
            form: content.form(&part.kind),
            version: part.message && !part.versioned,
            charset: nameless.then_some(if content.utf8.is_valid() {
                Charset::Utf8
            } else {
                Charset::Unknown
            }),
        };
    }

    fn between(&mut self, text: &[u8], signed: bool) {
        if signed && !text.is_ascii() {
            self.blame(Obstacle::Signed);
        }
    }
}

impl Content {
    fn text(&mut self, text: &[u8]) {
        self.octets += text.len() as u64;
        self.line += text.len();
        self.binary |= self.line > LINE_MAX;
        if text.is_ascii()
            && memchr(b'=', text).is_none()
            && !text.iter().any(|octet| *octet < b' ' && *octet != b'\t')
        {
            self.utf8.feed(text);
            return;
        }
        for &octet in text {
            match octet {
                128.. => self.high += 1,
                0 | b'\r' => self.binary = true,
                b'\t' | b' '..=b'<' | b'>'..=b'~' => continue,
                _ => {}
            }
            self.escaped += 1;
        }
        self.utf8.feed(text);
    }

    fn line_end(&mut self, end: &[u8]) {
        self.octets += end.len() as u64;
        self.line = 0;
        self.binary |= end == b"\n";
        self.utf8.feed(end);
    }

    /// The shorter of the suitable encodings. Line ends of a text may be written differently at the other end; octets that are
    /// not text must come back unchanged.
    fn form(&self, kind: &Kind) -> Form {
        let quoted = self.octets + 2 * self.escaped;
        let base64 = self.octets / 3 * 4 + self.octets / 57 * 2;
        if *kind == Kind::Text && !self.binary && quoted <= base64.max(self.octets + 60) {
            Form::QuotedPrintable
        } else {
            Form::Base64
        }
    }
}

impl Utf8 {
    fn feed(&mut self, text: &[u8]) {
        if self.broken || (self.begun.is_empty() && text.is_ascii()) {
            return;
        }
        let mut rest = text;
        // The character that was cut, octet by octet.
        while let (false, Some((octet, behind))) = (self.begun.is_empty(), rest.split_first()) {
            self.begun.push(*octet);
            rest = behind;
            match std::str::from_utf8(&self.begun) {
                Ok(_) => self.begun.clear(),
                Err(error) if error.error_len().is_some() => {
                    self.broken = true;
                    return;
                }
                Err(_) => {}
            }
        }
        if let Err(error) = std::str::from_utf8(rest) {
            self.broken = error.error_len().is_some();
            self.begun = rest[error.valid_up_to()..].to_vec();
        }
    }

    fn is_valid(&self) -> bool {
        !self.broken && self.begun.is_empty()
    }
}
