//! `openssl s_server` as a peer, and a client that talks to it.

use super::{Bench, PATIENCE};
use postern_net::MailStream;
use postern_net::tls::{ClientTls, ClientTlsFacts, ClientTlsSettings, HandshakeError, Verification};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `openssl s_server` on a port of its own choice, stopped when dropped.
pub(crate) struct SServer {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl SServer {
    pub(crate) fn start(bench: &Bench, name: &str, line: &str) -> Self {
        use std::io::BufRead;
        let (certificate, key) = (
            bench.path(&format!("{name}.crt")),
            bench.path(&format!("{name}.key")),
        );
        let mut child = std::process::Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-rev", "-cert"])
            .args([certificate.as_os_str(), "-key".as_ref(), key.as_os_str()])
            .args(line.split_ascii_whitespace())
            .current_dir(bench.path("."))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl does not start: install the Debian package openssl");
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                line.unwrap()
                    .strip_prefix("ACCEPT ")
                    .map(|address| address.parse().unwrap())
            })
            .expect("s_server does not start");
        // The rest of its output must be drained, or it would block.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for SServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn client(verification: Verification) -> ClientTls {
    ClientTls::load(&ClientTlsSettings::new(verification)).unwrap()
}

/// Connects, has `s_server -rev` reverse a line, and returns what was seen.
pub(crate) async fn talk(
    tls: &ClientTls,
    address: SocketAddr,
    name: &str,
) -> Result<ClientTlsFacts, HandshakeError> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let (mut stream, facts) = MailStream::Plain(tcp)
        .into_tls_client(tls, name, PATIENCE)
        .await?;
    stream.write_all(b"abc\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut line = [0; 4];
    stream.read_exact(&mut line).await.map_err(HandshakeError::Lost)?;
    assert_eq!(&line, b"cba\n");
    Ok(facts)
}
