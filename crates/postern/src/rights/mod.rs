//! What root may do without lending its rights to somebody else: whose files it trusts, and as which user it works.

mod account;
mod owner;
mod socket;

pub(crate) use self::account::{Account, Groups};
pub(crate) use self::owner::{Path as Steps, Stranger, Why};
pub(crate) use self::socket::{Rights, bind, connect, give};

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nix::unistd::{Uid, geteuid};

use crate::exit::{Exit, Failure};

/// If root, becomes the owner of a folder before anything in it is opened: what that account has put there, such as a link to one
/// of root's files, is then followed with its rights. Does nothing if the whole path to the folder belongs to root, and for users
/// other than root.
///
/// # Errors
///
/// The folder is world-writable, or the system refuses.
pub(crate) fn enter(folder: &Path) -> Result<(), Failure> {
    match owner_of(folder)? {
        Some(account) => account.become_for_good(Groups::Own),
        None => Ok(()),
    }
}

/// The same for a folder that is created if missing: root creates it for `account`, if given, in a folder that root owns.
///
/// # Errors
///
/// As [`enter`], or the folder cannot be created.
pub(crate) fn enter_or_make(folder: &Path, account: Option<&Account>) -> Result<(), Failure> {
    if !is_there(folder) {
        make(folder, account)?;
    }
    enter(folder)?;
    make(folder, None)
}

/// Creates a folder and its parents, accessible only by its owner. Root creates it for `account`, but only in a folder that root
/// owns: in another's, it is created later, with that user's rights.
///
/// # Errors
///
/// What the system says.
pub(crate) fn make(folder: &Path, account: Option<&Account>) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::io(&format!("cannot make the folder {}", folder.display()), &error);
    if is_there(folder) || owner_of(folder)?.is_some() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)?;
    match account {
        // Nobody else can have put another folder there: its parents belong to root.
        Some(account) if geteuid().is_root() => account.give_folder(folder).map_err(failed),
        _ => Ok(()),
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The account that root must become before it touches `path`: the first owner on the path who is not root.
///
/// # Errors
///
/// A folder is world-writable.
pub(crate) fn owner_of(path: &Path) -> Result<Option<Account>, Failure> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let steps = Steps::walk(path)
        .map_err(|error| Failure::io(&format!("cannot look at {}", path.display()), &error))?;
    match steps.stranger(&[Uid::from_raw(0)]) {
        None => Ok(None),
        Some(Stranger {
            why: Why::Owner { uid, gid },
            ..
        }) => Ok(Some(Account::of(uid, gid))),
        Some(stranger) => Err(Failure::new(
            Exit::NoPermission,
            format!(
                "{stranger}, so root does not touch {}\nchmod go-w {}",
                path.display(),
                stranger.at.display()
            ),
        )),
    }
}

/// Whether root may trust the content of a file: it decides what root does, so only root may have written it. Users other than
/// root trust whatever they name.
///
/// # Errors
///
/// Who else could have written it, and the remedy.
pub(crate) fn believe(file: &Path) -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let Ok(steps) = Steps::walk(file) else {
        return Ok(());
    };
    let Some(stranger) = steps.stranger(&[Uid::from_raw(0)]) else {
        return Ok(());
    };
    let run_as = match &stranger.why {
        Why::Owner { uid, gid } => {
            let account = Account::of(*uid, *gid);
            format!(", or run this as {account}: runuser -u {account} -- postern ...")
        }
        Why::Writable { .. } => String::new(),
    };
    Err(Failure::new(
        Exit::Config,
        format!(
            "root does not use {}: {stranger}, and could make it do anything\n{}{run_as}",
            file.display(),
            stranger.remedy()
        ),
    ))
}
