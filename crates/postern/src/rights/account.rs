//! A system account, and how root becomes it.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, User, fchown, geteuid, initgroups, setgid, setgroups, setuid};

use crate::exit::{Exit, Failure};

/// A system account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Account {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// None if the system only knows the uid.
    pub(crate) name: Option<String>,
}

/// Which groups to take on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Groups {
    /// Only the account's primary group.
    Own,
    /// All groups of the account, as when serving.
    All,
}

impl Account {
    /// The account with this uid; `gid` is used as its group if the system does not know it.
    pub(crate) fn of(uid: Uid, gid: Gid) -> Self {
        match User::from_uid(uid) {
            Ok(Some(user)) => Self::from(user),
            _ => Self { uid, gid, name: None },
        }
    }

    /// Changes a folder's owner to the account, but not anything put in its place.
    pub(crate) fn give_folder(&self, folder: &Path) -> io::Result<()> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let held = open(folder, flags, Mode::empty())?;
        Ok(fchown(&held, Some(self.uid), Some(self.gid))?)
    }

    /// Becomes the account permanently. Does nothing if the process already runs as it.
    ///
    /// # Errors
    ///
    /// The system refuses, or the privileges could be regained.
    pub(crate) fn become_for_good(&self, groups: Groups) -> Result<(), Failure> {
        if geteuid() == self.uid {
            return Ok(());
        }
        let failed = |error: nix::Error| {
            Failure::from_error(Exit::NoPermission, &format!("cannot become {self}"), &error)
        };
        match (groups, &self.name) {
            (Groups::All, Some(name)) => {
                let name = CString::new(name.as_str())
                    .map_err(|error| Failure::from_error(Exit::System, "cannot drop privileges", &error))?;
                initgroups(&name, self.gid).map_err(failed)?;
            }
            _ => setgroups(&[self.gid]).map_err(failed)?,
        }
        setgid(self.gid).map_err(failed)?;
        setuid(self.uid).map_err(failed)?;
        if setuid(Uid::from_raw(0)).is_ok() {
            return Err(Failure::new(
                Exit::Software,
                "privileges were dropped and came back",
            ));
        }
        Ok(())
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            uid: user.uid,
            gid: user.gid,
            name: Some(user.name),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "uid {}", self.uid),
        }
    }
}
