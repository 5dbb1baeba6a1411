//! One connection's stream with its input and output buffers.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use postern_net::MailStream;
use postern_net::tls::{HandshakeError, ServerTls, TlsFacts};
use postern_sasl::{LayerError, Layered, SecurityLayer};
use postern_smtp::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::count::Cut;

/// Buffer size of a read for commands or the first part of a message.
pub(crate) const COMMAND_ROOM: usize = 8 * 1024;
/// Buffer size of a read within a large message: few calls, and little memory for many messages at once.
pub(crate) const BODY_ROOM: usize = 64 * 1024;

/// Size of the reply buffer that is kept between replies.
const OUTPUT_KEPT: usize = 512;

/// Longest time to tell a client that it is refused.
pub(crate) const CUT_MAX: Duration = Duration::from_secs(2);

/// Most octets of replies gathered for pipelined commands (RFC 2920).
const OUTPUT_MAX: usize = 16 * 1024;

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The client asked for it.
    #[error("quit")]
    Quit,
    /// The server closed it, after a reply that said so.
    #[error("closed")]
    Closed,
    /// It was ended from outside.
    #[error("{0}")]
    Cut(Cut),
    /// The client closed it.
    #[error("client has gone")]
    Gone,
    /// The client took too long.
    #[error("timeout")]
    Timeout,
    /// The connection broke.
    #[error("connection lost")]
    Lost(#[from] io::Error),
    /// The security layer of a mechanism broke: nothing that the client sends can be trusted any more.
    #[error("security layer broken")]
    Layer(#[from] LayerError),
    /// TLS could not be started.
    #[error("no TLS")]
    Handshake(#[from] HandshakeError),
}

/// The stream, unused input, and unsent replies.
pub(crate) struct Io {
    /// `None` while TLS starts, and for good if it failed.
    stream: Option<MailStream>,
    pub(crate) input: BytesMut,
    /// Replies not handed to the transport yet.
    output: Vec<u8>,
    /// Octets for the transport, and how many of them it has taken: a cancelled call loses none and repeats none.
    outgoing: Vec<u8>,
    sent: usize,
    write_timeout: Duration,
    layer: Option<Box<Layered>>,
}

impl Io {
    pub(crate) fn new(stream: MailStream, write_timeout: Duration) -> Self {
        Self {
            stream: Some(stream),
            input: BytesMut::new(),
            output: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            write_timeout,
            layer: None,
        }
    }

    /// Adds a reply, to be sent with the next [`flush`](Self::flush).
    pub(crate) fn put(&mut self, reply: &Reply) {
        reply.write_to(&mut self.output);
    }

    /// Whether so many replies wait that they should be sent before more are added.
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT_MAX
    }

    /// Sends all replies with one call. May be cancelled and called again.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        if !self.output.is_empty() {
            match &mut self.layer {
                Some(layered) => {
                    layered.wrap(&self.output, &mut self.outgoing)?;
                    self.output.clear();
                }
                None if self.outgoing.is_empty() => std::mem::swap(&mut self.outgoing, &mut self.output),
                None => self.outgoing.append(&mut self.output),
            }
        }
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let Self {
            stream,
            outgoing,
            sent,
            ..
        } = self;
        let stream = stream.as_mut().ok_or(End::Closed)?;
        let sending = timeout(self.write_timeout, async {
            while let Some(rest @ [_, ..]) = outgoing.get(*sent..) {
                match stream.write(rest).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    count => *sent += count,
                }
            }
            stream.flush().await
        });
        sending.await.map_err(|_| End::Timeout)??;
        self.sent = 0;
        // An idle session keeps little buffer memory.
        for spent in [&mut self.outgoing, &mut self.output] {
            if spent.capacity() > OUTPUT_KEPT {
                *spent = Vec::new();
            } else {
                spent.clear();
            }
        }
        Ok(())
    }

    /// Reads what is available, at least one octet, and at most `room`.
    ///
    /// While nothing is available and nothing was left over, no buffer is kept, since there are many idle sessions.
    pub(crate) async fn fill(&mut self, room: usize) -> Result<(), End> {
        if self.layer.is_some() {
            return self.fill_layered(room).await;
        }
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

    /// The same under a security layer, until a whole buffer is available. State between calls is kept in the layer, so that a
    /// call may be cancelled at any time.
    async fn fill_layered(&mut self, room: usize) -> Result<(), End> {
        let Self {
            stream, input, layer, ..
        } = self;
        let (Some(stream), Some(layered)) = (stream.as_mut(), layer.as_mut()) else {
            return Err(End::Closed);
        };
        let before = input.len();
        while input.len() == before {
            layered.sealed().reserve(room);
            if stream.read_buf(layered.sealed()).await? == 0 {
                return Err(End::Gone);
            }
            layered.open(input)?;
        }
        Ok(())
    }

    /// Puts a security layer around everything from here on, including input that is already buffered.
    pub(crate) fn start_layer(&mut self, layer: Box<dyn SecurityLayer>) -> Result<(), End> {
        let mut layered = Box::new(Layered::new(layer, std::mem::take(&mut self.input)));
        let opened = layered.open(&mut self.input);
        self.layer = Some(layered);
        Ok(opened?)
    }

    /// As [`fill`](Self::fill), for no longer than `limit`.
    pub(crate) async fn fill_within(&mut self, room: usize, limit: Duration) -> Result<(), End> {
        timeout(limit, self.fill(room)).await.map_err(|_| End::Timeout)?
    }

    /// Whether input arrives within `delay`; waits that long if not.
    pub(crate) async fn speaks_within(&mut self, delay: Duration) -> Result<bool, End> {
        match timeout(delay, self.fill(COMMAND_ROOM)).await {
            Ok(filled) => filled.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Drops whatever was read, and performs the handshake. Returns the TLS facts and the number of octets dropped.
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

    /// Sends what is left to be sent and closes the transport, ignoring errors.
    ///
    /// `unasked` says that the client may still be sending.
    async fn close(&mut self, unasked: bool) {
        if self.flush().await.is_err() {
            return;
        }
        if let Some(mut stream) = self.stream.take() {
            // Dropping a plain stream closes it too; TLS sends an alert of its own at the end.
            if unasked || stream.is_tls() {
                let _ = timeout(self.write_timeout, stream.shutdown()).await;
            }
            if unasked {
                drain(&mut stream).await;
            }
        }
    }

    /// As [`close`](Self::close), for no longer than `limit`.
    pub(crate) async fn close_within(&mut self, limit: Duration, unasked: bool) {
        let _ = timeout(limit, self.close(unasked)).await;
    }
}

/// Lets a client that is still sending see the reply before the reset that its unread octets would cause.
async fn drain(stream: &mut MailStream) {
    const PATIENCE: Duration = Duration::from_millis(500);
    const OCTETS_MAX: usize = 1024 * 1024;
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
