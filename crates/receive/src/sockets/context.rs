//! What all connections of other servers have in common.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite};

use super::settings::SocketSettings;
use crate::shared::Shared;

/// Longest time to send an answer to another server.
pub(super) const WRITE_MAX: Duration = Duration::from_secs(30);

/// A connection of another server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The context of a connection.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) socket: Arc<ArcSwap<SocketSettings>>,
}

/// Why a connection ended, unless the other server closed it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// An error of the operating system.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line that does not follow the protocol.
    #[error("{0}")]
    Line(#[from] postern_authwire::dovecot::LineError),
    /// A question that does not follow the protocol.
    #[error("{0}")]
    Question(#[from] postern_authwire::saslauthd::QuestionError),
    /// A message out of order.
    #[error("{0}")]
    Order(&'static str),
    /// The other server was silent for too long, or took no answer.
    #[error("{0}")]
    Silent(&'static str),
}
