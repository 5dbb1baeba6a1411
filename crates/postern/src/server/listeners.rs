//! The sockets that accept, and the tasks that serve them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_events::{Observers, notice, shown};
use postern_net::listen::{ListenError, open, open_beside};
use postern_receive::{ListenerSettings, Receiver};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::watch::Watch;
use crate::config::checked::ListenerConfig;

/// A socket that is bound but not served yet.
pub(super) struct Bound {
    config: ListenerConfig,
    socket: TcpListener,
}

/// Binds all, or none.
///
/// # Errors
///
/// Those that cannot be bound, each with its remedy.
pub(super) fn bind_all<'a>(
    configs: impl IntoIterator<Item = &'a ListenerConfig>,
) -> Result<Vec<Bound>, Vec<ListenError>> {
    let (mut bound, mut errors) = (Vec::new(), Vec::new());
    for config in configs {
        match open(config.address) {
            Ok(socket) => bound.push(Bound {
                config: config.clone(),
                socket,
            }),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

/// One listener being served.
struct Running {
    address: SocketAddr,
    /// The socket, beside the task that accepts at it.
    socket: Option<TcpListener>,
    settings: Arc<ArcSwap<ListenerSettings>>,
    close: CancellationToken,
    task: JoinHandle<()>,
}

/// All listeners being served.
pub(super) struct Listeners {
    watch: Watch,
    receiver: Arc<Receiver>,
    /// Ends all sessions, including those of removed listeners.
    stop: CancellationToken,
    running: Vec<Running>,
    /// Listeners removed by a reload, until their sessions have ended.
    leaving: Vec<JoinHandle<()>>,
    observers: Observers,
}

impl Listeners {
    /// Starts to serve what was bound.
    pub(super) fn start(
        receiver: Arc<Receiver>,
        bound: Vec<Bound>,
        watch: Watch,
        observers: Observers,
    ) -> Self {
        let mut listeners = Self {
            receiver,
            watch,
            stop: CancellationToken::new(),
            running: Vec::new(),
            leaving: Vec::new(),
            observers,
        };
        for one in bound {
            listeners.add(one);
        }
        listeners
    }

    fn add(&mut self, bound: Bound) {
        let ListenerConfig { address, settings } = bound.config;
        let name = settings.name.clone();
        match bound.socket.local_addr() {
            Ok(local) => {
                notice!(self.observers, Connect Info "listening", Listener = name, Address = shown(&local));
            }
            Err(error) => {
                notice!(self.observers, Connect Error "listening", Listener = name, Error = shown(&error));
            }
        }
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let (close, stop) = (CancellationToken::new(), self.stop.clone());
        let (receiver, theirs, closed) = (Arc::clone(&self.receiver), Arc::clone(&settings), close.clone());
        let kept = bound.socket.try_clone().ok();
        let socket = match tokio::net::TcpListener::from_std(bound.socket) {
            Ok(socket) => socket,
            Err(error) => {
                notice!(self.observers, Connect Error "listening", Listener = name, Error = shown(&error));
                return;
            }
        };
        let may_end = {
            let (closed, stop) = (closed.clone(), stop.clone());
            move || closed.is_cancelled() || stop.is_cancelled()
        };
        let task = self.watch.spawn(format!("listener {name}"), may_end, async move {
            receiver.serve(socket, theirs, closed, stop).await;
        });
        self.running.push(Running {
            address,
            socket: kept,
            settings,
            close,
            task,
        });
    }

    /// The listeners of another configuration that are not served yet.
    fn missing<'a>(&self, wanted: &'a [ListenerConfig]) -> Vec<&'a ListenerConfig> {
        let mut present: Vec<SocketAddr> = self.running.iter().map(|one| one.address).collect();
        let mut missing = Vec::new();
        for config in wanted {
            match present.iter().position(|address| *address == config.address) {
                Some(at) => drop(present.swap_remove(at)),
                None => missing.push(config),
            }
        }
        missing
    }

    /// Binds those of another configuration that are not served yet, all or none. One at the port of a listener that goes can take its place, as
    /// `0.0.0.0:25` that of `127.0.0.1:25`.
    ///
    /// # Errors
    ///
    /// Those that cannot be bound, each with its remedy.
    pub(super) fn bind(&self, wanted: &[ListenerConfig]) -> Result<Vec<Bound>, Vec<ListenError>> {
        let stays = |one: &&Running| wanted.iter().any(|config| config.address == one.address);
        let (mut bound, mut errors) = (Vec::new(), Vec::new());
        for config in self.missing(wanted) {
            let at_port = |one: &&Running| one.address.port() == config.address.port();
            let leaving: Vec<&TcpListener> = self
                .running
                .iter()
                .filter(|one| !stays(one) && at_port(one))
                .filter_map(|one| one.socket.as_ref())
                .collect();
            match open_beside(config.address, &leaving) {
                Ok(socket) => bound.push(Bound {
                    config: config.clone(),
                    socket,
                }),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(bound) } else { Err(errors) }
    }

    /// Switches to another configuration: `bound` are those that were [`missing`](Self::missing). Remaining listeners
    /// continue with their new settings; removed ones no longer accept, but their sessions continue.
    pub(super) fn change(&mut self, wanted: &[ListenerConfig], bound: Vec<Bound>) {
        let mut wanted: Vec<&ListenerConfig> = wanted.iter().collect();
        let mut staying = Vec::new();
        for one in std::mem::take(&mut self.running) {
            match wanted.iter().position(|config| config.address == one.address) {
                Some(at) => {
                    one.settings
                        .store(Arc::new(wanted.swap_remove(at).settings.clone()));
                    staying.push(one);
                }
                None => {
                    notice!(self.observers, Connect Info "listener removed", Address = shown(&one.address));
                    one.close.cancel();
                    self.leaving.push(one.task);
                }
            }
        }
        self.running = staying;
        self.leaving.retain(|task| !task.is_finished());
        for one in bound {
            self.add(one);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Stops accepting, and waits until all sessions have ended.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // Their sockets close at once.
        let tasks: Vec<_> = self.running.into_iter().map(|one| one.task).collect();
        for task in tasks.into_iter().chain(self.leaving) {
            let _ = task.await;
        }
    }
}
