//! Transparency for `DATA`: a dot at the start of a line is doubled (RFC 5321 section 4.5.2).

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The pair of octets that needs a dot inserted between them.
static LINE_DOT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n."));

/// Encodes the content of a message for `DATA`, piece by piece.
///
/// It searches and copies blocks, never octet by octet. Pieces may be cut anywhere.
///
/// A dot after a bare LF is doubled as well. Messages in the spool have no bare LF, unless they came as `BINARYMIME`, which is
/// never sent with `DATA`; but if one gets here, a peer that takes it for a line end will not see an end of data.
#[derive(Clone, Debug)]
pub struct DotStuffer {
    /// The last two octets of the input so far.
    tail: [u8; 2],
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl DotStuffer {
    /// At the start of a message, which is the start of a line.
    #[must_use]
    pub fn new() -> Self {
        Self { tail: *b"\r\n" }
    }

    /// Appends `input` to `out`, stuffed.
    pub fn encode(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if let [.., last] = input {
            out.reserve(input.len() + 8);
            if self.tail[1] == b'\n' && input[0] == b'.' {
                out.push(b'.');
            }
            let mut copied = 0;
            for at in LINE_DOT.find_iter(input) {
                out.extend_from_slice(&input[copied..=at]);
                out.push(b'.');
                copied = at + 1;
            }
            out.extend_from_slice(&input[copied..]);
            let before = if input.len() > 1 {
                input[input.len() - 2]
            } else {
                self.tail[1]
            };
            self.tail = [before, *last];
        }
    }

    /// Appends the end of the data: a line end if the last line has none, and the dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.tail == *b"\r\n" {
            out.extend_from_slice(b".\r\n");
        } else {
            out.extend_from_slice(b"\r\n.\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::body::{BodyRules, DataDecoder};

    /// What a strict server reads out of a stuffed message, and whether it saw the end exactly at the end.
    fn decoded(mut input: &[u8]) -> (Vec<u8>, bool) {
        let mut decoder = DataDecoder::new(BodyRules::default());
        let mut body = Vec::new();
        loop {
            let step = decoder.decode(input);
            body.extend_from_slice(step.text);
            input = &input[step.consumed..];
            if step.ended {
                return (body, input.is_empty() && decoder.fault().is_none());
            }
            if input.is_empty() {
                return (body, false);
            }
        }
    }

    fn stuffed(pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut stuffer = DotStuffer::new();
        for piece in pieces {
            stuffer.encode(piece, &mut out);
        }
        stuffer.finish(&mut out);
        out
    }

    #[test]
    fn stuffing() {
        #[rustfmt::skip]
        let cases = [
            ("nothing",                       "",                    ".\r\n"),
            ("plain",                         "a\r\nb\r\n",          "a\r\nb\r\n.\r\n"),
            ("first octet a dot",             ".a\r\n",              "..a\r\n.\r\n"),
            ("dot line",                      "a\r\n.\r\nb\r\n",     "a\r\n..\r\nb\r\n.\r\n"),
            ("two dots",                      "..\r\n",              "...\r\n.\r\n"),
            ("dot inside a line",             "a.b\r\n",             "a.b\r\n.\r\n"),
            ("dots in row",                   ".\r\n.\r\n.\r\n",     "..\r\n..\r\n..\r\n.\r\n"),
            ("last line without end",         "a",                   "a\r\n.\r\n"),
            ("ends with a dot and no line end", "a\r\n.",            "a\r\n..\r\n.\r\n"),
            ("ends with CR",                  "a\r",                 "a\r\r\n.\r\n"),
            ("bare LF cannot smuggle",        "a\n.\nb\r\n",         "a\n..\nb\r\n.\r\n"),
        ];
        for (shows, input, output) in cases {
            let input = input.as_bytes();
            for cut in 0..=input.len() {
                let (head, tail) = input.split_at(cut);
                assert_eq!(
                    String::from_utf8(stuffed(&[head, tail])).unwrap(),
                    output,
                    "{shows}, cut at {cut}"
                );
            }
        }
    }

    proptest! {
        /// The server reads back what was stuffed; only a last line without a line end gets one.
        #[test]
        fn the_server_reads_what_the_client_meant(lines in prop::collection::vec("[.a ]{0,4}", 0..12), open in "[.a]{0,3}", cut in 0_usize..60) {
            let mut content: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
            content.extend_from_slice(open.as_bytes());
            let (head, tail) = content.split_at(cut.min(content.len()));
            let wire = stuffed(&[head, tail]);
            if !open.is_empty() {
                content.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(decoded(&wire), (content, true));
        }

        #[test]
        fn cuts_do_not_matter_and_only_the_end_ends(input in "[.a\r\n]{0,40}", cuts in prop::collection::vec(0_usize..40, 0..5)) {
            let bytes = input.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            pieces.push(&bytes[from..]);
            let whole = stuffed(&[bytes]);
            prop_assert_eq!(&stuffed(&pieces), &whole);
            // Even for the most lenient reader, the only dot line is at the very end.
            let lenient = String::from_utf8(whole).unwrap().replace("\r\n", "\n");
            let lenient = format!("\n{lenient}");
            prop_assert_eq!(lenient.find("\n.\n"), Some(lenient.len() - 3));
        }
    }
}
