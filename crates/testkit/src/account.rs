//! An account for servers that refuse to run as root.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::{User, geteuid};

/// The account for servers when the tests run as root, `nobody`; `None` if they do not.
fn other() -> Option<User> {
    geteuid().is_root().then(|| {
        User::from_name("nobody")
            .expect("the accounts")
            .expect("an account nobody")
    })
}

/// Makes a command run as a user other than root.
pub(crate) fn without_root(command: &mut Command) -> &mut Command {
    if let Some(user) = other() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Gives a folder and its content to the account used by [`without_root`].
pub(crate) fn give(folder: &Path) {
    let Some(user) = other() else { return };
    let (uid, gid) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    chown(folder, uid, gid).expect("the folder's owner");
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            give(&path);
        } else {
            chown(&path, uid, gid).expect("the file's owner");
        }
    }
}
