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

/// Octets written at once. Content is gathered up to this, so a small message is sent in one piece with its commands.
pub(crate) const BLOCK: usize = 64 << 10;

/// Octets read at once. Replies are short.
const READ: usize = 2 << 10;

/// Longest line of a reply with a challenge: RFC 4954 section 4 limits the client's lines to 12,288 octets, but not the server's.
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
    /// How far DNSSEC proves the path to it, if it is on.
    pub(crate) way: Way,
    /// Whether it uses TLS, and how.
    pub(crate) tls: Tls,
    /// Whether TLS was offered but failed, so that the dialogue is in cleartext.
    pub(crate) gave_up_tls: bool,
    /// The channel bindings of the TLS session.
    pub(crate) bindings: ChannelBindings,
    /// The login used at the host, once authenticated.
    pub(crate) login: Option<Arc<Login>>,
    /// The mechanism used.
    pub(crate) mechanism: Option<&'static str>,
    /// Transactions made.
    pub(crate) transactions: u32,
    /// The time limit for a reply while others wait for the place. It does not apply after the end of the data, since giving up
    /// then causes duplicates.
    pub(crate) hurry: Option<Duration>,
    /// Whether to use `BDAT`: the host has not failed with it recently.
    pub(crate) bdat: bool,
}

/// TLS of a session, as logs name it: `TLSv1.3 TLS_AES_256_GCM_SHA384 verified`, or `verified by DANE`; nothing for cleartext.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tls {
    Clear,
    Made {
        version: &'static str,
        cipher: &'static str,
        /// Whether the host's certificate was verified.
        verified: bool,
        /// Whether it was verified by its TLSA records.
        dane: bool,
    },
}

impl Tls {
    /// Whether the host's identity was verified.
    pub(crate) fn is_verified(self) -> bool {
        matches!(self, Self::Made { verified: true, .. })
    }

    /// The level of TLS that was reached.
    pub(crate) const fn reached(self) -> TlsReached {
        match self {
            Self::Clear => TlsReached::Clear,
            Self::Made { verified: false, .. } => TlsReached::Encrypted,
            Self::Made { dane: true, .. } => TlsReached::Dane,
            Self::Made { .. } => TlsReached::Verified,
        }
    }

    /// The result of a handshake in which the host had to present `certificate`.
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

/// Why a dialogue cannot continue.
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
    /// An unexpected reply: from here on it is unknown which reply belongs to which command.
    #[error("the host answered {} before it was sent", .0.name())]
    Unasked(Stage),
    #[error(transparent)]
    Layer(#[from] LayerError),
}

impl SessionError {
    /// What was awaited.
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

    /// Sends what is in `output`. Commands are written when all replies to earlier ones have been read, so any unread input
    /// answers nothing, and must not be taken for the reply to what is sent now.
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

    /// Unwraps complete buffers of the security layer.
    fn open_sealed(&mut self) -> Result<(), LayerError> {
        match &mut self.layer {
            Some(layered) => layered.open(&mut self.input),
            None => Ok(()),
        }
    }

    /// Allows the long lines of an authentication exchange, or only ordinary replies again.
    pub(crate) fn expect_challenges(&mut self, expected: bool) {
        let mut limits = ReplyLimits::default();
        if expected {
            limits.line_max = CHALLENGE_LINE_MAX;
            limits.text_max = CHALLENGE_LINE_MAX;
        }
        self.parser = ReplyParser::new(limits);
    }

    /// Puts a security layer around everything from here on, including input that is already buffered.
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

    /// Whether unsolicited octets have arrived.
    pub(crate) fn has_unread(&self) -> bool {
        !self.input.is_empty() || self.layer.as_ref().is_some_and(|layered| layered.has_sealed())
    }

    /// Resolves when the peer sends something unsolicited or closes: either way, the dialogue is over.
    pub(crate) async fn over(&mut self) {
        if self.input.is_empty() {
            self.input.reserve(READ);
            let _ = self.wire.read_buf(&mut self.input).await;
        }
    }

    /// Takes the stream out, for TLS. Unused input is dropped.
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
