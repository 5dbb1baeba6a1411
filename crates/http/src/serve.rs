//! Connections, from accept to their end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use postern_net::listen;
use postern_net::tls::ServerTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;
use crate::shares::Shares;
use crate::stall::Patient;

/// Smallest read buffer that hyper accepts.
const BUFFER_MIN: usize = 8 << 10;

/// Most fields of a request's header.
const FIELDS_MAX: usize = 64;

/// A listening socket.
#[derive(Debug)]
pub enum HttpListener {
    /// A Unix socket.
    Unix(UnixListener),
    /// A TCP port.
    Tcp(TcpListener),
}

/// The client of a connection. Every request has it among its extensions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// The address; `None` on a socket in the file system.
    pub address: Option<IpAddr>,
    /// The user on the other side of a socket in the file system, according to the kernel.
    pub uid: Option<u32>,
    /// Whether nobody can read the connection on the way.
    pub tls: bool,
}

/// Whether clients use TLS from the start, and the certificates for it. Both can be changed while it serves; existing connections
/// continue unchanged.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Whether TLS is used.
    pub on: Arc<AtomicBool>,
    /// The certificates. If there are none while TLS is on, connections are closed.
    pub server: Arc<ArcSwap<Option<ServerTls>>>,
}

/// A stream of either kind; `None` if the client is not to be answered.
type Accepted = Option<(Box<dyn Stream>, Peer)>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl HttpListener {
    async fn accept(&self, limits: &ArcSwap<Limits>) -> io::Result<Accepted> {
        Ok(match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer {
                    address: None,
                    uid: Some(stream.peer_cred()?.uid()),
                    tls: false,
                };
                Some((Box::new(stream), peer))
            }
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let answered = limits.load().peers.include(peer.ip());
                let peer = Peer {
                    address: Some(peer.ip().to_canonical()),
                    uid: None,
                    tls: false,
                };
                answered.then(|| (Box::new(stream) as Box<dyn Stream>, peer))
            }
        })
    }
}

/// Answers requests with `router` until `shutdown`, which ends those in progress. A reload stores other `limits`; open
/// connections keep the old ones. Errors of the listener are given to `told`, and it is tried again after a pause.
///
/// Connections from outside [`Limits::peers`] are closed without an answer, and so are those of a network that has its part of
/// [`Limits::connections_max`] already.
pub async fn serve(
    listener: HttpListener,
    router: Arc<ArcSwap<Router>>,
    (limits, tls): (Arc<ArcSwap<Limits>>, Tls),
    shutdown: CancellationToken,
    told: impl Fn(io::Error),
) {
    let places = Arc::new(Semaphore::new(limits.load().connections_max.max(1)));
    let shares = Arc::new(Shares::default());
    let work = |stream: Accepted| {
        let (router, limits, tls) = (router.load_full(), limits.load_full(), tls.clone());
        let shares = Arc::clone(&shares);
        async move {
            let Some((stream, peer)) = stream else { return };
            let Some(_share) = shares.take(peer.address, limits.connections_max) else {
                return;
            };
            let Some((stream, peer)) = secure(stream, peer, &tls, limits.time).await else {
                return;
            };
            // The client may have disconnected, or does not speak HTTP.
            let _ = converse(stream, peer, &router, &limits).await;
        }
    };
    listen::serve(|| listener.accept(&limits), &places, &shutdown, told, work).await;
}

/// Does the TLS handshake if TLS is on. If it fails, nothing is answered.
async fn secure(
    stream: Box<dyn Stream>,
    peer: Peer,
    tls: &Tls,
    time: Duration,
) -> Option<(Box<dyn Stream>, Peer)> {
    if !tls.on.load(Ordering::Relaxed) {
        return Some((stream, peer));
    }
    let server = tls.server.load_full();
    let (stream, _) = server.as_ref().as_ref()?.accept(stream, time, false).await.ok()?;
    Some((Box::new(stream), Peer { tls: true, ..peer }))
}

/// One connection, request by request.
async fn converse(
    stream: Box<dyn Stream>,
    peer: Peer,
    router: &Router,
    limits: &Limits,
) -> hyper::Result<()> {
    let router = router
        .clone()
        .layer(DefaultBodyLimit::max(limits.body_max))
        .layer(Extension(peer));
    let time = limits.time;
    let answer = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(in_time(answer(router, request), time).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(time)
        .max_headers(FIELDS_MAX)
        .max_header_size(limits.header_max)
        .max_buf_size(limits.header_max.max(BUFFER_MIN))
        .serve_connection(TokioIo::new(Patient::new(stream, time)), answer)
        .await
}

async fn answer(router: Router, request: Request<Incoming>) -> Response {
    use tower::ServiceExt as _;
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// An answer that takes too long becomes `503`. No answer may be cached, or interpreted as a type other than its own.
async fn in_time(answer: impl Future<Output = Response>, time: Duration) -> Response {
    let mut response = match tokio::time::timeout(time, answer).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer in time\n").into_response(),
    };
    let fields = response.headers_mut();
    // Nothing may be cached, unless its page says that it never changes.
    fields
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
