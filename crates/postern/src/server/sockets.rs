//! The sockets on which neighbouring services have credentials checked: bound with their file permissions, served, changed,
//! removed.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_events::{Observers, notice, shown};
use postern_net::listen;
use postern_receive::{Receiver, SocketListener, SocketSettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::watch::Watch;
use crate::config::checked::{SocketConfig, SocketFile, SocketPlace};
use crate::exit::chain;
use crate::rights::{self, Account, Rights};

/// Something to be served at a place.
pub(super) trait Placed: Clone {
    /// The place.
    fn place(&self) -> &SocketPlace;
}

impl Placed for SocketConfig {
    fn place(&self) -> &SocketPlace {
        &self.place
    }
}

/// A socket that is bound but not served yet. Its file is removed with it.
pub(super) struct Bound<C> {
    pub(super) config: C,
    pub(super) listener: Listener,
    pub(super) file: Option<FileGuard>,
}

impl<C: Placed> Bound<C> {
    /// Where it is bound, with the port that the system has chosen.
    pub(super) fn address(&self) -> String {
        let told: Option<SocketAddr> = match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        };
        told.map_or_else(|| self.config.place().to_string(), |address| address.to_string())
    }
}

/// A socket on which neighbouring services have credentials checked.
pub(super) type BoundSocket = Bound<SocketConfig>;

/// A listening socket outside any runtime: it is bound before the process drops its privileges, and so before there are
/// threads.
pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Moves it into the runtime.
    fn enter(self) -> io::Result<SocketListener> {
        Ok(match self {
            Self::Unix(listener) => SocketListener::Unix(tokio::net::UnixListener::from_std(listener)?),
            Self::Tcp(listener) => SocketListener::Tcp(tokio::net::TcpListener::from_std(listener)?),
        })
    }
}

/// Removes the file of a socket when dropped.
pub(super) struct FileGuard(PathBuf);

impl Drop for FileGuard {
    fn drop(&mut self) {
        // In a folder owned by root it stays behind: the next start replaces it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Why a socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    /// Its file.
    #[error("cannot make the socket {}{}", path.display(), remedy(source))]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its TCP address.
    #[error(transparent)]
    Address(#[from] listen::ListenError),
}

impl SocketError {
    /// Whether another program is there.
    pub(super) fn in_use(&self) -> bool {
        let kind = match self {
            Self::Path { source, .. } => source.kind(),
            Self::Address(error) => error.source.kind(),
        };
        kind == io::ErrorKind::AddrInUse
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program answers there: ss -lxp shows which)",
        io::ErrorKind::PermissionDenied => {
            " (only root can make it there or give it that owner: restart Postern as root, or choose another folder)"
        }
        io::ErrorKind::AlreadyExists => " (something else is in its place: move it away)",
        _ => "",
    }
}

/// Binds all, or none. Files without a configured owner belong to the user that the process will become.
///
/// # Errors
///
/// Those that cannot be bound, each with its remedy.
pub(super) fn bind_all<'a, C: Placed + 'a>(
    configs: impl IntoIterator<Item = &'a C>,
    user: Option<&Account>,
) -> Result<Vec<Bound<C>>, Vec<SocketError>> {
    let (mut bound, mut errors) = (Vec::new(), Vec::new());
    for config in configs {
        match bind(config, user) {
            Ok(socket) => bound.push(socket),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

fn bind<C: Placed>(config: &C, user: Option<&Account>) -> Result<Bound<C>, SocketError> {
    let (listener, file) = bind_place(config.place(), user)?;
    Ok(Bound {
        config: config.clone(),
        listener,
        file,
    })
}

/// Binds a port, or a Unix socket, whose file is removed with the guard.
fn bind_place(
    place: &SocketPlace,
    user: Option<&Account>,
) -> Result<(Listener, Option<FileGuard>), SocketError> {
    Ok(match place {
        SocketPlace::Address(address) => (Listener::Tcp(listen::open(*address)?), None),
        SocketPlace::Path(file) => {
            let failed = |source| SocketError::Path {
                path: file.path.clone(),
                source,
            };
            let (listener, guard) = bind_file(file, user).map_err(failed)?;
            (Listener::Unix(listener), Some(guard))
        }
    })
}

/// Binds a Unix socket with its permissions; it is removed with the guard.
pub(super) fn bind_file(file: &SocketFile, user: Option<&Account>) -> io::Result<(UnixListener, FileGuard)> {
    remove_stale(&file.path)?;
    let listener = rights::bind(&file.path);
    let guard = FileGuard(file.path.clone());
    let listener = listener?;
    let mut rights = rights_in(file);
    if let Some(user) = user {
        let group = (!gives_its_group(&file.path)).then_some(user.gid.as_raw());
        rights.owner = rights.owner.or(Some(user.uid.as_raw()));
        rights.group = rights.group.or(group);
    }
    rights::give(&file.path, rights)?;
    Ok((listener, guard))
}

/// Whether files in this folder get the folder's group (the setgid bit is set): then that group is intended.
fn gives_its_group(path: &Path) -> bool {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    std::fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o2000 != 0)
}

/// Gives a socket's file the permissions from a new configuration; returns a warning if that fails.
pub(super) fn change_rights(was: &SocketPlace, wanted: &SocketPlace) -> Option<String> {
    let (true, SocketPlace::Path(file)) = (was != wanted, wanted) else {
        return None;
    };
    let error = rights::give(&file.path, rights_in(file)).err()?;
    let path = file.path.display();
    Some(format!(
        "the rights of {path} take effect after a restart: {}",
        chain(&error)
    ))
}

/// The permissions from the configuration.
fn rights_in(file: &SocketFile) -> Rights {
    Rights {
        owner: file.owner,
        group: file.group,
        mode: file.mode,
    }
}

/// Removes a stale socket.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => {}
    }
    if UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    std::fs::remove_file(path)
}

/// One socket being served.
struct Running {
    place: SocketPlace,
    settings: Arc<ArcSwap<SocketSettings>>,
    /// Ends it and its connections.
    stop: CancellationToken,
    task: JoinHandle<()>,
    file: Option<FileGuard>,
}

/// All sockets being served.
pub(super) struct Sockets {
    watch: Watch,
    receiver: Receiver,
    stop: CancellationToken,
    running: Vec<Running>,
    /// Sockets removed by a reload, until their connections have ended.
    leaving: Vec<JoinHandle<()>>,
    observers: Observers,
}

impl Sockets {
    /// Starts to serve what was bound.
    pub(super) fn start(
        receiver: Receiver,
        bound: Vec<BoundSocket>,
        watch: Watch,
        observers: Observers,
    ) -> Self {
        let mut sockets = Self {
            receiver,
            watch,
            stop: CancellationToken::new(),
            running: Vec::new(),
            leaving: Vec::new(),
            observers,
        };
        bound.into_iter().for_each(|one| sockets.add(one));
        sockets
    }

    fn add(&mut self, bound: BoundSocket) {
        let address = bound.address();
        let SocketConfig { place, settings } = bound.config;
        notice!(self.observers, Connect Info "listening", Listener = settings.name, Address = address);
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let stop = self.stop.child_token();
        let (receiver, theirs, stopped) = (self.receiver.clone(), Arc::clone(&settings), stop.clone());
        let listener = match bound.listener.enter() {
            Ok(listener) => listener,
            Err(error) => {
                notice!(self.observers, Connect Error "listening", Address = shown(&place), Error = shown(&error));
                return;
            }
        };
        let ending = stop.clone();
        let may_end = move || ending.is_cancelled();
        let task = self.watch.spawn(format!("socket {place}"), may_end, async move {
            receiver.serve_socket(listener, theirs, stopped).await;
        });
        self.running.push(Running {
            place,
            settings,
            stop,
            task,
            file: bound.file,
        });
    }

    /// The sockets of another configuration that are not served yet.
    pub(super) fn missing<'a>(&self, wanted: &'a [SocketConfig]) -> Vec<&'a SocketConfig> {
        let is_new = |config: &&SocketConfig| !self.running.iter().any(|one| one.place.is_at(&config.place));
        wanted.iter().filter(is_new).collect()
    }

    /// Switches to another configuration: `bound` are those that were [`missing`](Self::missing). Returns warnings.
    pub(super) fn change(&mut self, wanted: &[SocketConfig], bound: Vec<BoundSocket>) -> Vec<String> {
        let mut warnings = Vec::new();
        for mut one in std::mem::take(&mut self.running) {
            match wanted.iter().find(|config| config.place.is_at(&one.place)) {
                Some(config) => {
                    warnings.extend(change_rights(&one.place, &config.place));
                    one.place = config.place.clone();
                    one.settings.store(Arc::new(config.settings.clone()));
                    self.running.push(one);
                }
                None => {
                    notice!(self.observers, Connect Info "listener removed", Address = shown(&one.place));
                    // Neighbouring services keep connections open for hours, but nobody must authenticate through them any
                    // more.
                    one.stop.cancel();
                    drop(one.file);
                    self.leaving.push(one.task);
                }
            }
        }
        self.leaving.retain(|task| !task.is_finished());
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
        for task in self.leaving {
            let _ = task.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_receive::SocketProtocol;

    use super::*;

    fn config(path: &Path, mode: u32) -> SocketConfig {
        SocketConfig {
            place: SocketPlace::Path(SocketFile {
                path: path.to_owned(),
                mode,
                owner: None,
                group: None,
            }),
            settings: SocketSettings::new("x", SocketProtocol::Saslauthd),
        }
    }

    #[tokio::test]
    async fn stale_ones_are_replaced_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mux");
        let first = bind(&config(&path, 0o620), None).unwrap();
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o620);
        let taken = bind(&config(&path, 0o600), None).err().unwrap();
        assert!(taken.in_use(), "{taken}");
        assert!(taken.to_string().contains("another program"), "{taken}");
        assert_eq!(mode(), 0o620, "nothing was touched");
        // As after a crash: the file without a listener.
        let BoundSocket { listener, file, .. } = first;
        std::mem::forget(file);
        drop(listener);
        let second = bind(&config(&path, 0o666), None).unwrap();
        assert_eq!(mode(), 0o666);
        drop(second);
        assert!(!path.exists(), "removed at the end");
        std::fs::write(&path, "mail").unwrap();
        let refused = bind(&config(&path, 0o600), None).err().unwrap();
        assert!(
            refused.to_string().contains("something else is in its place"),
            "{refused}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"mail");
    }
}
