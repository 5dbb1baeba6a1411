//! One message over one session: drives the client's transaction and sends the content.

use std::time::Duration;

use postern_mail::sevenbit::{Converter, Plan};
use postern_smtp::client::{BodyForm, Capabilities, DotStuffer, Next, Order, Stage, Transaction, Verdict};
use postern_spool::{Message, Spool, SpoolError};

use crate::pieces::Pieces;
use crate::session::{BLOCK, Session, SessionError, limit};
use crate::settings::Timeouts;

/// Content up to this size may be sent along with the envelope, before the peer has accepted a recipient.
pub(crate) const EAGER_MAX: u64 = 32 << 10;

/// How long to wait for the last replies of a peer that closed the connection during the content.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The result of one transaction.
#[derive(Debug)]
pub(crate) struct Exchanged {
    /// One for each recipient.
    pub(crate) verdicts: Vec<Verdict>,
    /// Whether the session can be used for another message.
    pub(crate) reusable: bool,
    /// Whether the peer sent no reply at all: if the session was idle before, it had most likely been closed.
    pub(crate) unanswered: bool,
    /// Why the connection broke, for [`Verdict::Lost`].
    pub(crate) error: Option<String>,
    /// Whether the peer timed out.
    pub(crate) timed_out: bool,
    /// Whether the content was sent with `BDAT`.
    pub(crate) chunked: bool,
}

/// Hands over one message to a session whose peer is assumed to have the capabilities `peer`.
pub(crate) async fn exchange(
    session: &mut Session,
    peer: &Capabilities,
    timeouts: &Timeouts,
    spool: &dyn Spool,
    message: &Message,
    plan: Option<&Plan>,
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
            Next::Body(form) => match send_content(session, timeouts, spool, (message, plan), form).await {
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

/// Writes the content to the session's output, converted if planned, and sends all but the end of it, which is sent when the
/// reply is awaited.
async fn send_content(
    session: &mut Session,
    timeouts: &Timeouts,
    spool: &dyn Spool,
    (message, plan): (&Message, Option<&Plan>),
    form: BodyForm,
) -> Result<(), ContentError> {
    let mut stuffer = (form == BodyForm::Dots).then(DotStuffer::new);
    let mut put = |block: &[u8], session: &mut Session| match &mut stuffer {
        Some(stuffer) => stuffer.encode(block, &mut session.output),
        None => session.output.extend_from_slice(block),
    };
    let mut converter = plan.map(Converter::new);
    let mut converted = Vec::new();
    let mut pieces = Pieces::new(spool, message);
    while let Some(piece) = pieces.next().await? {
        for block in piece.chunks(BLOCK) {
            match &mut converter {
                None => put(block, session),
                Some(converter) => {
                    converted.clear();
                    converter.feed(block, &mut converted);
                    put(&converted, session);
                }
            }
            if session.output.len() >= BLOCK {
                session.send(Stage::EndOfData, timeouts.block).await?;
            }
        }
    }
    if let Some(converter) = converter {
        converted.clear();
        converter.finish(&mut converted);
        put(&converted, session);
    }
    if let Some(stuffer) = stuffer {
        stuffer.finish(&mut session.output);
    }
    Ok(())
}
