//! What helpers with rights of their own have in common: whom they answer, where they listen, and how they follow an upgrade.

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

/// The program that runs, even when another one stands in its place by now, or none.
pub(super) const RUNNING: &str = "/proc/self/exe";

/// How often it is looked whether another program stands in its place.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest wait for a quiet moment to go over to it.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// The program that runs, and the place it was started from.
///
/// An upgrade puts another program there. The helper goes over to that one: what the new server asks it may not understand, and the
/// old one may be what the upgrade mends.
pub(super) struct Program {
    /// The service whose program it is.
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

    /// One that was only removed is no reason to stop: it goes on from memory.
    fn is_replaced(&self) -> bool {
        Self::file(&self.path).is_ok_and(|file| file != self.file)
    }

    /// Waits until another program is there and nothing is under way, since `quiet` places are free, or for long enough.
    pub(super) async fn replaced(&self, connections: &Semaphore, quiet: usize) {
        while !self.is_replaced() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let idle = async {
            while connections.available_permits() < quiet {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // Without a quiet moment, what is cut off is tried again.
        let _ = tokio::time::timeout(QUIET_MAX, idle).await;
    }

    /// Becomes the program that is there now, with the same arguments.
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

/// Whose questions are answered: the user that the relay becomes.
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

/// Makes the socket, for the client alone. One that is left over goes.
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

/// Root puts its socket where nobody else can put another in its place.
fn check_folder(folder: &Path) -> Result<(), Failure> {
    let shown = folder.display();
    let steps = Steps::walk(folder).map_err(|error| {
        Failure::from_error(
            Exit::CannotCreate,
            &format!("cannot look at the folder {shown}"),
            &error,
        )
    })?;
    // In a folder such as /tmp, others could be there first.
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
