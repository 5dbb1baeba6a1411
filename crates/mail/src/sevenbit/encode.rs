//! The two encodings, in pieces.

use crate::quoted_printable;

/// Octets that make one line of base64 (RFC 2045 section 6.8).
const GROUP: usize = 57;

/// Octets of a line of quoted-printable, without the `=` that breaks it (RFC 2045 section 6.7).
const QUOTED_MAX: usize = 75;

/// Writes quoted-printable.
#[derive(Debug, Default)]
pub(super) struct Quoted {
    column: usize,
    /// Whether the output line began in the middle of a line of the text.
    broken: bool,
    /// A blank that may turn out to be the last on its line.
    blank: Option<u8>,
}

impl Quoted {
    pub(super) fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for &octet in text {
            if let Some(blank) = self.blank.take() {
                self.put(blank, true, out);
            }
            match octet {
                b' ' | b'\t' => self.blank = Some(octet),
                _ => self.put(octet, octet.is_ascii_graphic() && octet != b'=', out),
            }
        }
    }

    pub(super) fn line_end(&mut self, out: &mut Vec<u8>) {
        self.end(out);
        out.extend_from_slice(b"\r\n");
        (self.column, self.broken) = (0, false);
    }

    /// The content ends here, and perhaps its last line.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(blank) = self.blank.take() {
            self.put(blank, false, out);
        }
    }

    fn put(&mut self, octet: u8, plain: bool, out: &mut Vec<u8>) {
        let width = if plain { 1 } else { 3 };
        if self.column + width > QUOTED_MAX {
            out.extend_from_slice(b"=\r\n");
            (self.column, self.broken) = (0, true);
        }
        // A hyphen at the start of a broken line could form a delimiter that was not there before.
        let plain = plain && !(octet == b'-' && self.column == 0 && self.broken);
        let width = if plain { 1 } else { 3 };
        self.column += width;
        if plain {
            out.push(octet);
        } else {
            quoted_printable::put_octet(octet, out);
        }
    }
}

/// Writes base64.
#[derive(Debug, Default)]
pub(super) struct Base64 {
    /// The beginning of a line.
    begun: Vec<u8>,
    /// Whether there is a previous line.
    lines: bool,
}

impl Base64 {
    pub(super) fn feed(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while self.begun.len() + octets.len() > GROUP {
            let (now, later) = octets.split_at(GROUP - self.begun.len());
            self.begun.extend_from_slice(now);
            octets = later;
            self.line(out);
        }
        self.begun.extend_from_slice(octets);
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if !self.begun.is_empty() {
            self.line(out);
        }
        self.lines = false;
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.lines, true) {
            out.extend_from_slice(b"\r\n");
        }
        for group in self.begun.chunks(3) {
            let mut bits = 0_u32;
            for place in 0..3 {
                bits = bits << 8 | u32::from(group.get(place).copied().unwrap_or(0));
            }
            for place in 0..4 {
                out.push(if place > group.len() {
                    b'='
                } else {
                    ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]
                });
            }
        }
        self.begun.clear();
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
