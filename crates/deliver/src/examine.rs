//! What must be known about a message before it is offered to a host, and how it is converted for one that takes only 7 bits.

use memchr::memchr2_iter;
use postern_mail::BodyKind;
use postern_mail::header::HeaderScan;
use postern_mail::sevenbit::{Converter, Obstacle, Plan, Survey};
use postern_smtp::client::{Capabilities, Content};
use postern_spool::{Body, Message, Spool, SpoolError};

use crate::pieces::Pieces;
use crate::session::BLOCK;

/// Longest line that every server takes, in octets without its end (RFC 5321 section 4.5.3.1.6).
const LINE_MAX: usize = 998;

/// Octets of a message in which its header is searched for.
const HEADER_MAX: usize = 256 << 10;

/// What must be known about a message before it is offered to a peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Examined {
    pub(crate) content: Content,
    /// `Received` fields in its header.
    pub(crate) received: u32,
}

/// Examines the content of a message, as far as it matters to this peer: all of a message in memory, of a large one only the
/// header if the declaration is enough.
///
/// # Errors
///
/// When the spool cannot read it.
pub(crate) async fn examine(
    spool: &dyn Spool,
    message: &Message,
    peer: &Capabilities,
) -> Result<Examined, SpoolError> {
    let declared = message.envelope.body;
    let in_memory = matches!(message.body, Body::Inline(_));
    let binary = declared == BodyKind::BinaryMime && !peer.binary_mime;
    let whole = in_memory || binary || !peer.eight_bit_mime;
    let mut header = HeaderScan::new();
    let mut lines = LineScan::default();
    let mut eight_bit = !whole && declared != BodyKind::SevenBit;
    let mut seen = 0;
    let mut pieces = Pieces::new(spool, message);
    while let Some(piece) = pieces.next().await? {
        if !header.is_complete() && seen < HEADER_MAX {
            header.feed(&piece);
        }
        seen += piece.len();
        eight_bit |= !piece.is_ascii();
        if binary {
            lines.feed(&piece);
        }
        if !whole && (header.is_complete() || seen >= HEADER_MAX) {
            break;
        }
    }
    header.finish();
    let content = Content {
        size: message.size(),
        eight_bit,
        eight_bit_header: header.has_non_ascii(),
        binary: binary && lines.is_binary(),
    };
    Ok(Examined {
        content,
        received: header.received_count(),
    })
}

/// How a message is sent to a host that takes only 7 bits, and the size of the result.
pub(crate) struct Conversion {
    pub(crate) plan: Plan,
    pub(crate) content: Content,
}

/// Plans the conversion of a message. It is read twice: once to find out what is in it, once to count the octets of the result,
/// which `SIZE` and `BDAT` must announce.
///
/// # Errors
///
/// If the spool cannot read it; the inner error says why it cannot be converted.
pub(crate) async fn conversion(
    spool: &dyn Spool,
    message: &Message,
) -> Result<Result<Conversion, Obstacle>, SpoolError> {
    let mut survey = Survey::new();
    let mut pieces = Pieces::new(spool, message);
    while let Some(piece) = pieces.next().await? {
        survey.feed(&piece);
    }
    let plan = match survey.finish() {
        Ok(plan) => plan,
        Err(obstacle) => return Ok(Err(obstacle)),
    };
    let mut converter = Converter::new(&plan);
    let (mut out, mut size, mut lines) = (Vec::new(), 0, LineScan::default());
    let mut count = |out: &mut Vec<u8>| {
        size += out.len() as u64;
        lines.feed(out);
        out.clear();
    };
    let mut pieces = Pieces::new(spool, message);
    while let Some(piece) = pieces.next().await? {
        for block in piece.chunks(BLOCK) {
            converter.feed(block, &mut out);
            count(&mut out);
        }
    }
    converter.finish(&mut out);
    count(&mut out);
    let content = Content {
        size,
        eight_bit: false,
        eight_bit_header: false,
        binary: lines.is_binary(),
    };
    Ok(Ok(Conversion { plan, content }))
}

/// Finds content that `DATA` cannot carry.
#[derive(Default)]
struct LineScan {
    binary: bool,
    after_cr: bool,
    line: usize,
}

impl LineScan {
    fn feed(&mut self, piece: &[u8]) {
        self.binary |= piece.contains(&0);
        let mut from = 0;
        for at in memchr2_iter(b'\r', b'\n', piece) {
            self.text(at - from);
            let paired = self.after_cr && at == from;
            if piece[at] == b'\n' {
                self.binary |= !paired;
                self.line = 0;
                self.after_cr = false;
            } else {
                self.binary |= self.after_cr;
                self.after_cr = true;
            }
            from = at + 1;
        }
        self.text(piece.len() - from);
    }

    fn text(&mut self, octets: usize) {
        if octets > 0 {
            self.binary |= self.after_cr;
            self.after_cr = false;
            self.line += octets;
            self.binary |= self.line > LINE_MAX;
        }
    }

    fn is_binary(&self) -> bool {
        self.binary || self.after_cr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_data_cannot_carry() {
        let long = "x".repeat(999);
        let fits = format!("{}\r\n", "x".repeat(998));
        #[rustfmt::skip]
        let cases = [
            ("text",               "a\r\nb\r\n",      false),
            ("no last line end",   "a\r\nb",          false),
            ("bare LF",            "a\nb\r\n",        true),
            ("bare CR",            "a\rb\r\n",        true),
            ("CR CR LF",           "a\r\r\n",         true),
            ("CR at the end",      "a\r",             true),
            ("LF first",           "\na",             true),
            ("NUL",                "a\0b\r\n",        true),
            ("longest line",       &fits,             false),
            ("longer line",        &long,             true),
            ("empty lines",        "\r\n\r\n",        false),
        ];
        for (shows, text, binary) in cases {
            for cut in 0..=text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                let mut scan = LineScan::default();
                scan.feed(head);
                scan.feed(tail);
                assert_eq!(scan.is_binary(), binary, "{shows}, cut at {cut}");
            }
        }
    }
}
