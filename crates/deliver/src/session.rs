//! One connection to a next hop, with its dialogue: bytes out, replies in, each with its time limit.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use postern_net::MailStream;
use postern_smtp::Reply;
use postern_smtp::client::{Capabilities, Protocol, ReplyError, ReplyParser, Stage};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::settings::Timeouts;

/// Octets written at once. Content is gathered up to this, so a small message goes out in one piece with its commands.
pub(crate) const BLOCK: usize = 64 << 10;

/// Octets read at once. Replies are short.
const READ: usize = 2 << 10;

/// The stream below a dialogue.
#[derive(Debug)]
pub(crate) enum Wire {
    Net(MailStream),
    Unix(UnixStream),
}

/// A dialogue on its connection.
pub(crate) struct Session {
    wire: Wire,
    input: BytesMut,
    parser: ReplyParser,
    /// What is to be sent next.
    pub(crate) output: Vec<u8>,
    pub(crate) protocol: Protocol,
    pub(crate) peer: Arc<Capabilities>,
    /// The host as logs and reports name it: `mx.example.org[192.0.2.1]:25`.
    pub(crate) relay: String,
    /// TLS as logs name it: `TLSv1.3 TLS_AES_256_GCM_SHA384 verified`; empty without.
    pub(crate) tls: String,
    /// Transactions made.
    pub(crate) transactions: u32,
}

/// Why a dialogue cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("no answer to {} within {} s", stage.name(), limit.as_secs())]
    Timeout { stage: Stage, limit: Duration },
    #[error("the connection was closed, {} not answered", .0.name())]
    Closed(Stage),
    #[error("the connection broke in {}: {source}", stage.name())]
    Broken { stage: Stage, source: io::Error },
    #[error(transparent)]
    Nonsense(#[from] ReplyError),
}

impl SessionError {
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }
}

impl Session {
    pub(crate) fn new(wire: Wire, protocol: Protocol, relay: String) -> Self {
        Self {
            wire,
            input: BytesMut::new(),
            parser: ReplyParser::default(),
            output: Vec::with_capacity(1024),
            protocol,
            peer: Arc::default(),
            relay,
            tls: String::new(),
            transactions: 0,
        }
    }

    /// Sends what is in `output`.
    pub(crate) async fn send(&mut self, stage: Stage, limit: Duration) -> Result<(), SessionError> {
        if self.output.is_empty() {
            return Ok(());
        }
        let broken = |source| SessionError::Broken { stage, source };
        match timeout(limit, write_whole(&mut self.wire, &self.output)).await {
            Ok(written) => written.map_err(broken)?,
            Err(_) => return Err(SessionError::Timeout { stage, limit }),
        }
        self.output.clear();
        if self.output.capacity() > 2 * BLOCK {
            self.output.shrink_to(BLOCK);
        }
        Ok(())
    }

    /// Reads the next reply.
    pub(crate) async fn reply(&mut self, stage: Stage, limit: Duration) -> Result<Reply, SessionError> {
        if let Some(reply) = self.parser.next(&mut self.input)? {
            return Ok(reply);
        }
        timeout(limit, self.read_reply(stage))
            .await
            .map_err(|_| SessionError::Timeout { stage, limit })?
    }

    async fn read_reply(&mut self, stage: Stage) -> Result<Reply, SessionError> {
        loop {
            self.input.reserve(READ);
            let read = self.wire.read_buf(&mut self.input).await;
            match read.map_err(|source| SessionError::Broken { stage, source })? {
                0 => return Err(SessionError::Closed(stage)),
                _ => {
                    if let Some(reply) = self.parser.next(&mut self.input)? {
                        return Ok(reply);
                    }
                }
            }
        }
    }

    /// Sends what is in `output` and reads the reply to it.
    pub(crate) async fn ask(&mut self, stage: Stage, limit: Duration) -> Result<Reply, SessionError> {
        self.send(stage, limit).await?;
        self.reply(stage, limit).await
    }

    /// Whether octets came that no command asked for.
    pub(crate) fn has_unread(&self) -> bool {
        !self.input.is_empty()
    }

    /// Resolves when the peer says something unasked or closes: either way, the dialogue is over.
    pub(crate) async fn over(&mut self) {
        if self.input.is_empty() {
            self.input.reserve(READ);
            let _ = self.wire.read_buf(&mut self.input).await;
        }
    }

    /// Takes the stream out, for TLS. What was read and not used is dropped.
    pub(crate) fn into_wire(self) -> Wire {
        self.wire
    }

    /// Says goodbye.
    pub(crate) async fn quit(mut self, timeouts: &Timeouts) {
        self.output.clear();
        self.output.extend_from_slice(b"QUIT\r\n");
        if self.ask(Stage::Quit, timeouts.quit).await.is_ok() {
            let _ = timeout(timeouts.quit, self.wire.shutdown()).await;
        }
    }
}

async fn write_whole(wire: &mut Wire, octets: &[u8]) -> io::Result<()> {
    wire.write_all(octets).await?;
    match wire {
        // A socket has nothing to flush.
        Wire::Unix(_) | Wire::Net(MailStream::Plain(_)) => Ok(()),
        Wire::Net(stream) => stream.flush().await,
    }
}

/// The time limit of a stage.
pub(crate) fn limit(timeouts: &Timeouts, stage: Stage) -> Duration {
    match stage {
        Stage::Greeting => timeouts.greeting,
        Stage::Hello | Stage::StartTls => timeouts.hello,
        Stage::Mail | Stage::Reset => timeouts.mail,
        Stage::Recipient => timeouts.recipient,
        Stage::Data => timeouts.data,
        Stage::EndOfData => timeouts.end_of_data,
        Stage::Quit => timeouts.quit,
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Net(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Net(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Net(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Net(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
