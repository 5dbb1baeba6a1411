//! What privileged helpers have in common: whom they answer, where they listen, and how they follow an upgrade.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, User, geteuid};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use crate::exit::{Exit, Failure};
use crate::rights::{self, Rights, Steps};

/// The running program, even if it has been replaced or removed since.
pub(super) const RUNNING: &str = "/proc/self/exe";

/// How often to check whether the program has been replaced.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest wait for a quiet moment to switch to it.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// The running program, and the path it was started from.
///
/// An upgrade puts another program there. The helper switches to it: it might not understand the new server, and it may have the
/// fault that the upgrade fixes.
pub(super) struct Program {
    /// The service that the program belongs to.
    unit: &'static str,
    path: PathBuf,
    file: (u64, u64),
}

impl Program {
    pub(super) fn running(unit: &'static str) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::io("cannot find the program that runs", &error);
        Ok(Self {
            unit,
            path: fs::read_link(RUNNING).map_err(failed)?,
            file: Self::file(Path::new(RUNNING)).map_err(failed)?,
        })
    }

    fn file(path: &Path) -> std::io::Result<(u64, u64)> {
        fs::metadata(path).map(|found| (found.dev(), found.ino()))
    }

    /// If it was only removed, there is no reason to stop: it continues from memory.
    fn is_replaced(&self) -> bool {
        Self::file(&self.path).is_ok_and(|file| file != self.file)
    }

    /// Waits until there is a new program and nothing is in progress, that is, `quiet` permits are free, or until the wait is too
    /// long.
    pub(super) async fn replaced(&self, connections: &Semaphore, quiet: usize) {
        while !self.is_replaced() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let idle = async {
            while connections.available_permits() < quiet {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // Without a quiet moment, whatever is interrupted is tried again.
        let _ = tokio::time::timeout(QUIET_MAX, idle).await;
    }

    /// Executes the new program with the same arguments.
    pub(super) fn start_anew(&self) -> Result<(), Failure> {
        eprintln!(
            "postern: {} was replaced; going over to the new one",
            self.path.display()
        );
        let failed = |error: &dyn std::error::Error| {
            let text = format!(
                "{} was replaced, and cannot be started: {error}",
                self.path.display()
            );
            Failure::new(Exit::TryAgain, format!("{text}\nsystemctl restart {}", self.unit))
        };
        let path = CString::new(self.path.as_os_str().as_bytes()).map_err(|error| failed(&error))?;
        let arguments = std::env::args_os().map(|argument| CString::new(argument.into_vec()));
        let arguments: Vec<CString> = arguments
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&error))?;
        match nix::unistd::execv(&path, &arguments) {
            Ok(never) => match never {},
            Err(error) => Err(failed(&error)),
        }
    }
}

/// The user whose requests are answered: the one that the relay becomes.
pub(super) fn client(user: Option<&str>) -> Result<Uid, Failure> {
    if !geteuid().is_root() {
        return Ok(geteuid());
    }
    let Some(name) = user else {
        eprintln!(
            "postern: warning: the configuration has no `user`, so root alone may ask: name the user that the server \
             runs as with --user"
        );
        return Ok(geteuid());
    };
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid),
        _ => Err(Failure::new(
            Exit::Config,
            format!(
                "there is no user {name}: `user` in the configuration, or --user, names who the server runs as"
            ),
        )),
    }
}

/// Creates the socket, for the client only. A stale one is removed.
pub(super) fn bind(socket: &Path, client: Uid) -> Result<UnixListener, Failure> {
    let failed = |error: std::io::Error| {
        Failure::from_error(
            Exit::CannotCreate,
            &format!("cannot listen on {}", socket.display()),
            &error,
        )
    };
    if let Some(folder) = socket.parent().filter(|folder| !folder.exists()) {
        fs::DirBuilder::new().mode(0o755).create(folder).map_err(failed)?;
    }
    if geteuid().is_root() {
        let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
        check_folder(folder.unwrap_or_else(|| Path::new(".")))?;
    }
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        let text = format!("another helper listens on {}", socket.display());
        return Err(Failure::new(Exit::TryAgain, text));
    }
    let is_socket = fs::symlink_metadata(socket)
        .is_ok_and(|metadata| std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()));
    if is_socket {
        fs::remove_file(socket).map_err(failed)?;
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    let rights = Rights {
        owner: geteuid().is_root().then_some(client.as_raw()),
        group: None,
        mode: 0o600,
    };
    rights::give(socket, rights).map_err(failed)?;
    Ok(listener)
}

/// Root puts its socket where nobody else can replace it.
fn check_folder(folder: &Path) -> Result<(), Failure> {
    let shown = folder.display();
    let steps = Steps::walk(folder).map_err(|error| {
        Failure::from_error(
            Exit::CannotCreate,
            &format!("cannot look at the folder {shown}"),
            &error,
        )
    })?;
    // In a folder such as /tmp, others could create it first.
    let is_shared = fs::metadata(folder).is_ok_and(|found| found.mode() & 0o022 != 0);
    match steps.stranger(&[Uid::from_raw(0)]) {
        None if !is_shared => Ok(()),
        _ => Err(Failure::new(
            Exit::NoPermission,
            format!(
                "others than root can write to the folder {shown} of the socket, and could put their own socket there: \
                 chown root {shown} && chmod go-w {shown}, or choose another `socket`"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    #[test]
    fn root_keeps_to_folders_of_its_own() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            ("root's", 0, 0o755, true),
            ("others may write", 0, 0o757, false),
            ("the group may write", 0, 0o775, false),
            ("everybody may, as in /tmp", 0, 0o1777, false),
            ("another's", 65_534, 0o755, false),
        ];
        for (shows, owner, mode, fit) in cases {
            chown(folder.path(), Some(owner), None).unwrap();
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let made = check_folder(folder.path());
            assert_eq!(made.is_ok(), fit, "{shows}");
        }
    }
}
