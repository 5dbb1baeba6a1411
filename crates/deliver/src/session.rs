//! One connection to a next hop, with its dialogue: bytes out, replies in, each with its time limit.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use postern_events::TlsReached;
use postern_net::MailStream;
use postern_net::tls::ClientTlsFacts;
use postern_policy::transport::{Certificate, Way};
use postern_sasl::{ChannelBindings, LayerError, Layered, SecurityLayer};
use postern_smtp::Reply;
use postern_smtp::client::{Capabilities, Protocol, ReplyError, ReplyLimits, ReplyParser, Stage};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::relay::Relay;
use crate::settings::{Login, Timeouts};

/// Octets written at once. Content is gathered up to this, so a small message goes out in one piece with its commands.
pub(crate) const BLOCK: usize = 64 << 10;

/// Octets read at once. Replies are short.
const READ: usize = 2 << 10;

/// Longest line of a reply where challenges come: RFC 4954 section 4 bounds the client's by 12,288 octets, and says
/// nothing of the server's.
const CHALLENGE_LINE_MAX: usize = 12_300;

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
    layer: Option<Box<Layered>>,
    /// What is to be sent next.
    pub(crate) output: Vec<u8>,
    pub(crate) protocol: Protocol,
    pub(crate) peer: Arc<Capabilities>,
    /// The host.
    pub(crate) relay: Relay,
    /// How far the DNS has proven the way to it, where DNSSEC is on.
    pub(crate) way: Way,
    /// Whether it is in TLS, and how.
    pub(crate) tls: Tls,
    /// Whether the host offers TLS that could not be made, so that the dialogue is in the clear.
    pub(crate) gave_up_tls: bool,
    /// What names the TLS session.
    pub(crate) bindings: ChannelBindings,
    /// Whose session it is at the host, once logged in.
    pub(crate) login: Option<Arc<Login>>,
    /// By which mechanism.
    pub(crate) mechanism: Option<&'static str>,
    /// Transactions made.
    pub(crate) transactions: u32,
    /// The most time there is for an answer while others wait for the place. What is sent in whole is waited for all the same:
    /// giving up on the answer to the end of the data makes duplicates.
    pub(crate) hurry: Option<Duration>,
    /// Whether `BDAT` is worth a try: the host has not broken by it recently.
    pub(crate) bdat: bool,
}

/// TLS of a session, as logs name it: `TLSv1.3 TLS_AES_256_GCM_SHA384 verified`, or `verified by DANE`; nothing in the clear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tls {
    Clear,
    Made {
        version: &'static str,
        cipher: &'static str,
        /// Whether the host's certificate was verified.
        verified: bool,
        /// Whether by its TLSA records.
        dane: bool,
    },
}

impl Tls {
    /// Whether the host is who it should be.
    pub(crate) fn is_verified(self) -> bool {
        matches!(self, Self::Made { verified: true, .. })
    }

    /// How much TLS that is.
    pub(crate) const fn reached(self) -> TlsReached {
        match self {
            Self::Clear => TlsReached::Clear,
            Self::Made { verified: false, .. } => TlsReached::Encrypted,
            Self::Made { dane: true, .. } => TlsReached::Dane,
            Self::Made { .. } => TlsReached::Verified,
        }
    }

    /// What a handshake has made, in which the host had to show `certificate`.
    pub(crate) fn made(facts: &ClientTlsFacts, certificate: Certificate) -> Self {
        Self::Made {
            version: facts.version,
            cipher: facts.cipher,
            verified: facts.verify.is_ok(),
            dane: certificate == Certificate::Named,
        }
    }
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear => Ok(()),
            Self::Made {
                version,
                cipher,
                verified,
                dane,
            } => write!(
                f,
                "{version} {cipher}{}",
                match (verified, dane) {
                    (true, true) => " verified by DANE",
                    (true, false) => " verified",
                    (false, _) => "",
                }
            ),
        }
    }
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
    /// A reply to nothing: from here on nobody knows which reply belongs to which command.
    #[error("the host answered {} before it was sent", .0.name())]
    Unasked(Stage),
    #[error(transparent)]
    Layer(#[from] LayerError),
}

impl SessionError {
    /// What was waited for.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match self {
            Self::Timeout { stage, .. }
            | Self::Closed(stage)
            | Self::Broken { stage, .. }
            | Self::Unasked(stage) => Some(*stage),
            _ => None,
        }
    }

    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }
}

impl Session {
    pub(crate) fn new(wire: Wire, protocol: Protocol, relay: Relay) -> Self {
        Self {
            wire,
            input: BytesMut::new(),
            parser: ReplyParser::default(),
            layer: None,
            output: Vec::with_capacity(1024),
            protocol,
            peer: Arc::default(),
            relay,
            way: Way::default(),
            tls: Tls::Clear,
            gave_up_tls: false,
            bindings: ChannelBindings::default(),
            login: None,
            mechanism: None,
            transactions: 0,
            bdat: true,
            hurry: None,
        }
    }

    fn in_time(&self, stage: Stage, limit: Duration) -> Duration {
        match (stage, self.hurry) {
            (Stage::EndOfData | Stage::Quit, _) | (_, None) => limit,
            (_, Some(hurry)) => limit.min(hurry),
        }
    }

    /// Sends what is in `output`. Commands are written when all replies to those before have been read, so whatever
    /// is left unread answers nothing, and must not be taken for the answer to what goes out now.
    pub(crate) async fn send(&mut self, stage: Stage, limit: Duration) -> Result<(), SessionError> {
        if self.output.is_empty() {
            return Ok(());
        }
        if self.has_unread() {
            return Err(SessionError::Unasked(stage));
        }
        let limit = self.in_time(stage, limit);
        let broken = |source| SessionError::Broken { stage, source };
        let mut sealed = Vec::new();
        if let Some(layered) = &mut self.layer {
            layered.wrap(&self.output, &mut sealed)?;
        }
        let octets = if self.layer.is_some() {
            &sealed
        } else {
            &self.output
        };
        match timeout(limit, write_whole(&mut self.wire, octets)).await {
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
        let limit = self.in_time(stage, limit);
        timeout(limit, self.read_reply(stage))
            .await
            .map_err(|_| SessionError::Timeout { stage, limit })?
    }

    async fn read_reply(&mut self, stage: Stage) -> Result<Reply, SessionError> {
        loop {
            let into = match &mut self.layer {
                Some(layered) => layered.sealed(),
                None => &mut self.input,
            };
            into.reserve(READ);
            let read = self.wire.read_buf(into).await;
            if read.map_err(|source| SessionError::Broken { stage, source })? == 0 {
                return Err(SessionError::Closed(stage));
            }
            self.open_sealed()?;
            if let Some(reply) = self.parser.next(&mut self.input)? {
                return Ok(reply);
            }
        }
    }

    /// Takes what whole buffers of the security layer hold.
    fn open_sealed(&mut self) -> Result<(), LayerError> {
        match &mut self.layer {
            Some(layered) => layered.open(&mut self.input),
            None => Ok(()),
        }
    }

    /// Makes room for the long lines of a login, or goes back to ordinary replies.
    pub(crate) fn expect_challenges(&mut self, expected: bool) {
        let mut limits = ReplyLimits::default();
        if expected {
            limits.line_max = CHALLENGE_LINE_MAX;
            limits.text_max = CHALLENGE_LINE_MAX;
        }
        self.parser = ReplyParser::new(limits);
    }

    /// Puts a security layer around everything from here on. What the host has sent already lies inside it.
    pub(crate) fn start_layer(&mut self, layer: Box<dyn SecurityLayer>) -> Result<(), LayerError> {
        self.layer = Some(Box::new(Layered::new(layer, std::mem::take(&mut self.input))));
        self.open_sealed()
    }

    /// Sends what is in `output` and reads the reply to it.
    pub(crate) async fn ask(&mut self, stage: Stage, limit: Duration) -> Result<Reply, SessionError> {
        self.send(stage, limit).await?;
        self.reply(stage, limit).await
    }

    /// The strength of the security layer in place, in bits.
    pub(crate) fn layer_bits(&self) -> Option<u32> {
        self.layer.as_ref().map(|layered| layered.bits())
    }

    /// Whether octets came that no command asked for.
    pub(crate) fn has_unread(&self) -> bool {
        !self.input.is_empty() || self.layer.as_ref().is_some_and(|layered| layered.has_sealed())
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
        Stage::Auth => timeouts.login,
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
