//! The second pass: carries a plan out.

use super::encode::{Base64, Quoted};
use super::plan::{Form, Plan, Step};
use super::scan::{Part, Reader, Scan};

/// Converts a message, piece by piece, as planned for it.
#[derive(Debug)]
pub struct Converter<'p> {
    scan: Scan,
    writer: Writer<'p>,
}

#[derive(Debug)]
struct Writer<'p> {
    plan: &'p Plan,
    form: Form,
    quoted: Quoted,
    base64: Base64,
    out: Vec<u8>,
    /// Whether the last field has its line end.
    field_ended: bool,
    /// Whether base64 content was written last, which has no line end of its own.
    unended: bool,
}

impl<'p> Converter<'p> {
    /// Starts at the beginning of the message that the plan was made for.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        Self {
            scan: Scan::new(),
            writer: Writer {
                plan,
                form: Form::AsIs,
                quoted: Quoted::default(),
                base64: Base64::default(),
                out: Vec::new(),
                field_ended: true,
                unended: false,
            },
        }
    }

    /// Takes the next piece, and appends the result to `out`.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        std::mem::swap(&mut self.writer.out, out);
        self.scan.feed(input, &mut self.writer);
        std::mem::swap(&mut self.writer.out, out);
    }

    /// The message ends here; appends what was held back.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        std::mem::swap(&mut self.writer.out, out);
        self.scan.finish(&mut self.writer);
        if self.writer.unended {
            self.writer.out.extend_from_slice(b"\r\n");
        }
        std::mem::swap(&mut self.writer.out, out);
    }
}

impl Writer<'_> {
    fn step(&self, number: usize) -> Step {
        self.plan.steps.get(number).copied().unwrap_or_default()
    }

    fn put(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }
}

impl Reader for Writer<'_> {
    fn field(&mut self, number: usize, text: &[u8], is_encoding: bool) {
        if !is_encoding || self.step(number).form == Form::AsIs {
            self.field_ended = text.ends_with(b"\n");
            self.put(text);
        }
    }

    fn header_end(&mut self, part: &Part, end: &[u8]) {
        let step = self.step(part.number);
        self.form = step.form;
        if step.form == Form::AsIs {
            return self.put(end);
        }
        if !std::mem::replace(&mut self.field_ended, true) {
            self.put(b"\r\n");
        }
        if step.version {
            self.put(b"MIME-Version: 1.0\r\n");
        }
        if let Some(charset) = step.charset {
            self.put(b"Content-Type: text/plain; charset=");
            self.put(charset.name().as_bytes());
            self.put(b"\r\n");
        }
        self.put(b"Content-Transfer-Encoding: ");
        self.put(step.form.name().as_bytes());
        self.put(b"\r\n");
        self.put(if end.is_empty() { b"\r\n" } else { end });
    }

    fn text(&mut self, text: &[u8]) {
        match self.form {
            Form::AsIs | Form::SevenBit => self.out.extend_from_slice(text),
            Form::QuotedPrintable => self.quoted.text(text, &mut self.out),
            Form::Base64 => self.base64.feed(text, &mut self.out),
        }
    }

    fn line_end(&mut self, end: &[u8]) {
        match self.form {
            Form::AsIs | Form::SevenBit => self.out.extend_from_slice(end),
            Form::QuotedPrintable => self.quoted.line_end(&mut self.out),
            Form::Base64 => self.base64.feed(end, &mut self.out),
        }
    }

    fn content_end(&mut self) {
        self.quoted.end(&mut self.out);
        self.quoted = Quoted::default();
        self.base64.end(&mut self.out);
        self.unended = self.form == Form::Base64;
    }

    fn between(&mut self, text: &[u8], _signed: bool) {
        if text.is_empty() {
            return;
        }
        self.unended = false;
        if text.is_ascii() {
            self.out.extend_from_slice(text);
        } else {
            let plain = text
                .iter()
                .map(|octet| if octet.is_ascii() { *octet } else { b'?' });
            self.out.extend(plain);
        }
    }
}
