//! Submission by local users: its sockets and folder, bound and created while the process has the privileges, then
//! served.

mod bounce;
mod emptier;
pub(crate) mod folder;

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nix::unistd::{Uid, User};
use postern_events::{Observers, notice, shown};
use postern_receive::{Accounts, LocalDoor, Receiver, Settings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::emptier::Emptier;
use super::sockets::{FileGuard, SocketError, bind_file};
use super::watch::Watch;
use crate::config::checked::{LocalConfig, SocketFile};
use crate::control;
use crate::exit::{Exit, Failure, chain};
use crate::rights::Account;

/// The local entry point, not served yet.
pub(super) struct BoundLocal {
    config: LocalConfig,
    submit: (UnixListener, FileGuard),
    queue: (UnixListener, FileGuard),
}

/// Binds the sockets and creates the folder, for the account that the process will become.
///
/// # Errors
///
/// What cannot be created, with the remedy.
pub(super) fn bind(config: &LocalConfig, account: Option<&Account>) -> Result<BoundLocal, Failure> {
    folder::prepare(&config.drop, account)?;
    if let Some(parent) = config.socket.path.parent() {
        folder::prepare_parent(parent, account)?;
    }
    let bound = |file: &SocketFile| {
        bind_file(file, account).map_err(|source| {
            let error = SocketError::Path {
                path: file.path.clone(),
                source,
            };
            let exit = if error.in_use() {
                Exit::TryAgain
            } else {
                Exit::NoPermission
            };
            Failure::new(exit, chain(&error))
        })
    };
    Ok(BoundLocal {
        config: config.clone(),
        submit: bound(&config.socket)?,
        queue: bound(&config.queue_socket)?,
    })
}

/// The accounts that the system knows.
struct SystemAccounts;

impl Accounts for SystemAccounts {
    fn name(&self, uid: u32) -> Option<String> {
        User::from_uid(Uid::from_raw(uid))
            .ok()
            .flatten()
            .map(|user| user.name)
    }
}

/// What the local entry point needs.
pub(super) struct LocalDeps {
    pub(super) receiver: Receiver,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) control: control::server::Deps,
    pub(super) watch: Watch,
    pub(super) observers: Observers,
}

/// The local entry point being served.
pub(super) struct Local {
    config: LocalConfig,
    queue_users: Arc<ArcSwap<Vec<String>>>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    files: [FileGuard; 2],
}

impl Local {
    /// Starts to serve what was bound.
    ///
    /// # Errors
    ///
    /// The sockets cannot be used.
    pub(super) fn start(bound: BoundLocal, deps: LocalDeps) -> Result<Self, Failure> {
        let LocalDeps {
            receiver,
            settings,
            control,
            watch,
            observers,
        } = deps;
        let failed = |error: std::io::Error| Failure::io("cannot serve the socket of [local]", &error);
        let (submit, submit_file) = bound.submit;
        let (queue, queue_file) = bound.queue;
        let submit = tokio::net::UnixListener::from_std(submit).map_err(failed)?;
        let queue = tokio::net::UnixListener::from_std(queue).map_err(failed)?;
        let path = bound.config.socket.path.display().to_string();
        notice!(observers, Connect Info "listening", Listener = postern_receive::LOCAL, Address = path);
        let stop = CancellationToken::new();
        let until = || {
            let stop = stop.clone();
            move || stop.is_cancelled()
        };
        let accounts: Arc<dyn Accounts> = Arc::new(SystemAccounts);
        let door = LocalDoor::new(&receiver, Arc::clone(&accounts));
        let queue_users = Arc::new(ArcSwap::from_pointee(bound.config.queue_users.clone()));
        let (serving, close) = (door.clone(), stop.clone());
        let served = watch.spawn("local users", until(), async move {
            serving.serve(submit, close.clone(), close).await;
        });
        let emptier = Emptier::new(&bound.config.drop, door, accounts, settings, observers);
        let emptied = watch.spawn("drop folder", until(), emptier.run(stop.clone()));
        let listing = control::server::serve_users(queue, control, Arc::clone(&queue_users), stop.clone());
        let listed = watch.spawn("queue of local users", until(), listing);
        Ok(Self {
            config: bound.config,
            queue_users,
            stop,
            tasks: vec![served, emptied, listed],
            files: [submit_file, queue_file],
        })
    }

    /// Switches to another configuration, as far as possible without a restart. Otherwise returns a warning.
    pub(super) fn change(local: Option<&Self>, wanted: Option<&LocalConfig>) -> Option<String> {
        let same = match (local, wanted) {
            (Some(local), Some(wanted)) => {
                local.queue_users.store(Arc::new(wanted.queue_users.clone()));
                local.config.is_at(wanted)
            }
            (None, None) => true,
            _ => false,
        };
        (!same).then(|| "[local] has changed and takes effect after a restart".to_owned())
    }

    /// Ends all sessions, and removes the sockets.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        drop(self.files);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Warns about messages waiting in the default folder while nothing processes it.
pub(super) fn warn_of_waiting(config: Option<&LocalConfig>, observers: &Observers) {
    let default = std::path::Path::new(crate::commands::sendmail::DROP);
    if config.is_none() && std::fs::read_dir(default).is_ok_and(|mut entries| entries.next().is_some()) {
        notice!(
            observers,
            Run Warning "mail of local users waits and is not taken: [local] is not in the configuration",
            File = shown(&default.display()),
        );
    }
}
