//! The server with clients that ask as they should, and with those that do not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::{get, post};
use postern_http::{HttpListener, Limits, Peers, Tls, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// Longest wait for something that has to come: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    address: std::net::SocketAddr,
    limits: Arc<ArcSwap<Limits>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn router() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello\n" }))
        .route(
            "/take",
            post(|body: String| async move { body.len().to_string() }),
        )
        .route("/never", get(std::future::pending::<()>))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
}

/// Short times only for clients that are meant to time out: the machine may be busy.
fn hasty() -> Limits {
    Limits {
        time: Duration::from_secs(1),
        ..limits()
    }
}

fn limits() -> Limits {
    Limits {
        time: PATIENCE,
        peers: Peers(vec!["127.0.0.0/8".parse().unwrap()]),
        ..Limits::default()
    }
}

async fn start(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Arc::new(ArcSwap::from_pointee(limits));
    let stop = CancellationToken::new();
    let router = Arc::new(ArcSwap::from_pointee(router()));
    let serving = serve(
        HttpListener::Tcp(listener),
        router,
        (Arc::clone(&limits), Tls::default()),
        stop.clone(),
        |error| panic!("{error}"),
    );
    Server {
        address,
        limits,
        stop,
        task: tokio::spawn(serving),
    }
}

/// Sends octets and returns all that comes until the server closes.
async fn say(server: &Server, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // A client that is disconnected at once may notice while it sends.
    let _ = stream.write_all(octets).await;
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    let _ = reading.await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(method: &str, path: &str, more: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}").into_bytes()
}

#[tokio::test]
async fn what_is_asked_is_answered_one_request_after_the_other() {
    let server = start(limits()).await;
    let answer = say(&server, &request("GET", "/hello", "\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello\n"), "{answer}");
    assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
    let two = [
        b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        request("GET", "/nothing", "\r\n"),
    ]
    .concat();
    let answer = say(&server, &two).await;
    assert!(
        answer.contains("hello\n") && answer.contains("404 Not Found"),
        "{answer}"
    );
    server.stop.cancel();
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_socket_of_the_file_system_is_served_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http");
    let listener = HttpListener::Unix(UnixListener::bind(&path).unwrap());
    let stop = CancellationToken::new();
    let limits = Arc::new(ArcSwap::from_pointee(Limits::default()));
    let router = Arc::new(ArcSwap::from_pointee(router()));
    let task = tokio::spawn(serve(
        listener,
        router,
        (limits, Tls::default()),
        stop.clone(),
        |_| {},
    ));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(&request("GET", "/hello", "\r\n")).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello\n"), "{answer}");
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let server = start(limits()).await;
    let long = format!("X-Long: {}\r\n\r\n", "x".repeat(20 << 10));
    let many = "X: y\r\n".repeat(100) + "\r\n";
    let body = format!("Content-Length: {}\r\n\r\n{}", 100 << 10, "x".repeat(100 << 10));
    for (octets, expected, why) in [
        (request("GET", "/hello", &long), "HTTP/1.1 431", "a long header"),
        (request("GET", "/hello", &many), "HTTP/1.1 431", "many fields"),
        (request("POST", "/take", &body), "HTTP/1.1 413", "a large body"),
        (b"EHLO x\r\n\r\n".to_vec(), "HTTP/1.1 400", "another protocol"),
    ] {
        let answer = say(&server, &octets).await;
        assert!(answer.starts_with(expected), "{why}: {answer}");
    }
}

#[tokio::test]
async fn what_takes_too_long_is_ended() {
    let server = start(hasty()).await;
    for (octets, expected, why) in [
        (
            request("GET", "/never", "\r\n"),
            "HTTP/1.1 503",
            "an answer that does not come",
        ),
        (
            request("POST", "/take", "Content-Length: 5\r\n\r\nabc"),
            "HTTP/1.1 503",
            "a body that does not come",
        ),
        (
            b"GET /hello HTTP/1.1\r\nHost:".to_vec(),
            "",
            "a header that does not come",
        ),
        (Vec::new(), "", "a client that says nothing"),
    ] {
        let answer = say(&server, &octets).await;
        assert!(answer.starts_with(expected), "{why}: {answer}");
        assert!(!answer.contains(" 200 "), "{why}: {answer}");
    }
}

/// A client that does not read a long answer keeps its place for a limited time: with one place, the next
/// client is then served.
#[tokio::test]
async fn a_client_that_takes_nothing_does_not_keep_its_place() {
    let server = start(Limits {
        connections_max: 1,
        ..hasty()
    })
    .await;
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    deaf.write_all(&request("GET", "/large", "\r\n")).await.unwrap();
    deaf.readable().await.unwrap();
    // It got its place before these limits.
    server.limits.store(Arc::new(limits()));
    let answer = say(&server, &request("GET", "/hello", "\r\n")).await;
    assert!(answer.ends_with("hello\n"), "{answer}");
}

#[tokio::test]
async fn others_than_the_listed_networks_hear_nothing_and_a_change_takes_effect() {
    let server = start(Limits {
        peers: Peers::default(),
        ..limits()
    })
    .await;
    let answer = say(&server, &request("GET", "/hello", "\r\n")).await;
    assert_eq!(answer, "");
    server.limits.store(Arc::new(limits()));
    let answer = say(&server, &request("GET", "/hello", "\r\n")).await;
    assert!(answer.ends_with("hello\n"), "{answer}");
}
