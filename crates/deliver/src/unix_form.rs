//! A message as stored in a mailbox on this machine: the fields of final delivery on top, with the system's line ends.

use memchr::memmem;
use postern_spool::Message;

use crate::work::Due;

/// The fields that final delivery adds (RFC 5321 section 4.4).
pub(crate) fn head(message: &Message, due: &Due) -> Vec<u8> {
    let mut text = format!("Return-Path: {}\r\n", message.envelope.sender);
    if let Some(recipient) = message.envelope.recipients.get(due.index as usize) {
        text.push_str(&format!("Delivered-To: {}\r\n", recipient.address));
    }
    text.into_bytes()
}

/// Converts CRLF to the system's line ends, across pieces.
#[derive(Default)]
pub(crate) struct UnixLines {
    /// A CR at the end of the last piece, not written yet.
    cr: bool,
}

impl UnixLines {
    pub(crate) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Some(&last) = piece.last() else { return };
        if std::mem::take(&mut self.cr) && piece[0] != b'\n' {
            out.push(b'\r');
        }
        self.cr = last == b'\r';
        let piece = if self.cr { &piece[..piece.len() - 1] } else { piece };
        let mut copied = 0;
        for at in memmem::find_iter(piece, b"\r\n") {
            out.extend_from_slice(&piece[copied..at]);
            copied = at + 1;
        }
        out.extend_from_slice(&piece[copied..]);
    }

    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        if self.cr {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends() {
        #[rustfmt::skip]
        let cases = [
            ("pairs",              "a\r\nb\r\n",   "a\nb\n"),
            ("bare ones stay",     "a\rb\nc",      "a\rb\nc"),
            ("CR CR LF",           "a\r\r\n",      "a\r\n"),
            ("CR at the end",      "a\r",          "a\r"),
            ("empty lines",        "\r\n\r\n",     "\n\n"),
            ("nothing",            "",             ""),
        ];
        for (shows, input, expected) in cases {
            for cut in 0..=input.len() {
                let (first, second) = input.as_bytes().split_at(cut);
                let mut lines = UnixLines::default();
                let mut out = Vec::new();
                lines.feed(first, &mut out);
                lines.feed(second, &mut out);
                lines.finish(&mut out);
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{shows}, cut at {cut}");
            }
        }
    }
}
