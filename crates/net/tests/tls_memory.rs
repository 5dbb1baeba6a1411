//! What an idle TLS session costs the server in memory.
//!
//! The clients live in a process of their own: this test binary, started again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use postern_net::MailStream;
use postern_net::tls::{ClientTls, ClientTlsSettings, ServerTls, Verification};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use support::{Bench, EC, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SESSIONS: usize = 500;
const ADDRESS: &str = "POSTERN_NET_TEST_ADDRESS";

/// 250 MiB for 5,000 sessions leave 51 KiB for each, of which TLS may take this much; the rest is for the
/// dialogue.
const BUDGET: usize = 20 << 10;

#[tokio::test]
async fn an_idle_session_fits_its_budget() {
    if let Ok(address) = std::env::var(ADDRESS) {
        return be_the_clients(address.parse().unwrap()).await;
    }
    let bench = Bench::new();
    bench.ca("ca");
    bench.certificate("host", "ca", "/CN=host", EC, "subjectAltName=DNS:mx.test");
    let tls = bench.server(&["host"], Some("ca"));
    let listener = postern_net::listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut clients = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_idle_session_fits_its_budget"])
        .env(ADDRESS, listener.local_addr().unwrap().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let mut sessions = Vec::with_capacity(SESSIONS);
    let mut before = 0;
    for count in 0..SESSIONS + 50 {
        // The first fifty trigger one-time allocations.
        if count == 50 {
            before = resident();
        }
        let (tcp, _) = postern_net::listen::accept(&listener, |_| {}).await.unwrap();
        let (mut stream, _) = MailStream::Plain(tcp)
            .into_tls_server(&tls, PATIENCE)
            .await
            .unwrap();
        exchange(&mut stream).await;
        sessions.push(stream);
    }
    let each = (resident() - before) / SESSIONS;
    println!("{each} octets for an idle TLS session");
    assert!(each <= BUDGET, "an idle TLS session takes {each} octets");
    drop(sessions);
    let _ = clients.kill().await;
}

/// A greeting, a command and a reply, so that buffers have been in use; then the wait for the next command.
async fn exchange(stream: &mut MailStream) {
    stream.write_all(b"220 mx.test ESMTP\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut command = vec![0; 10_000];
    stream.read_exact(&mut command).await.unwrap();
    stream.write_all(&vec![b'x'; 10_000]).await.unwrap();
    stream.flush().await.unwrap();
    let waiting = tokio::time::timeout(Duration::ZERO, stream.read(&mut [0])).await;
    assert!(waiting.is_err(), "the client is silent");
}

async fn be_the_clients(address: SocketAddr) {
    let tls = ClientTls::load(&ClientTlsSettings::new(Verification::None)).unwrap();
    let mut streams = Vec::new();
    for _ in 0..SESSIONS + 50 {
        let tcp = TcpStream::connect(address).await.unwrap();
        let (mut stream, _) = MailStream::Plain(tcp)
            .into_tls_client(&tls, "mx.test", PATIENCE)
            .await
            .unwrap();
        stream.write_all(&vec![b'x'; 10_000]).await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut vec![0; 19 + 10_000]).await.unwrap();
        streams.push(stream);
    }
    // The server ends the sessions when it has seen enough.
    if let Some(last) = streams.last_mut() {
        let _ = last.read(&mut [0]).await;
    }
}

#[test]
fn a_handshake_does_not_swell_the_session() {
    fn size<F: Future>(_: fn(MailStream, &'static ServerTls) -> F) -> usize {
        size_of::<F>()
    }
    let handshake = size(|stream, tls| stream.into_tls_server(tls, PATIENCE));
    assert!(
        handshake <= 1_024,
        "the future of a handshake takes {handshake} octets"
    );
    assert!(size_of::<MailStream>() <= 64, "{}", size_of::<MailStream>());
}

/// Memory of this process, in octets.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}
