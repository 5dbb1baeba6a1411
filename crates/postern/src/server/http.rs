//! Where the server answers over HTTP: sockets bound, served, changed, removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use postern_events::{Observers, notice, shown};
use postern_http::axum::Router;
use postern_http::{HttpListener, Limits, Tls};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answering::Answering;
use super::sockets::{Bound, FileGuard, Listener, Placed, change_rights};
use super::watch::Watch;
use super::web;
use crate::config::checked::{HttpConfig, SocketPlace};

/// One that is bound and not served yet.
pub(super) type BoundHttp = Bound<HttpConfig>;

impl Placed for HttpConfig {
    fn place(&self) -> &SocketPlace {
        &self.place
    }
}

impl Listener {
    /// Moves it into the runtime.
    fn enter_http(self) -> std::io::Result<HttpListener> {
        Ok(match self {
            Self::Unix(listener) => HttpListener::Unix(tokio::net::UnixListener::from_std(listener)?),
            Self::Tcp(listener) => HttpListener::Tcp(tokio::net::TcpListener::from_std(listener)?),
        })
    }
}

/// One being served.
struct Running {
    place: SocketPlace,
    router: Arc<ArcSwap<Router>>,
    limits: Arc<ArcSwap<Limits>>,
    /// Whether clients speak TLS.
    secured: Arc<AtomicBool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    file: Option<FileGuard>,
}

/// All at work.
pub(super) struct Http {
    watch: Watch,
    answering: Answering,
    stop: CancellationToken,
    running: Vec<Running>,
    observers: Observers,
}

impl Http {
    /// Starts to serve what was bound.
    pub(super) fn start(
        answering: Answering,
        bound: Vec<BoundHttp>,
        watch: Watch,
        observers: Observers,
    ) -> Self {
        let mut http = Self {
            watch,
            answering,
            stop: CancellationToken::new(),
            running: Vec::new(),
            observers,
        };
        bound.into_iter().for_each(|one| http.add(one));
        http
    }

    fn add(&mut self, bound: BoundHttp) {
        let address = bound.address();
        let Bound {
            config,
            listener,
            file,
        } = bound;
        let listener = match listener.enter_http() {
            Ok(listener) => listener,
            Err(error) => {
                notice!(self.observers, Connect Error "listening", Address = address, Error = shown(&error));
                return;
            }
        };
        notice!(self.observers, Connect Info "listening", Listener = config.name, Address = address);
        let router = Arc::new(ArcSwap::from_pointee(web::router(&config, &self.answering)));
        let limits = Arc::new(ArcSwap::from_pointee(config.limits));
        let secured = Arc::new(AtomicBool::new(config.tls));
        let tls = Tls {
            on: Arc::clone(&secured),
            server: Arc::clone(&self.answering.tls),
        };
        let stop = self.stop.child_token();
        let ending = stop.clone();
        let may_end = move || ending.is_cancelled();
        let (observers, name) = (self.observers.clone(), config.name);
        let told = move |error: std::io::Error| {
            notice!(observers, Connect Warning "listener fails", Listener = name, Error = shown(&error));
        };
        let serving = postern_http::serve(
            listener,
            Arc::clone(&router),
            (Arc::clone(&limits), tls),
            stop.clone(),
            told,
        );
        let task = self
            .watch
            .spawn(format!("HTTP at {}", config.place), may_end, serving);
        self.running.push(Running {
            place: config.place,
            router,
            limits,
            secured,
            stop,
            task,
            file,
        });
    }

    /// Those of another configuration that are not served yet.
    pub(super) fn missing<'a>(&self, wanted: &'a [HttpConfig]) -> Vec<&'a HttpConfig> {
        let is_new = |config: &&HttpConfig| !self.running.iter().any(|one| one.place.is_at(&config.place));
        wanted.iter().filter(is_new).collect()
    }

    /// Switches to another configuration: `bound` are those that were [`missing`](Self::missing). Returns warnings.
    pub(super) fn change(&mut self, wanted: &[HttpConfig], bound: Vec<BoundHttp>) -> Vec<String> {
        let mut warnings = Vec::new();
        for mut one in std::mem::take(&mut self.running) {
            match wanted.iter().find(|config| config.place.is_at(&one.place)) {
                Some(config) => {
                    warnings.extend(change_rights(&one.place, &config.place));
                    one.place = config.place.clone();
                    one.router.store(Arc::new(web::router(config, &self.answering)));
                    one.limits.store(Arc::new(config.limits.clone()));
                    one.secured.store(config.tls, Ordering::Relaxed);
                    self.running.push(one);
                }
                None => {
                    notice!(self.observers, Connect Info "listener removed", Address = shown(&one.place));
                    one.stop.cancel();
                    drop(one.file);
                }
            }
        }
        bound.into_iter().for_each(|one| self.add(one));
        warnings
    }

    /// Ends all connections, and removes the sockets.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        for one in self.running {
            drop(one.file);
            let _ = one.task.await;
        }
    }
}
