//! What all connections of neighbours have.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite};

use super::settings::SocketSettings;
use crate::shared::Shared;

/// Longest wait until a neighbour takes an answer off our hands.
pub(super) const WRITE_MAX: Duration = Duration::from_secs(30);

/// A connection of a neighbour.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a connection works with.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) socket: Arc<ArcSwap<SocketSettings>>,
}

/// Why a connection ended otherwise than by its neighbour's wish.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The operating system said so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line that does not follow the protocol.
    #[error("{0}")]
    Line(#[from] postern_authwire::dovecot::LineError),
    /// A question that does not follow the protocol.
    #[error("{0}")]
    Question(#[from] postern_authwire::saslauthd::QuestionError),
    /// What came does not fit what was said before.
    #[error("{0}")]
    Order(&'static str),
    /// It was silent for too long, or took no answer.
    #[error("{0}")]
    Silent(&'static str),
}
