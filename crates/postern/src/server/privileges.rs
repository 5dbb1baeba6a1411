//! What the process may do: file descriptors, and the user it runs as.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, User, geteuid};
use rustix::thread::{CapabilitySet, clear_ambient_capability_set, remove_capability_from_bounding_set};

use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::rights::{self, Account, Groups};

/// Minimum number of file descriptors wanted: every session, delivery and body file takes one.
const FILES_WANTED: u64 = 65_536;

/// Ports below this one are privileged.
const PRIVILEGED_PORTS: u16 = 1_024;

/// Raises the number of files that may be open at once, as far as allowed. Returns the new value.
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

/// The account that the process will become, if it is root and one is configured.
///
/// # Errors
///
/// There is no such user.
pub(super) fn target_account(name: Option<&str>) -> Result<Option<Account>, Failure> {
    let Some(name) = name.filter(|_| geteuid().is_root()) else {
        return Ok(None);
    };
    match User::from_name(name) {
        Ok(Some(user)) if user.uid != Uid::from_raw(0) => Ok(Some(user.into())),
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

/// The warning if the server runs as root without being told to.
pub(crate) const ROOT_SERVES: &str = "the server runs as root, and so would whoever finds a fault in it: \
     add `user = \"postern\"` (or `user = \"root\"` if it is meant)";

/// Whether the server would run as root without the file saying so.
pub(crate) fn serves_as_root(config: &Config) -> bool {
    geteuid().is_root() && config.user.is_none()
}

/// Refuses to serve the network as root: a privileged port at an address other than loopback.
///
/// # Errors
///
/// It would run as root, and the file does not say that it should.
pub(super) fn refuse_root(config: &Config) -> Result<(), Failure> {
    let is_public = |address: &std::net::SocketAddr| {
        !address.ip().is_loopback() && (1..PRIVILEGED_PORTS).contains(&address.port())
    };
    let mut addresses = config.listeners.iter().map(|listener| listener.address);
    match addresses.find(is_public).filter(|_| serves_as_root(config)) {
        None => Ok(()),
        Some(address) => Err(Failure::new(
            Exit::Config,
            format!("root does not serve {address} by mistake\n{ROOT_SERVES}"),
        )),
    }
}

/// Creates the state directory, accessible only by its owner; root creates it for the account that the process
/// will become.
///
/// # Errors
///
/// It cannot be created, is not a folder, or belongs to somebody else.
pub(super) fn prepare_state_dir(path: &Path, account: Option<&Account>) -> Result<(), Failure> {
    rights::make(path, account)?;
    let Ok(found) = std::fs::metadata(path) else {
        // In a folder that the account owns, where root creates nothing.
        return Ok(());
    };
    if !found.is_dir() {
        return Err(Failure::new(
            Exit::CannotCreate,
            format!(
                "the state directory {} is not a folder: move it away",
                path.display()
            ),
        ));
    }
    check_owner(path, Uid::from_raw(found.uid()), account)
}

/// The server must own its state directory, whichever user it becomes: the queue in it is accessible to nobody
/// else.
fn check_owner(path: &Path, owner: Uid, account: Option<&Account>) -> Result<(), Failure> {
    let us = account.map_or_else(geteuid, |account| account.uid);
    if us.is_root() || us == owner {
        return Ok(());
    }
    let name = |uid: Uid| Account::of(uid, nix::unistd::getegid()).to_string();
    let (us, owner) = (name(us), name(owner));
    Err(Failure::new(
        Exit::NoPermission,
        format!(
            "the state directory {0} belongs to {owner}, and the server runs as {us}\n\
             chown -R {us} {0}, or run it as {owner}",
            path.display()
        ),
    ))
}

/// Becomes the account permanently, leaving no capability that a program started later could get.
///
/// # Errors
///
/// The system refuses, or the privileges could be regained.
pub(super) fn become_account(account: &Account) -> Result<(), Failure> {
    // The kernel may not know all of them, and in a container root may not have all of them.
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = clear_ambient_capability_set();
    account.become_for_good(Groups::All)
}
