//! Connections, from accept to their end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use postern_net::listen;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;
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

/// A stream of either kind; `None` if the peer must not be answered.
type Accepted = Option<Box<dyn Stream>>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl HttpListener {
    async fn accept(&self, limits: &ArcSwap<Limits>) -> io::Result<Accepted> {
        Ok(match self {
            Self::Unix(listener) => Some(Box::new(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let answered = limits.load().peers.include(peer.ip());
                answered.then(|| Box::new(stream) as Box<dyn Stream>)
            }
        })
    }
}

/// Answers requests with `router` until `shutdown`, which ends those in progress. A reload stores other `limits`; open
/// connections keep the old ones. Errors of the listener are given to `told`, and it is tried again after a pause.
///
/// Connections from outside [`Limits::peers`] are closed without an answer.
pub async fn serve(
    listener: HttpListener,
    router: Arc<ArcSwap<Router>>,
    limits: Arc<ArcSwap<Limits>>,
    shutdown: CancellationToken,
    told: impl Fn(io::Error),
) {
    let places = Arc::new(Semaphore::new(limits.load().connections_max.max(1)));
    let work = |stream: Accepted| {
        let (router, limits) = (router.load_full(), limits.load_full());
        async move {
            if let Some(stream) = stream {
                // The client may have gone, or did not speak HTTP.
                let _ = converse(stream, &router, &limits).await;
            }
        }
    };
    listen::serve(|| listener.accept(&limits), &places, &shutdown, told, work).await;
}

/// One connection, request by request.
async fn converse(stream: Box<dyn Stream>, router: &Router, limits: &Limits) -> hyper::Result<()> {
    let router = router.clone().layer(DefaultBodyLimit::max(limits.body_max));
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

/// An answer that takes too long becomes `503`. No answer may be cached, or interpreted as another content type.
async fn in_time(answer: impl Future<Output = Response>, time: std::time::Duration) -> Response {
    let mut response = match tokio::time::timeout(time, answer).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer in time\n").into_response(),
    };
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
