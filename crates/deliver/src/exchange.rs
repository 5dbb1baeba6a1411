//! One message over one session: drives the client's transaction and sends the content.

use std::time::Duration;

use bytes::Bytes;
use memchr::memchr2_iter;
use postern_mail::BodyKind;
use postern_mail::header::HeaderScan;
use postern_smtp::client::{
    BodyForm, Capabilities, Content, DotStuffer, Next, Order, Stage, Transaction, Verdict,
};
use postern_spool::{Body, BodyReader, Message, Spool, SpoolError};

use crate::session::{BLOCK, Session, SessionError, limit};
use crate::settings::Timeouts;

/// Content up to this size may go along with the envelope, before the peer has taken a recipient.
pub(crate) const EAGER_MAX: u64 = 32 << 10;

/// Longest line that every server takes, in octets without its end (RFC 5321 section 4.5.3.1.6).
const LINE_MAX: usize = 998;

/// Octets of a message in which its header is looked for.
const HEADER_MAX: usize = 256 << 10;

/// How long to wait for what a peer said before it closed in the middle of the content.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What one transaction came to.
#[derive(Debug)]
pub(crate) struct Exchanged {
    /// One for each recipient.
    pub(crate) verdicts: Vec<Verdict>,
    /// Whether the session can be used for another message.
    pub(crate) reusable: bool,
    /// Whether the peer said nothing at all: on a session that had waited, it had most likely closed before.
    pub(crate) unanswered: bool,
    /// Why the connection broke, for [`Verdict::Lost`].
    pub(crate) error: Option<String>,
    /// Whether the peer let a time limit pass.
    pub(crate) timed_out: bool,
    /// Whether the content went by `BDAT`.
    pub(crate) chunked: bool,
}

/// Hands over one message to a session whose peer is taken to be able to do what `peer` says.
pub(crate) async fn exchange(
    session: &mut Session,
    peer: &Capabilities,
    timeouts: &Timeouts,
    spool: &dyn Spool,
    message: &Message,
    order: Order<'_>,
) -> Exchanged {
    let mut transaction = Transaction::new(session.protocol, peer, order);
    let mut error = None;
    let mut timed_out = false;
    session.transactions += 1;
    loop {
        match transaction.next(&mut session.output) {
            Next::Read(stage) => {
                let longest = if error.is_some() {
                    LAST_WORDS
                } else {
                    limit(timeouts, stage)
                };
                match session.ask(stage, longest).await {
                    Ok(reply) => transaction.reply(reply),
                    Err(broken) => {
                        timed_out |= broken.is_timeout();
                        error.get_or_insert_with(|| broken.to_string());
                        transaction.lost();
                    }
                }
            }
            Next::Body(form) => match send_content(session, timeouts, spool, message, form).await {
                Ok(()) => {}
                Err(ContentError::Session(broken @ SessionError::Unasked(_))) => {
                    error = Some(broken.to_string());
                    transaction.lost();
                }
                Err(ContentError::Session(broken)) => {
                    // The peer may have said why; its replies are read until there are no more.
                    timed_out |= broken.is_timeout();
                    error = Some(broken.to_string());
                    session.output.clear();
                }
                Err(ContentError::Spool(broken)) => {
                    error = Some(format!("cannot read the message: {broken}"));
                    transaction.lost();
                }
            },
            Next::Done => break,
        }
    }
    let unanswered = !transaction.was_answered();
    let chunked = transaction.form() == BodyForm::Chunk;
    let finished = transaction.finish();
    Exchanged {
        verdicts: finished.verdicts,
        reusable: finished.reusable && error.is_none() && !session.has_unread(),
        unanswered,
        error,
        timed_out,
        chunked,
    }
}

#[derive(Debug, thiserror::Error)]
enum ContentError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Writes the content into the session's output, and sends all but the end of it, which goes when the reply is asked for.
async fn send_content(
    session: &mut Session,
    timeouts: &Timeouts,
    spool: &dyn Spool,
    message: &Message,
    form: BodyForm,
) -> Result<(), ContentError> {
    let mut stuffer = (form == BodyForm::Dots).then(DotStuffer::new);
    let mut pieces = Pieces::new(spool, message);
    while let Some(piece) = pieces.next().await? {
        for block in piece.chunks(BLOCK) {
            match &mut stuffer {
                Some(stuffer) => stuffer.encode(block, &mut session.output),
                None => session.output.extend_from_slice(block),
            }
            if session.output.len() >= BLOCK {
                session.send(Stage::EndOfData, timeouts.block).await?;
            }
        }
    }
    if let Some(stuffer) = stuffer {
        stuffer.finish(&mut session.output);
    }
    Ok(())
}

/// The content of a message piece by piece; what is in memory without asking the spool.
enum Pieces<'a> {
    Memory {
        prefix: &'a Bytes,
        body: &'a Bytes,
        place: u8,
    },
    Reader(Box<BodyReader>),
}

impl<'a> Pieces<'a> {
    fn new(spool: &dyn Spool, message: &'a Message) -> Self {
        match &message.body {
            Body::Inline(body) => Self::Memory {
                prefix: &message.prefix,
                body,
                place: 0,
            },
            Body::File(_) => Self::Reader(Box::new(spool.open_body(message))),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, SpoolError> {
        match self {
            Self::Memory { prefix, body, place } => {
                *place += 1;
                Ok(match place {
                    1 => Some((*prefix).clone()),
                    2 => Some((*body).clone()),
                    _ => None,
                })
            }
            Self::Reader(reader) => reader.piece().await,
        }
    }
}

/// What has to be known of a message before it is offered to a peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Examined {
    pub(crate) content: Content,
    /// `Received` fields in its header.
    pub(crate) received: u32,
}

/// Looks at the content of a message, as far as it matters to this peer: all of a message in memory, of a large one only the header
/// where what was declared will do.
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

/// Tells text from what `DATA` cannot carry.
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
