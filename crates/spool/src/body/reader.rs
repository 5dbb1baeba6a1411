//! Reads a message's content in pieces.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use crc32fast::Hasher;
use postern_mail::QueueId;

use super::PIECE;
use super::store::BodyStore;
use crate::error::SpoolError;
use crate::message::{Body, Message};

/// Reads a message's content in pieces: the prefix, then the body, without copying what is in memory.
#[derive(Debug)]
pub struct BodyReader {
    store: Arc<BodyStore>,
    id: QueueId,
    prefix: Bytes,
    /// A prefix to return instead of its own.
    sent: Option<Bytes>,
    body: Source,
    /// The checksum that the content must have, unless it was already verified.
    expected: Option<u32>,
    sum: Hasher,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File {
        name: Arc<str>,
        file: Option<Opened>,
        left: u64,
        room: BytesMut,
    },
}

/// A body that is being read.
struct Opened(Box<dyn Read + Send>);

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened")
    }
}

impl BodyReader {
    pub(crate) fn new(store: &Arc<BodyStore>, message: &Message) -> Self {
        let reader = Self::of_new(store, message.id, &message.body);
        // Content in memory never left it, or was verified when it was loaded.
        let expected = message
            .content_sum
            .filter(|_| matches!(reader.body, Source::File { .. }));
        Self {
            prefix: message.prefix.clone(),
            sent: message.sent.clone(),
            expected,
            ..reader
        }
    }

    /// For a body that was not put yet: what is read from its file must match the writer's checksum.
    pub(crate) fn of_new(store: &Arc<BodyStore>, id: QueueId, body: &Body) -> Self {
        let expected = match body {
            Body::Inline(_) => None,
            Body::File(file) => file.sum(),
        };
        let body = match body {
            Body::Inline(bytes) => Source::Memory(bytes.clone()),
            Body::File(body) => Source::File {
                name: body.name().into(),
                file: None,
                left: body.len(),
                room: BytesMut::new(),
            },
        };
        Self {
            store: store.clone(),
            id,
            prefix: Bytes::new(),
            sent: None,
            body,
            expected,
            sum: Hasher::new(),
        }
    }

    /// The next piece, never empty; `None` at the end. The last piece is returned only if the checksum of all content is right: a
    /// reader that gets everything has the right content.
    ///
    /// A piece from a file is at most 128 KiB, and its memory is reused if it was dropped before the next call.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Damaged`] if the file is gone, too short or not what was accepted (then the queue holds the message),
    /// [`SpoolError::Unavailable`] if the disk fails.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, SpoolError> {
        if !self.prefix.is_empty() {
            if self.expected.is_some() {
                self.sum.update(&self.prefix);
            }
            let own = std::mem::take(&mut self.prefix);
            match self.sent.take().unwrap_or(own) {
                // All of it was sent.
                sent if sent.is_empty() => {}
                sent => return Ok(Some(sent)),
            }
        }
        match &mut self.body {
            Source::Memory(bytes) if bytes.is_empty() => Ok(None),
            Source::Memory(bytes) => Ok(Some(std::mem::take(bytes))),
            Source::File { left: 0, .. } => Ok(None),
            Source::File {
                name,
                file,
                left,
                room,
            } => {
                let ask = usize::try_from(*left).map_or(PIECE, |left| left.min(PIECE));
                let (opened, name, store) = (file.take(), name.clone(), self.store.clone());
                let task = tokio::task::spawn_blocking({
                    let room = std::mem::take(room);
                    move || read_piece(opened, &store, &name, room, ask)
                });
                let (opened, rest, piece) = task
                    .await
                    .unwrap_or_else(|gone| Err(io::Error::other(gone)))
                    .map_err(|error| self.damage(&error))?;
                let mut last = false;
                if let Source::File { file, left, room, .. } = &mut self.body {
                    *file = Some(opened);
                    *room = rest;
                    *left -= piece.len() as u64;
                    last = *left == 0;
                }
                if let Some(expected) = self.expected {
                    self.sum.update(&piece);
                    if last && self.sum.clone().finalize() != expected {
                        return Err(self.damaged("its body has changed since it was accepted (checksum)"));
                    }
                }
                Ok(Some(piece))
            }
        }
    }

    fn damaged(&self, reason: &str) -> SpoolError {
        self.store.report(self.id, reason);
        SpoolError::Damaged {
            id: self.id,
            reason: reason.into(),
        }
    }

    fn damage(&self, error: &io::Error) -> SpoolError {
        match error.kind() {
            io::ErrorKind::NotFound => self.damaged("its body file is gone"),
            io::ErrorKind::UnexpectedEof => self.damaged("its body file is too short"),
            _ => SpoolError::from_io("cannot read a body", error),
        }
    }
}

fn read_piece(
    opened: Option<Opened>,
    store: &BodyStore,
    name: &str,
    mut room: BytesMut,
    ask: usize,
) -> io::Result<(Opened, BytesMut, Bytes)> {
    let mut file = match opened {
        Some(file) => file,
        None => Opened(store.bodies().open(name)?),
    };
    room.resize(ask, 0);
    file.0.read_exact(&mut room)?;
    let piece = room.split().freeze();
    Ok((file, room, piece))
}
