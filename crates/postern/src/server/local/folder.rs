//! The drop folder: created with its permissions, scanned as a place that attackers can write to, each message opened safely.

use std::collections::{HashMap, HashSet};
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, unlinkat};
use postern_submit::custody::{self, ASIDE, FOLDER_MODE, FileFacts, NotTaken};

use crate::exit::{Exit, Failure};
use crate::rights::{self, Account};

/// Most messages of one user known at once; further ones are found later.
const PER_USER: usize = 100;

/// Most users whose messages are known at once.
const USERS: usize = 10_000;

/// The age at which a file's writer is assumed dead.
const UNFINISHED_AGE: Duration = Duration::from_secs(24 * 3_600);

/// Creates a folder that others may traverse, with its parents, for the account that the process will become.
///
/// # Errors
///
/// It cannot be made.
pub(super) fn prepare_parent(folder: &Path, account: Option<&Account>) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::io(&format!("cannot make the folder {}", folder.display()), &error);
    if folder.exists() || rights::owner_of(folder)?.is_some() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(failed)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(failed)?;
    match account {
        Some(account) => account.give_folder(folder).map_err(failed),
        None => Ok(()),
    }
}

/// Creates the drop folder if missing, and checks its permissions.
///
/// # Errors
///
/// It cannot be created, or has other permissions or another owner.
pub(super) fn prepare(folder: &Path, account: Option<&Account>) -> Result<(), Failure> {
    if !folder.exists() && rights::owner_of(folder)?.is_none() {
        if let Some(parent) = folder.parent() {
            prepare_parent(parent, account)?;
        }
        make(folder, account)
            .map_err(|error| Failure::io(&format!("cannot make the folder {}", folder.display()), &error))?;
    }
    let us = account.map_or_else(nix::unistd::geteuid, |account| account.uid);
    let group = account.map_or_else(nix::unistd::getegid, |account| account.gid);
    let fault = fault(folder, us, group)
        .map_err(|error| Failure::io(&format!("cannot look at the folder {}", folder.display()), &error))?;
    fault.map_or(Ok(()), |fault| {
        let account = account.cloned().unwrap_or_else(|| Account::of(us, group));
        let remedy = remedy(folder, &account);
        Err(Failure::new(
            Exit::NoPermission,
            format!("{fault}\nas root: {remedy}"),
        ))
    })
}

/// What is wrong with an existing folder, for a server with this user and group.
///
/// # Errors
///
/// It cannot be examined.
pub(crate) fn fault(folder: &Path, user: Uid, group: Gid) -> io::Result<Option<String>> {
    let found = std::fs::symlink_metadata(folder)?;
    let right = found.is_dir()
        && found.mode() & 0o7777 == FOLDER_MODE
        && found.uid() == user.as_raw()
        && found.gid() == group.as_raw();
    Ok((!right).then(|| {
        format!(
            "the folder {} of `drop` in [local] needs the rights {FOLDER_MODE:o} and the user and group of the server",
            folder.display()
        )
    }))
}

/// The remedy, for root.
pub(crate) fn remedy(folder: &Path, account: &Account) -> String {
    format!(
        "chown {account}:{1} {0} && chmod {FOLDER_MODE:o} {0}",
        folder.display(),
        account.gid
    )
}

fn make(folder: &Path, account: Option<&Account>) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    if let Some(account) = account {
        account.give_folder(folder)?;
    }
    std::fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
}

/// The open folder.
pub(super) struct Folder {
    path: PathBuf,
    held: File,
    group: u32,
}

/// A waiting message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Waiting {
    pub(super) name: String,
    pub(super) uid: u32,
}

/// What was found in the folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Messages, alternating between users.
    pub(super) waiting: Vec<Waiting>,
    /// Whether there are more than were listed.
    pub(super) more: bool,
    /// File names that are not ours.
    pub(super) strange: usize,
}

impl Folder {
    /// Opens it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let held = nix::fcntl::open(path, flags, Mode::empty())?;
        let group = fstat(&held)?.st_gid;
        Ok(Self {
            path: path.to_owned(),
            held: held.into(),
            group,
        })
    }

    /// The path of a file in it, for display.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// When something in it was last created, renamed or removed.
    pub(super) fn changed_at(&self) -> io::Result<SystemTime> {
        self.held.metadata()?.modified()
    }

    /// Lists the waiting messages, except those in `passed`. Old unfinished files are removed.
    pub(super) fn scan(&self, passed: &HashSet<String>) -> io::Result<Found> {
        let mut found = Found::default();
        let mut by_user: HashMap<u32, Vec<String>> = HashMap::new();
        // This very folder, whatever is at its path now.
        let listing = std::fs::read_dir(format!("/proc/self/fd/{}", self.held.as_raw_fd()))?;
        for entry in listing {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else {
                found.strange += 1;
                continue;
            };
            if name.starts_with(ASIDE) || passed.contains(name) {
                continue;
            }
            if custody::is_unfinished(name) {
                self.remove_if_old(name);
                continue;
            }
            if !custody::is_message(name) {
                found.strange += 1;
                continue;
            }
            // Entries may disappear meanwhile.
            let Ok(seen) = fstatat(&self.held, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
                continue;
            };
            if by_user.len() >= USERS && !by_user.contains_key(&seen.st_uid) {
                found.more = true;
                continue;
            }
            let theirs = by_user.entry(seen.st_uid).or_default();
            if theirs.len() < PER_USER {
                theirs.push(name.to_owned());
            } else {
                found.more = true;
            }
        }
        found.waiting = in_turn(by_user);
        Ok(found)
    }

    fn remove_if_old(&self, name: &str) {
        let Ok(seen) = fstatat(&self.held, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
            return;
        };
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seen.st_mtime).unwrap_or(0));
        if changed.elapsed().is_ok_and(|age| age > UNFINISHED_AGE) {
            let _ = self.remove(name);
        }
    }

    /// Opens an owner's message, checking what is really under the name.
    ///
    /// # Errors
    ///
    /// It is not a message, or cannot be read.
    pub(super) fn take(&self, name: &str) -> Result<(File, u32), TakeError> {
        let flags =
            OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let opened = match openat(&self.held, name, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::ELOOP | Errno::EISDIR | Errno::ENXIO) => return Err(NotTaken::NotRegular.into()),
            Err(Errno::ENOENT) => return Err(TakeError::Gone),
            // It has other permissions, or another group.
            Err(Errno::EACCES) => return Err(NotTaken::Group.into()),
            Err(error) => return Err(TakeError::System(error.into())),
        };
        let seen = fstat(&opened).map_err(|error| TakeError::System(error.into()))?;
        custody::judge(FileFacts {
            regular: SFlag::from_bits_truncate(seen.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFREG,
            links: seen.st_nlink,
            mode: seen.st_mode & 0o7777,
            group_of_folder: seen.st_gid == self.group,
        })?;
        Ok((opened.into(), seen.st_uid))
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.held, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Renames it so that it is no longer taken for a message. A link or a FIFO, which has no content, is removed: the server may
    /// not create these, and so cannot rename them.
    pub(super) fn put_aside(&self, name: &str) -> io::Result<Aside> {
        let seen = fstatat(&self.held, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let kind = SFlag::from_bits_truncate(seen.st_mode & SFlag::S_IFMT.bits());
        if !matches!(kind, SFlag::S_IFREG | SFlag::S_IFDIR) {
            self.remove(name)?;
            return Ok(Aside::Removed);
        }
        let aside = format!("{ASIDE}{name}");
        renameat(&self.held, name, &self.held, aside.as_str())?;
        Ok(Aside::Renamed(aside))
    }

    /// Makes sure that what was removed stays removed.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.held.sync_all()
    }
}

/// What happened to something that is not a message.
#[derive(Debug)]
pub(super) enum Aside {
    /// It has this name now.
    Renamed(String),
    /// It was removed.
    Removed,
}

/// Why there is nothing to take.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    /// It is not a message.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// Its owner has removed it.
    #[error("it is gone")]
    Gone,
    /// A system error, possibly temporary.
    #[error("{0}")]
    System(io::Error),
}

/// One message of each user, then the next of each, so that nobody has to wait for all of another's.
fn in_turn(by_user: HashMap<u32, Vec<String>>) -> Vec<Waiting> {
    let mut users: Vec<(u32, std::vec::IntoIter<String>)> = by_user
        .into_iter()
        .map(|(uid, mut names)| {
            names.sort_unstable();
            (uid, names.into_iter())
        })
        .collect();
    users.sort_unstable_by_key(|(uid, _)| *uid);
    let mut waiting = Vec::new();
    loop {
        let before = waiting.len();
        for (uid, names) in &mut users {
            waiting.extend(names.next().map(|name| Waiting { name, uid: *uid }));
        }
        if waiting.len() == before {
            return waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn name(n: u32) -> String {
        format!("{n:032x}")
    }

    fn drop_in(folder: &Path, name: &str, mode: u32) {
        std::fs::write(folder.join(name), "x").unwrap();
        std::fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_plain_files_are_taken() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("spool/drop");
        prepare(&path, None).unwrap();
        prepare(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, FOLDER_MODE);
        let folder = Folder::open(&path).unwrap();
        drop_in(&path, &name(1), 0o660);
        drop_in(&path, &name(2), 0o666);
        drop_in(&path, &name(3), 0o660);
        std::fs::hard_link(path.join(name(3)), place.path().join("elsewhere")).unwrap();
        std::fs::write(place.path().join("secret"), "x").unwrap();
        symlink(place.path().join("secret"), path.join(name(4))).unwrap();
        std::fs::create_dir(path.join(name(5))).unwrap();
        nix::unistd::mkfifo(&path.join(name(6)), Mode::from_bits_truncate(0o660)).unwrap();
        drop_in(&path, "new-0123456789abcdef0123456789abcdef", 0o660);
        drop_in(&path, "core", 0o660);
        let found = folder.scan(&HashSet::new()).unwrap();
        assert_eq!((found.waiting.len(), found.strange, found.more), (6, 1, false));
        let taken: Vec<String> = found
            .waiting
            .iter()
            .filter(|one| folder.take(&one.name).is_ok())
            .map(|one| one.name.clone())
            .collect();
        assert_eq!(taken, [name(1)]);
        for n in [2, 3, 4, 5, 6] {
            assert!(
                matches!(folder.take(&name(n)), Err(TakeError::NotTaken(_))),
                "{n}"
            );
            let removed = matches!(folder.put_aside(&name(n)).unwrap(), Aside::Removed);
            assert_eq!(removed, [4, 6].contains(&n), "{n}");
        }
        assert!(matches!(folder.take(&name(7)), Err(TakeError::Gone)));
        let found = folder.scan(&HashSet::from([name(1)])).unwrap();
        assert!(found.waiting.is_empty(), "{found:?}");
        assert_eq!(std::fs::read(place.path().join("secret")).unwrap(), b"x");
    }

    #[test]
    fn a_folder_with_other_rights_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("drop");
        std::fs::create_dir(&path).unwrap();
        let error = prepare(&path, None).unwrap_err();
        assert!(error.message.contains("chmod 3733"), "{error}");
    }

    #[test]
    fn nobody_waits_for_all_of_another() {
        let names = |count: u32| (0..count).map(name).collect::<Vec<_>>();
        let waiting = in_turn(HashMap::from([(1, names(3)), (2, names(1)), (3, names(2))]));
        let users: Vec<u32> = waiting.iter().map(|one| one.uid).collect();
        assert_eq!(users, [1, 2, 3, 1, 3, 1]);
    }
}
