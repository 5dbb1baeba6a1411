//! The canonical form of a body, in pieces of any size.

use super::Form;

/// Line ends written at once when many empty lines were held back.
const EMPTY_LINES: [u8; 1024] = {
    let mut lines = [b'\r'; 1024];
    let mut at = 1;
    while at < lines.len() {
        lines[at] = b'\n';
        at += 2;
    }
    lines
};

/// Brings a body into its canonical form (RFC 6376 sections 3.4.3 and 3.4.4).
///
/// A line ends with CRLF; a CR or LF alone is an ordinary octet. Memory does not grow with the body: empty lines, which count
/// only if something follows, are only counted.
#[derive(Clone, Debug)]
pub struct BodyCanon {
    form: Form,
    /// Empty lines not yet followed by anything.
    empty: u64,
    /// The last octet was a CR.
    cr: bool,
    /// The last octets were blanks, in the relaxed form.
    blank: bool,
    /// The current line is not empty.
    in_line: bool,
    /// Some output was written.
    begun: bool,
}

impl BodyCanon {
    /// At the beginning of a body.
    #[must_use]
    pub const fn new(form: Form) -> Self {
        Self {
            form,
            empty: 0,
            cr: false,
            blank: false,
            in_line: false,
            begun: false,
        }
    }

    /// Takes the next octets of the body and outputs their canonical form, in pieces; `input` may be split anywhere.
    pub fn feed(&mut self, input: &[u8], out: &mut impl FnMut(&[u8])) {
        let relaxed = self.form == Form::Relaxed;
        let mut rest = input;
        while let Some((&first, behind)) = rest.split_first() {
            if std::mem::take(&mut self.cr) {
                if first == b'\n' {
                    self.line_end(out);
                    rest = behind;
                    continue;
                }
                self.text(b"\r", out);
            }
            match first {
                b'\r' => {
                    self.cr = true;
                    rest = behind;
                }
                b' ' | b'\t' if relaxed => {
                    self.blank = true;
                    rest = behind;
                }
                _ => {
                    let (text, others) = rest.split_at(self.text_of(rest));
                    self.text(text, out);
                    rest = others;
                }
            }
        }
    }

    /// How much of `input`, which begins with text, can be output unchanged: up to a CR, or to blanks that change. A single space between words does not.
    fn text_of(&self, input: &[u8]) -> usize {
        let relaxed = self.form == Form::Relaxed;
        let is_blank = |octet: &u8| relaxed && matches!(octet, b' ' | b'\t');
        let mut end = 0;
        loop {
            let more = input[end..]
                .iter()
                .position(|octet| *octet == b'\r' || is_blank(octet));
            let Some(more) = more else { return input.len() };
            end += more;
            let follows = input
                .get(end + 1)
                .is_some_and(|next| *next != b'\r' && !is_blank(next));
            if input[end] != b' ' || !follows {
                return end;
            }
            end += 1;
        }
    }

    /// Ends the body: outputs what was held back.
    pub fn finish(mut self, out: &mut impl FnMut(&[u8])) {
        if self.cr {
            self.text(b"\r", out);
        }
        // An empty body is an empty line in the simple form, and nothing in the relaxed one.
        if self.in_line || (!self.begun && self.form == Form::Simple) {
            out(b"\r\n");
        }
    }

    fn text(&mut self, text: &[u8], out: &mut impl FnMut(&[u8])) {
        while self.empty > 0 {
            let lines = self.empty.min(EMPTY_LINES.len() as u64 / 2);
            // At most 512.
            out(&EMPTY_LINES[..lines as usize * 2]);
            self.empty -= lines;
        }
        if std::mem::take(&mut self.blank) {
            out(b" ");
        }
        out(text);
        self.in_line = true;
        self.begun = true;
    }

    fn line_end(&mut self, out: &mut impl FnMut(&[u8])) {
        self.blank = false;
        if std::mem::take(&mut self.in_line) {
            out(b"\r\n");
        } else {
            self.empty += 1;
        }
    }
}
