//! One connection to a probed server: replies with the time that each took.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postern_net::ca::CertificateInfo;
use postern_net::dial;
use postern_net::tls::{ClientTls, ClientTlsFacts};
use postern_net::{MailStream, tls::HandshakeError};
use postern_smtp::Reply;
use postern_smtp::client::{Capabilities, ReplyError, ReplyParser};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A connection.
pub(super) struct Wire {
    stream: MailStream,
    input: BytesMut,
    parser: ReplyParser,
    limit: Duration,
}

/// Why a connection cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Reply(#[from] ReplyError),
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the server has closed the connection")]
    Closed,
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("the server sent something before the handshake that would count as said inside TLS")]
    Injected,
}

impl Wire {
    /// Connects, with a PROXY header (version 1) if a client is given.
    pub(super) async fn connect(
        address: SocketAddr,
        proxied: Option<IpAddr>,
        limit: Duration,
    ) -> Result<Self, WireError> {
        let tcp = dial::connect(address, None, limit).await?;
        let mut stream = MailStream::Plain(tcp);
        if let Some(client) = proxied {
            stream.write_all(proxy_header(client, address).as_bytes()).await?;
        }
        Ok(Self {
            stream,
            input: BytesMut::new(),
            parser: ReplyParser::default(),
            limit,
        })
    }

    /// Does the TLS handshake.
    pub(super) async fn secure(
        mut self,
        tls: &ClientTls,
        name: &str,
    ) -> Result<(Self, ClientTlsFacts), WireError> {
        if !self.input.is_empty() {
            return Err(WireError::Injected);
        }
        let (stream, facts) = self.stream.into_tls_client(tls, name, self.limit).await?;
        self.stream = stream;
        Ok((self, facts))
    }

    /// The certificates that the server presented, its own first.
    pub(super) fn chain(&self) -> Vec<CertificateInfo> {
        let MailStream::TlsClient(tls) = &self.stream else {
            return Vec::new();
        };
        let shown = tls.get_ref().1.peer_certificates().unwrap_or_default();
        shown
            .iter()
            .filter_map(|der| CertificateInfo::from_der(der).ok())
            .collect()
    }

    /// Sends a line, and reads the reply.
    pub(super) async fn ask(&mut self, line: &str) -> Result<(Reply, Duration), WireError> {
        let begun = Instant::now();
        self.say(line).await?;
        Ok((self.reply().await?, begun.elapsed()))
    }

    /// Sends a line.
    pub(super) async fn say(&mut self, line: &str) -> Result<(), WireError> {
        self.send(format!("{line}\r\n").as_bytes()).await
    }

    /// Sends octets.
    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), WireError> {
        let limit = self.limit;
        let sent = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(limit, sent).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(WireError::Timeout(limit)),
        }
    }

    /// Reads a reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, WireError> {
        let end = Instant::now() + self.limit;
        loop {
            if let Some(reply) = self.parser.next(&mut self.input)? {
                return Ok(reply);
            }
            let left = end.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.stream.read_buf(&mut self.input)).await {
                Err(_) => return Err(WireError::Timeout(self.limit)),
                Ok(Ok(0)) => return Err(WireError::Closed),
                Ok(read) => drop(read?),
            }
        }
    }

    /// `EHLO`, or `HELO` if the server does not support it.
    pub(super) async fn hello(&mut self, name: &str) -> Result<(Reply, Capabilities, Duration), WireError> {
        let (reply, time) = self.ask(&format!("EHLO {name}")).await?;
        if reply.is_success() {
            let capabilities = Capabilities::parse(&reply);
            return Ok((reply, capabilities, time));
        }
        let (reply, time) = self.ask(&format!("HELO {name}")).await?;
        Ok((reply, Capabilities::default(), time))
    }

    /// Sends `QUIT`.
    pub(super) async fn quit(mut self) {
        let _ = self.ask("QUIT").await;
    }
}

/// The PROXY header of a load balancer, version 1.
fn proxy_header(client: IpAddr, server: SocketAddr) -> String {
    let (family, here) = match (client, server.ip()) {
        (IpAddr::V4(_), IpAddr::V4(ip)) => ("TCP4", ip.to_string()),
        (IpAddr::V4(_), IpAddr::V6(_)) => ("TCP4", "127.0.0.1".to_owned()),
        (IpAddr::V6(_), IpAddr::V6(ip)) => ("TCP6", ip.to_string()),
        (IpAddr::V6(_), IpAddr::V4(_)) => ("TCP6", "::1".to_owned()),
    };
    format!("PROXY {family} {client} {here} 50000 {}\r\n", server.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_load_balancers() {
        #[rustfmt::skip]
        let cases = [
            ("192.0.2.1",    "127.0.0.1:25", "PROXY TCP4 192.0.2.1 127.0.0.1 50000 25\r\n"),
            ("2001:db8::1",  "127.0.0.1:25", "PROXY TCP6 2001:db8::1 ::1 50000 25\r\n"),
            ("2001:db8::1",  "[::1]:587",    "PROXY TCP6 2001:db8::1 ::1 50000 587\r\n"),
        ];
        for (client, server, expected) in cases {
            assert_eq!(
                proxy_header(client.parse().unwrap(), server.parse().unwrap()),
                expected
            );
        }
    }
}
