//! The form in which a signed message leaves: in 7 bits and with lines of ordinary length, which no host on the way has a reason
//! to change.
//!
//! A host without `8BITMIME` gets a converted message (RFC 6152 section 3), and many hosts fold lines over 998 octets; a
//! signature over the original message would then be invalid.

use memchr::memchr;
use postern_mail::sevenbit::{Converter, Survey};
use postern_mail::{BodyKind, Header};
use postern_policy::origin::Origin;
use postern_policy::queue::QueueRefusal;
use postern_policy::route::{RouteTable, Target, route};
use postern_seal::{BodyHash, BodyHasher, Form};
use postern_spool::{Assembly, NewBodies, NewBody, Refusal, Spool, SpoolError};

/// Longest line that every host passes on, in octets without its end (RFC 5322 section 2.1.1).
const LINE_MAX: usize = 998;

/// Octets that are converted at once.
const BLOCK: usize = 16 << 10;

/// Checks whether a body may be changed in transit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fragile {
    found: bool,
    line: usize,
    after_cr: bool,
}

impl Fragile {
    /// Takes the next piece of the body.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        if self.found || piece.is_empty() {
            return;
        }
        self.found = !piece.is_ascii() || memchr(0, piece).is_some();
        let mut rest = piece;
        while let Some(at) = memchr(b'\n', rest) {
            let line = &rest[..at];
            let ended = line.last().map_or(self.after_cr, |last| *last == b'\r');
            self.take(line);
            self.found |= !ended || self.line > LINE_MAX + 1;
            (self.line, self.after_cr) = (0, false);
            rest = &rest[at + 1..];
        }
        self.take(rest);
        self.found |= self.line > LINE_MAX + 1;
    }

    fn take(&mut self, text: &[u8]) {
        let Some((last, before)) = text.split_last() else {
            return;
        };
        // A CR not followed by LF.
        self.found |= self.after_cr || memchr(b'\r', before).is_some();
        self.after_cr = *last == b'\r';
        self.line += text.len();
    }

    /// Whether it may be changed.
    pub(crate) fn is_found(&self) -> bool {
        self.found || self.after_cr
    }
}

/// Whether a message stays on this machine, in Maildirs or with system users.
pub(super) fn stays_here(assembly: &Assembly, routes: &RouteTable) -> bool {
    let origin = Origin {
        sender: &assembly.envelope.sender,
        login: assembly.login.as_deref(),
        // The final destination counts, not the filter on the way.
        filtered: true,
        detour: None,
    };
    let mut recipients = assembly.envelope.recipients.iter();
    recipients.all(|recipient| {
        let found = route(&recipient.address, &origin, routes);
        matches!(found.target.as_ref(), Target::Maildir(_) | Target::System { .. })
    })
}

/// Reads the body as it is, and hashes it.
///
/// # Errors
///
/// It cannot be read.
pub(crate) async fn hash(
    assembly: &Assembly,
    spool: &dyn Spool,
    form: Form,
) -> Result<(BodyHash, Fragile), Refusal> {
    let (mut hasher, mut fragile) = (BodyHasher::new(form, None), Fragile::default());
    each_piece(assembly, spool, |piece| {
        hasher.feed(piece);
        fragile.feed(piece);
    })
    .await?;
    Ok((hasher.finish(), fragile))
}

/// Converts the message if possible, and returns the hash of its new body. It is read twice: to examine it, and to convert it.
///
/// # Errors
///
/// The body cannot be read, or there is no room for the new one.
pub(crate) async fn convert(
    assembly: &mut Assembly,
    bodies: &mut NewBodies<'_>,
    form: Form,
) -> Result<Option<BodyHash>, Refusal> {
    let mut text = Vec::new();
    assembly.header_mut().write(&mut text);
    text.extend_from_slice(b"\r\n");
    let own = assembly.own_fields();
    let mut survey = Survey::new();
    survey.feed(&text);
    each_piece(assembly, bodies.spool(), |piece| survey.feed(piece)).await?;
    let Ok(plan) = survey.finish() else {
        return Ok(None);
    };
    let mut read = assembly.read_body(bodies.spool());
    let mut written = Written {
        head: Some(Vec::new()),
        header: Header::default(),
        hasher: BodyHasher::new(form, None),
        body: bodies.begin(assembly.id),
    };
    let (mut converter, mut out) = (Converter::new(&plan), Vec::new());
    for block in text.chunks(BLOCK) {
        converter.feed(block, &mut out);
        written.take(&mut out).await?;
    }
    while let Some(piece) = read.piece().await.map_err(|error| unread(&error))? {
        for block in piece.chunks(BLOCK) {
            converter.feed(block, &mut out);
            written.take(&mut out).await?;
        }
    }
    converter.finish(&mut out);
    written.take(&mut out).await?;
    let Written {
        head: None,
        header,
        hasher,
        body,
    } = written
    else {
        // Without an end of the header there was no body to convert.
        return Ok(None);
    };
    let body = body.finish().await?;
    assembly.replace_header(header, own);
    assembly.replace_body(body);
    assembly.envelope.body = BodyKind::SevenBit;
    Ok(Some(hasher.finish()))
}

/// A message being converted: its header in memory, its body in the spool.
struct Written<'b> {
    /// What came before the end of the header, until that has arrived.
    head: Option<Vec<u8>>,
    header: Header,
    hasher: BodyHasher,
    body: NewBody<'b>,
}

impl Written<'_> {
    async fn take(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let first;
        let body = match self.head {
            None => &**out,
            Some(_) => {
                first = self.end_header(out);
                &*first
            }
        };
        if !body.is_empty() {
            self.hasher.feed(body);
            self.body.write(body).await?;
        }
        out.clear();
        Ok(())
    }

    /// Takes what belongs to the header, and returns what has arrived of the body after it.
    fn end_header(&mut self, out: &[u8]) -> Vec<u8> {
        let Some(head) = &mut self.head else {
            return Vec::new();
        };
        head.extend_from_slice(out);
        let (header, at) = Header::split(head);
        if header.len() == at {
            return Vec::new();
        }
        let body = head[at..].to_vec();
        self.header = Header::parse(header.to_vec());
        self.head = None;
        body
    }
}

async fn each_piece(
    assembly: &Assembly,
    spool: &dyn Spool,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Refusal> {
    let mut read = assembly.read_body(spool);
    while let Some(piece) = read.piece().await.map_err(|error| unread(&error))? {
        take(&piece);
    }
    Ok(())
}

fn unread(error: &SpoolError) -> Refusal {
    let trouble = error.trouble();
    let verdict = QueueRefusal {
        trouble,
        reason: error.to_string(),
    };
    Refusal::of(&verdict, trouble.told())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_on_the_way() {
        let fits = format!("{}\r\n", "x".repeat(LINE_MAX));
        let long = format!("{}\r\n", "x".repeat(LINE_MAX + 1));
        let open = "x".repeat(LINE_MAX + 2);
        #[rustfmt::skip]
        let cases = [
            ("nothing",               "",                false),
            ("text",                  "a\r\n\r\nb\r\n",  false),
            ("no last line end",      "a\r\nb",          false),
            ("8 bits",                "a\u{e4}\r\n",     true),
            ("NUL",                   "a\0\r\n",         true),
            ("a LF alone",            "a\nb\r\n",        true),
            ("a LF first",            "\na\r\n",         true),
            ("a CR alone",            "a\rb\r\n",        true),
            ("a CR at the end",       "a\r",             true),
            ("two CR",                "a\r\r\n",         true),
            ("the longest line",      &fits,             false),
            ("a longer one",          &long,             true),
            ("one without an end",    &open,             true),
        ];
        for (shows, text, want) in cases {
            for cut in 0..=text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                let mut fragile = Fragile::default();
                fragile.feed(head);
                fragile.feed(tail);
                assert_eq!(fragile.is_found(), want, "{shows}, cut at {cut}");
            }
        }
    }
}
