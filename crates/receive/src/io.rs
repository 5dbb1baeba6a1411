//! One connection's stream with what was read and what is to be written.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use postern_net::MailStream;
use postern_net::tls::{HandshakeError, ServerTls, TlsFacts};
use postern_smtp::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Room for a read while commands or the first part of a message are awaited.
pub(crate) const COMMAND_ROOM: usize = 8 * 1024;
/// Room for a read in the midst of a large message. Few calls for it, little memory for many at once.
pub(crate) const BODY_ROOM: usize = 64 * 1024;

/// Room for replies that is kept between two of them.
const OUTPUT_KEPT: usize = 512;

/// Why a session ends before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The client asked for it.
    #[error("quit")]
    Quit,
    /// We have closed it, after a reply that said so.
    #[error("closed")]
    Closed,
    /// The client has closed it.
    #[error("client has gone")]
    Gone,
    /// The client took too long.
    #[error("timeout")]
    Timeout,
    /// The connection broke.
    #[error("connection lost")]
    Lost(#[from] io::Error),
    /// TLS could not be started.
    #[error("no TLS")]
    Handshake(#[from] HandshakeError),
}

/// The stream, the octets read and not used yet, and the replies not sent yet.
pub(crate) struct Io {
    /// Gone while TLS starts, and for good when it could not.
    stream: Option<MailStream>,
    pub(crate) input: BytesMut,
    output: Vec<u8>,
    write_timeout: Duration,
}

impl Io {
    pub(crate) fn new(stream: MailStream, write_timeout: Duration) -> Self {
        Self {
            stream: Some(stream),
            input: BytesMut::new(),
            output: Vec::new(),
            write_timeout,
        }
    }

    /// Adds a reply to those that go out with the next [`flush`](Self::flush).
    pub(crate) fn put(&mut self, reply: &Reply) {
        reply.write_to(&mut self.output);
    }

    /// Sends all replies with one call.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let stream = self.stream.as_mut().ok_or(End::Closed)?;
        let sent = timeout(self.write_timeout, async {
            stream.write_all(&self.output).await?;
            stream.flush().await
        });
        sent.await.map_err(|_| End::Timeout)??;
        // An idle session keeps little memory for what it once said.
        if self.output.capacity() > OUTPUT_KEPT {
            self.output = Vec::new();
        } else {
            self.output.clear();
        }
        Ok(())
    }

    /// Reads what is there, at least one octet, and at most `room`.
    ///
    /// While nothing is there and nothing was left over, no buffer is kept: idle sessions are many.
    pub(crate) async fn fill(&mut self, room: usize) -> Result<(), End> {
        let Self { stream, input, .. } = self;
        let stream = stream.as_mut().ok_or(End::Closed)?;
        let count = std::future::poll_fn(|cx| {
            input.reserve(room);
            let polled = pin!(stream.read_buf(input)).poll(cx);
            if polled.is_pending() && input.is_empty() && room <= COMMAND_ROOM {
                *input = BytesMut::new();
            }
            polled
        })
        .await?;
        if count == 0 { Err(End::Gone) } else { Ok(()) }
    }

    /// As [`fill`](Self::fill), for no longer than `limit`.
    pub(crate) async fn fill_within(&mut self, room: usize, limit: Duration) -> Result<(), End> {
        timeout(limit, self.fill(room)).await.map_err(|_| End::Timeout)?
    }

    /// Whether octets are there within `delay`; waits it out if not.
    pub(crate) async fn speaks_within(&mut self, delay: Duration) -> Result<bool, End> {
        match timeout(delay, self.fill(COMMAND_ROOM)).await {
            Ok(filled) => filled.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Drops whatever was read, and shakes hands. Gives the number of octets dropped with the facts.
    pub(crate) async fn start_tls(
        &mut self,
        tls: &ServerTls,
        limit: Duration,
    ) -> Result<(TlsFacts, usize), End> {
        let dropped = self.input.len();
        self.input = BytesMut::new();
        let stream = self.stream.take().ok_or(End::Closed)?;
        let (stream, facts) = stream.into_tls_server(tls, limit).await?;
        self.stream = Some(stream);
        Ok((facts, dropped))
    }

    /// Sends what is left to be sent and says goodbye to the transport. Whatever goes wrong, it is over.
    ///
    /// `unasked` says that the client may still be sending.
    pub(crate) async fn close(&mut self, unasked: bool) {
        if self.flush().await.is_err() {
            return;
        }
        if let Some(mut stream) = self.stream.take() {
            // Dropping a plain stream closes it as well; TLS has a word of its own for the end.
            if unasked || stream.is_tls() {
                let _ = timeout(self.write_timeout, stream.shutdown()).await;
            }
            if unasked {
                drain(&mut stream).await;
            }
        }
    }
}

/// Lets a client that is still sending see the reply before the reset that its unread octets would cause.
async fn drain(stream: &mut MailStream) {
    const PATIENCE: Duration = Duration::from_millis(500);
    const OCTETS_MAX: usize = 64 * 1024;
    let mut scratch = BytesMut::with_capacity(COMMAND_ROOM);
    let mut total = 0;
    let _ = timeout(PATIENCE, async {
        while total < OCTETS_MAX && matches!(stream.read_buf(&mut scratch).await, Ok(1..)) {
            total += scratch.len();
            scratch.clear();
        }
    })
    .await;
}
