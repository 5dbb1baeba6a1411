//! The control socket: how `postern queue` and `postern reload` reach the running server.
//!
//! A Unix socket in the state directory, accessible only by its owner. The client must be root or the user that the
//! server runs as, whatever the permissions of the file say.

pub(crate) mod accounts;
pub(crate) mod acts;
mod asking;
pub(crate) mod client;
pub(crate) mod findings;
pub(crate) mod follow;
pub(crate) mod history;
mod people;
pub(crate) mod protocol;
pub(crate) mod queue;
pub(crate) mod records;
pub(crate) mod server;
pub(crate) mod sessions;
pub(crate) mod wishes;
mod writing;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

/// Longest path that fits in the address of a Unix socket (`sun_path`), without the terminating NUL.
const PATH_MAX: usize = 107;

/// The address of the socket in a state directory, and what keeps it valid.
///
/// A path too long for a socket address is reached through the folder's file descriptor.
fn address(state_dir: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = state_dir.join(protocol::SOCKET);
    if path.as_os_str().len() <= PATH_MAX {
        return Ok((path, None));
    }
    let folder = File::open(state_dir)?;
    let short = PathBuf::from(format!(
        "/proc/self/fd/{}/{}",
        folder.as_raw_fd(),
        protocol::SOCKET
    ));
    Ok((short, Some(folder)))
}

/// The name under which an administrator's actions are recorded.
pub(crate) fn administrator(uid: Uid) -> String {
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => format!("uid {uid}"),
    }
}
