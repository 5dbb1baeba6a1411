//! The content of a message, piece by piece.

use bytes::Bytes;
use postern_spool::{Body, BodyReader, Message, Spool, SpoolError};

/// The content of a message piece by piece; what is in memory is not read from the spool.
pub(crate) enum Pieces<'a> {
    Memory {
        prefix: &'a Bytes,
        body: &'a Bytes,
        place: u8,
    },
    Reader(Box<BodyReader>),
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(spool: &dyn Spool, message: &'a Message) -> Self {
        match &message.body {
            Body::Inline(body) => Self::Memory {
                prefix: message.sent_prefix(),
                body,
                place: 0,
            },
            Body::File(_) => Self::Reader(Box::new(spool.open_body(message))),
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, SpoolError> {
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
