//! The dialogue with the helper: a connection for each copy.

use std::io;
use std::time::Duration;

use postern_mda::wire::{PIECE_MAX, REPLY_MAX, Reply, Request};
use postern_spool::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::time::timeout;

use crate::Deps;
use crate::settings::SystemUsers;
use crate::unix_form::{UnixLines, head};
use crate::work::Due;

/// Longest time to send one piece of a message: the helper only stores it.
const PIECE_TIME: Duration = Duration::from_secs(300);

/// Hands a copy to the helper and waits for its reply.
///
/// # Errors
///
/// Why there is no reply, as text. The copy may have been delivered anyway, and is repeated.
pub(super) async fn ask(
    deps: &Deps,
    system: &SystemUsers,
    message: &Message,
    due: &Due,
    request: &Request,
) -> Result<Reply, String> {
    let shown = system.socket.display();
    let failed = |error: io::Error| {
        format!("the helper at {shown} does not answer: {error}; start postern-mailbox.service")
    };
    let stream = UnixStream::connect(&system.socket).await.map_err(failed)?;
    let (read, write) = stream.into_split();
    let line = request
        .encode()
        .ok_or("the addresses are too long for the helper")?;
    let sent = send(deps, write, &line, message, due, request.pipe.is_some()).await;
    // A helper that stops reading says why.
    let mut reply = Vec::new();
    let mut read = read.take(REPLY_MAX as u64 + 1);
    let got = timeout(system.patience, read.read_to_end(&mut reply)).await;
    if let Some(reply) = Reply::decode(&reply) {
        return Ok(reply);
    }
    match (sent, got) {
        (Err(Sending::Message(error)), _) => Err(format!("the message cannot be read: {error}")),
        (Err(Sending::Helper(error)), _) | (_, Ok(Err(error))) => Err(failed(error)),
        (_, Err(_)) => Err(format!(
            "the helper at {shown} has not answered in {} s",
            system.patience.as_secs()
        )),
        (Ok(()), Ok(Ok(_))) => Err(format!(
            "the helper at {shown} ended without an answer; its log says why"
        )),
    }
}

/// Errors while sending to the helper.
enum Sending {
    /// An error of the message.
    Message(String),
    /// An error of the helper.
    Helper(io::Error),
}

impl From<io::Error> for Sending {
    fn from(error: io::Error) -> Self {
        Self::Helper(error)
    }
}

/// Sends the request and the message, with the fields of final delivery on top unless `bare`; it only counts as complete with its
/// last piece.
async fn send(
    deps: &Deps,
    write: OwnedWriteHalf,
    line: &[u8],
    message: &Message,
    due: &Due,
    is_bare: bool,
) -> Result<(), Sending> {
    let mut out = BufWriter::with_capacity(PIECE_MAX + 4, write);
    out.write_all(line).await?;
    let (mut lines, mut text) = (UnixLines::default(), Vec::new());
    if !is_bare {
        lines.feed(&head(message, due), &mut text);
    }
    let mut content = deps.spool.open_body(message);
    while let Some(piece) = content
        .piece()
        .await
        .map_err(|error| Sending::Message(error.to_string()))?
    {
        lines.feed(&piece, &mut text);
        pieces(&mut out, &text).await?;
        text.clear();
    }
    lines.finish(&mut text);
    pieces(&mut out, &text).await?;
    out.write_all(&[0; 4]).await?;
    timeout(PIECE_TIME, out.flush()).await.map_err(|_| late())??;
    Ok(())
}

async fn pieces(out: &mut BufWriter<OwnedWriteHalf>, text: &[u8]) -> io::Result<()> {
    for piece in text.chunks(PIECE_MAX) {
        let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
        let write = async {
            out.write_all(&length.to_be_bytes()).await?;
            out.write_all(piece).await
        };
        timeout(PIECE_TIME, write).await.map_err(|_| late())??;
    }
    Ok(())
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not take the message")
}
