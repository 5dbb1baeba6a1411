//! One connection, plain or TLS.

use crate::tls::{ClientTls, ClientTlsFacts, HandshakeError, ServerTls, TlsFacts};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that mail is spoken over.
///
/// TLS is begun by giving the stream away and taking the new one. Whoever has wrapped the stream in a buffered reader must
/// therefore take it out first, and with that drops what the reader holds: bytes that came before the handshake never
/// count as protected (RFC 3207 section 4.2, RFC 8314 section 3).
#[derive(Debug)]
pub enum MailStream {
    /// No protection.
    Plain(TcpStream),
    /// TLS, this side being the server.
    TlsServer(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// TLS, this side being the client.
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl MailStream {
    /// Whether TLS is in use.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// The socket below.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        todo!()
    }

    /// Begins TLS as a server, after the reply to `STARTTLS` was flushed, or at once for implicit TLS.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; the connection is closed then.
    pub async fn into_tls_server(
        self,
        tls: &ServerTls,
        timeout: Duration,
    ) -> Result<(Self, TlsFacts), HandshakeError> {
        let _ = (tls, timeout);
        todo!()
    }

    /// Begins TLS as a client, after the server's `220` to `STARTTLS`, or at once for implicit TLS.
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
        let _ = (tls, server_name, timeout);
        todo!()
    }
}

impl AsyncRead for MailStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        todo!()
    }
}

impl AsyncWrite for MailStream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, _buf: &[u8]) -> Poll<io::Result<usize>> {
        todo!()
    }
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!()
    }
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!()
    }
}
