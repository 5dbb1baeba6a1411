//! One connection, plain or TLS.

use crate::tls::hello::asks_for_extended_master_secret;
use crate::tls::{ClientTls, ClientTlsFacts, HandshakeError, ServerTls, TlsFacts};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection that carries a mail dialogue.
///
/// Starting TLS consumes the stream and returns a new one. A caller that has wrapped the stream in a
/// buffered reader must therefore take it out first, and thereby drops what the reader holds: octets
/// received before the handshake never count as protected (RFC 3207 section 4.2, RFC 8314 section 3).
///
/// Reading from a TLS connection that ends without a closing alert yields end of file, as on a plain one.
/// Mail does not depend on the alert: a message ends with its dot or its length.
#[derive(Debug)]
pub enum MailStream {
    /// Without TLS.
    Plain(TcpStream),
    /// TLS, this side being the server. Boxed, so that an idle plain connection does not take up the memory
    /// of a TLS one.
    TlsServer(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// TLS, this side being the client.
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    /// A program on this machine, over a Unix socket: no TLS needed.
    Local(UnixStream),
}

impl MailStream {
    /// Whether TLS is in use.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::TlsServer(_) | Self::TlsClient(_))
    }

    /// Starts TLS as a server, after the reply to `STARTTLS` was flushed, or at once for implicit TLS.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; the connection is closed then.
    pub async fn into_tls_server(
        self,
        tls: &ServerTls,
        timeout: Duration,
    ) -> Result<(Self, TlsFacts), HandshakeError> {
        let Self::Plain(tcp) = self else {
            return Err(HandshakeError::AlreadyTls);
        };
        // Boxed, so that the caller's future does not hold the memory of a handshake for its whole life.
        let begun = tokio::time::Instant::now();
        let extended = if tls.looks_at_hello() {
            let looked = tokio::time::timeout(timeout, asks_for_extended_master_secret(&tcp)).await;
            looked.map_err(|_| HandshakeError::Timeout(timeout))?
        } else {
            false
        };
        let left = timeout.saturating_sub(begun.elapsed());
        let (stream, facts) = Box::pin(tls.accept(tcp, left, extended)).await?;
        Ok((Self::TlsServer(Box::new(stream)), facts))
    }

    /// Starts TLS as a client, after the server's `220` to `STARTTLS`, or at once for implicit TLS.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; the connection is closed then.
    pub async fn into_tls_client(
        self,
        tls: &ClientTls,
        server_name: &str,
        timeout: Duration,
    ) -> Result<(Self, ClientTlsFacts), HandshakeError> {
        let Self::Plain(tcp) = self else {
            return Err(HandshakeError::AlreadyTls);
        };
        let (stream, facts) = Box::pin(tls.connect(tcp, server_name, timeout)).await?;
        Ok((Self::TlsClient(Box::new(stream)), facts))
    }
}

impl From<TcpStream> for MailStream {
    fn from(tcp: TcpStream) -> Self {
        Self::Plain(tcp)
    }
}

impl From<UnixStream> for MailStream {
    fn from(unix: UnixStream) -> Self {
        Self::Local(unix)
    }
}

impl AsyncRead for MailStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = match self.get_mut() {
            Self::Plain(tcp) => return Pin::new(tcp).poll_read(cx, buf),
            Self::Local(unix) => return Pin::new(unix).poll_read(cx, buf),
            Self::TlsServer(tls) => Pin::new(tls).poll_read(cx, buf),
            Self::TlsClient(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        match read {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl AsyncWrite for MailStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Local(unix) => Pin::new(unix).poll_write(cx, buf),
            Self::TlsServer(tls) => Pin::new(tls).poll_write(cx, buf),
            Self::TlsClient(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Local(unix) => Pin::new(unix).poll_write_vectored(cx, bufs),
            Self::TlsServer(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
            Self::TlsClient(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Local(unix) => Pin::new(unix).poll_flush(cx),
            Self::TlsServer(tls) => Pin::new(tls).poll_flush(cx),
            Self::TlsClient(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Local(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::TlsServer(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::TlsClient(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
