//! An account of the system, and how root becomes it.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, User, fchown, geteuid, initgroups, setgid, setgroups, setuid};

use crate::exit::{Exit, Failure};

/// An account of the system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Account {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// None where the system knows the number alone.
    pub(crate) name: Option<String>,
}

/// Which groups come along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Groups {
    /// The account's own group alone.
    Own,
    /// All that the account is in, as those that it has when it serves.
    All,
}

impl Account {
    /// The account with this number; `gid` stands in for its group where the system does not know it.
    pub(crate) fn of(uid: Uid, gid: Gid) -> Self {
        match User::from_uid(uid) {
            Ok(Some(user)) => Self::from(user),
            _ => Self { uid, gid, name: None },
        }
    }

    /// Gives a folder to the account, and nothing that somebody has put in its place.
    pub(crate) fn give_folder(&self, folder: &Path) -> io::Result<()> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let held = open(folder, flags, Mode::empty())?;
        Ok(fchown(&held, Some(self.uid), Some(self.gid))?)
    }

    /// Becomes the account, for good. Does nothing where the process is it already.
    ///
    /// # Errors
    ///
    /// The system refuses, or the rights could be got back.
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
