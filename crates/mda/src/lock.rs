//! Locks of mailboxes, as Debian requires of all programs: `fcntl` on the mailbox, and a file `.lock` next to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::rights::Spool;
use crate::trouble::{Kind, Trouble};

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// An older lock file is stale.
const STALE: Duration = Duration::from_secs(300);

/// Until when to wait for a lock.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// This long from now.
    #[must_use]
    pub fn after(wait: Duration) -> Self {
        Self(Instant::now() + wait)
    }

    fn pause(self, what: &Path) -> Result<(), Trouble> {
        if Instant::now() >= self.0 {
            return Err(Trouble::new(
                Kind::Locked,
                format_args!("{} is locked by another program", what.display()),
            ));
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}

/// Waits until nobody else has an `fcntl` lock on the file. The lock ends when the file is closed.
///
/// # Errors
///
/// The time is up, or the file system has no locks.
pub fn lock(file: &File, path: &Path, deadline: Deadline) -> Result<(), Trouble> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    loop {
        match fcntl(file, FcntlArg::F_SETLK(&whole)) {
            Ok(_) => return Ok(()),
            Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => deadline.pause(path)?,
            Err(error) => {
                return Err(Trouble::io(
                    format_args!("cannot lock {}", path.display()),
                    &error.into(),
                ));
            }
        }
    }
}

/// A file `.lock` next to a mailbox. It is removed on drop.
#[derive(Debug)]
pub struct DotLock<'a> {
    path: PathBuf,
    spool: &'a Spool,
}

impl<'a> DotLock<'a> {
    /// Waits until it can be created. A stale one is removed.
    ///
    /// # Errors
    ///
    /// The time is up, or no file can be created in the folder.
    pub fn make(mailbox: &Path, spool: &'a Spool, deadline: Deadline) -> Result<Self, Trouble> {
        let mut name = mailbox.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        loop {
            let made = {
                let _entered = spool.enter()?;
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o644)
                    .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
                    .open(&path)
            };
            match made {
                Ok(mut file) => {
                    let lock = Self { path, spool };
                    // Programs that wait for it see by the process id whether its owner still exists.
                    file.write_all(std::process::id().to_string().as_bytes())
                        .map_err(|error| Trouble::io(lock.path.display(), &error))?;
                    return Ok(lock);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if is_stale(&path) {
                        let _entered = spool.enter()?;
                        // Another process may have been quicker.
                        let _ = fs::remove_file(&path);
                    }
                    deadline.pause(&path)?;
                }
                Err(error) => {
                    return Err(Trouble::io(
                        format_args!("cannot make {}", path.display()),
                        &error,
                    ));
                }
            }
        }
    }
}

impl Drop for DotLock<'_> {
    fn drop(&mut self) {
        if let Ok(_entered) = self.spool.enter() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The beginning of a lock file, which holds the process id. Anybody who may write there can write anything.
fn number_in(path: &Path) -> Option<String> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .ok()?;
    let mut text = String::new();
    if file.metadata().ok()?.is_file() {
        file.take(32).read_to_string(&mut text).ok()?;
    }
    Some(text)
}

/// Whether a lock file is stale: the process that it names is gone, or it is old.
fn is_stale(path: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else {
        return false;
    };
    let age = found
        .modified()
        .ok()
        .and_then(|then| SystemTime::now().duration_since(then).ok());
    let is_old = age.is_some_and(|age| age > STALE);
    let named = found.is_file().then(|| number_in(path)).flatten();
    let pid = named
        .and_then(|text| text.trim().parse::<i32>().ok())
        .filter(|pid| *pid > 0);
    let is_gone = pid.is_some_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH));
    is_old || is_gone
}

#[cfg(test)]
mod tests {
    use nix::unistd::getegid;

    use super::*;

    #[test]
    fn a_lock_file_is_waited_for_and_one_that_is_left_over_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = folder.path().join("ann");
        let spool = Spool::none(getegid());
        let lock_file = folder.path().join("ann.lock");
        let first = DotLock::make(&mailbox, &spool, Deadline::after(Duration::ZERO)).unwrap();
        assert!(lock_file.exists());
        let second = DotLock::make(&mailbox, &spool, Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(second.kind, Kind::Locked);
        assert!(second.text.contains("ann.lock is locked"), "{second}");
        drop(first);
        assert!(!lock_file.exists());
        // No process has the highest possible id.
        fs::write(&lock_file, i32::MAX.to_string()).unwrap();
        drop(DotLock::make(&mailbox, &spool, Deadline::after(Duration::from_secs(60))).unwrap());
        assert!(!lock_file.exists());
        let nowhere = DotLock::make(
            Path::new("/nonexistent/ann"),
            &spool,
            Deadline::after(Duration::ZERO),
        );
        assert_eq!(nowhere.unwrap_err().kind, Kind::Mailbox);
    }
}
