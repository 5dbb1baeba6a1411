//! One connection's stream with what was read and what is to be written.

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

/// Room for a read while commands or the first part of a message are awaited.
pub(crate) const COMMAND_ROOM: usize = 8 * 1024;
/// Room for a read in the midst of a large message. Few calls for it, little memory for many at once.
pub(crate) const BODY_ROOM: usize = 64 * 1024;

/// Room for replies that is kept between two of them.
const OUTPUT_KEPT: usize = 512;

/// Longest time to tell a client that it is not wanted.
pub(crate) const CUT_MAX: Duration = Duration::from_secs(2);

/// Replies that are gathered at most for commands that came together (RFC 2920).
const OUTPUT_MAX: usize = 16 * 1024;

/// Why a session ends before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The client asked for it.
    #[error("quit")]
    Quit,
    /// We have closed it, after a reply that said so.
    #[error("closed")]
    Closed,
    /// It was ended from outside.
    #[error("{0}")]
    Cut(Cut),
    /// The client has closed it.
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

/// The stream, the octets read and not used yet, and the replies not sent yet.
pub(crate) struct Io {
    /// Gone while TLS starts, and for good when it could not.
    stream: Option<MailStream>,
    pub(crate) input: BytesMut,
    /// Replies not handed to the transport yet.
    output: Vec<u8>,
    /// Octets for the transport, and how many of them it has taken: a call that is given up loses none and repeats none.
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

    /// Adds a reply to those that go out with the next [`flush`](Self::flush).
    pub(crate) fn put(&mut self, reply: &Reply) {
        reply.write_to(&mut self.output);
    }

    /// Whether so many replies wait that they should go out before more are made.
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT_MAX
    }

    /// Sends all replies with one call. May be given up and called again.
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
        // An idle session keeps little memory for what it once said.
        for spent in [&mut self.outgoing, &mut self.output] {
            if spent.capacity() > OUTPUT_KEPT {
                *spent = Vec::new();
            } else {
                spent.clear();
            }
        }
        Ok(())
    }

    /// Reads what is there, at least one octet, and at most `room`.
    ///
    /// While nothing is there and nothing was left over, no buffer is kept: idle sessions are many.
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

    /// The same under a security layer, until a whole buffer is there. What is kept between two calls lies in the layer, so
    /// that a call may be given up at any time.
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

    /// Puts a security layer around everything from here on. What the client sent already lies inside it.
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
    async fn close(&mut self, unasked: bool) {
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
