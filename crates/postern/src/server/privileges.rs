//! What the process may do: file descriptors, and the user it runs as.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, User, geteuid, initgroups, setgid, setuid};
use std::ffi::CString;

use crate::exit::{Exit, Failure};

/// File descriptors that are wanted at least: every session, delivery and body file takes one.
const FILES_WANTED: u64 = 65_536;

/// Raises the number of files that may be open at once, as far as that is allowed. Returns what it is now.
pub(super) fn raise_file_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1_024;
    };
    let wanted = hard.min(FILES_WANTED.max(soft));
    if wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() {
        wanted
    } else {
        soft
    }
}

/// The user that the process will become, if it is root and one is named.
///
/// # Errors
///
/// There is no such user.
pub(super) fn target_user(name: Option<&str>) -> Result<Option<User>, Failure> {
    let Some(name) = name.filter(|_| geteuid().is_root()) else {
        return Ok(None);
    };
    match User::from_name(name) {
        Ok(Some(user)) if user.uid != Uid::from_raw(0) => Ok(Some(user)),
        Ok(Some(_)) => Ok(None),
        Ok(None) => Err(Failure::new(
            Exit::Config,
            format!(
                "`user` names {name}, who does not exist\nmake it: useradd --system --home-dir /var/lib/postern {name}"
            ),
        )),
        Err(error) => Err(Failure::from_error(
            Exit::System,
            "cannot look up the user",
            &error,
        )),
    }
}

/// Makes the state directory, for its owner alone; it is given to the user that the process will become.
///
/// # Errors
///
/// It cannot be made, or is no folder.
pub(super) fn prepare_state_dir(path: &Path, user: Option<&User>) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::io(
            &format!("cannot make the state directory {}", path.display()),
            &error,
        )
    };
    let made = !path.exists();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    if made && let Some(user) = user {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(failed)?;
    }
    check_owner(path, user)
}

/// The server must own its state directory, whoever it will be: the queue in it is open to nobody else.
fn check_owner(path: &Path, user: Option<&User>) -> Result<(), Failure> {
    let owner = std::fs::metadata(path)
        .map_err(|error| Failure::io(&format!("cannot look at {}", path.display()), &error))?
        .uid();
    let us = user.map_or_else(geteuid, |user| user.uid);
    if us.is_root() || us.as_raw() == owner {
        return Ok(());
    }
    let name = |uid: Uid| {
        let known = User::from_uid(uid).ok().flatten();
        known.map_or_else(|| uid.to_string(), |user| user.name)
    };
    let (us, owner) = (name(us), name(Uid::from_raw(owner)));
    Err(Failure::new(
        Exit::NoPermission,
        format!(
            "the state directory {0} belongs to {owner}, and the server runs as {us}\n\
             chown -R {us} {0}, or run it as {owner}",
            path.display()
        ),
    ))
}

/// Becomes the user, for good.
///
/// # Errors
///
/// The system refuses, or the rights could be got back.
pub(super) fn become_user(user: &User) -> Result<(), Failure> {
    let failed =
        |error: nix::Error| Failure::from_error(Exit::NoPermission, "cannot drop privileges", &error);
    let name = CString::new(user.name.as_str())
        .map_err(|error| Failure::from_error(Exit::System, "cannot drop privileges", &error))?;
    initgroups(&name, user.gid).map_err(failed)?;
    setgid(user.gid).map_err(failed)?;
    setuid(user.uid).map_err(failed)?;
    if setuid(Uid::from_raw(0)).is_ok() {
        return Err(Failure::new(
            Exit::Software,
            "privileges were dropped and came back",
        ));
    }
    Ok(())
}
