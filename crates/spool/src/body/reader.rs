//! Gives a message's content in pieces.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use postern_mail::QueueId;

use super::PIECE;
use super::store::BodyStore;
use crate::error::SpoolError;
use crate::message::{Body, Message};

/// Gives a message's content in pieces: the prefix, then the body, without copying what is in memory.
#[derive(Debug)]
pub struct BodyReader {
    id: QueueId,
    prefix: Bytes,
    body: Source,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File {
        path: PathBuf,
        file: Option<File>,
        left: u64,
        room: BytesMut,
    },
}

impl BodyReader {
    pub(crate) fn new(store: &Arc<BodyStore>, message: &Message) -> Self {
        let body = match &message.body {
            Body::Inline(bytes) => Source::Memory(bytes.clone()),
            Body::File(body) => Source::File {
                path: store.path(body.name()),
                file: None,
                left: body.len(),
                room: BytesMut::new(),
            },
        };
        Self {
            id: message.id,
            prefix: message.prefix.clone(),
            body,
        }
    }

    /// The next piece, never empty; `None` at the end. A piece from a file is at most 128 KiB, and its memory is used again
    /// when it was dropped before the next call.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Damaged`] when the file is gone or too short, [`SpoolError::Unavailable`] when the disk fails.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, SpoolError> {
        if !self.prefix.is_empty() {
            return Ok(Some(std::mem::take(&mut self.prefix)));
        }
        match &mut self.body {
            Source::Memory(bytes) if bytes.is_empty() => Ok(None),
            Source::Memory(bytes) => Ok(Some(std::mem::take(bytes))),
            Source::File { left: 0, .. } => Ok(None),
            Source::File {
                path,
                file,
                left,
                room,
            } => {
                let ask = usize::try_from(*left).map_or(PIECE, |left| left.min(PIECE));
                let (opened, path) = (file.take(), path.clone());
                let task = tokio::task::spawn_blocking({
                    let room = std::mem::take(room);
                    move || read_piece(opened, &path, room, ask)
                });
                let (opened, rest, piece) = task
                    .await
                    .unwrap_or_else(|gone| Err(io::Error::other(gone)))
                    .map_err(|error| self.damage(&error))?;
                if let Source::File { file, left, room, .. } = &mut self.body {
                    *file = Some(opened);
                    *room = rest;
                    *left -= piece.len() as u64;
                }
                Ok(Some(piece))
            }
        }
    }

    fn damage(&self, error: &io::Error) -> SpoolError {
        match error.kind() {
            io::ErrorKind::NotFound => SpoolError::Damaged {
                id: self.id,
                reason: "its body file is gone".into(),
            },
            io::ErrorKind::UnexpectedEof => SpoolError::Damaged {
                id: self.id,
                reason: "its body file is too short".into(),
            },
            _ => SpoolError::from_io("cannot read a body", error),
        }
    }
}

fn read_piece(
    opened: Option<File>,
    path: &PathBuf,
    mut room: BytesMut,
    ask: usize,
) -> io::Result<(File, BytesMut, Bytes)> {
    let mut file = match opened {
        Some(file) => file,
        None => File::open(path)?,
    };
    room.resize(ask, 0);
    file.read_exact(&mut room)?;
    let piece = room.split().freeze();
    Ok((file, room, piece))
}
