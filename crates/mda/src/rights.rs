//! How the process of one delivery becomes the user.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setegid, setgroups, setresgid, setresuid, setuid};
use postern_policy::system_user;

use crate::trouble::{Kind, Trouble};

/// A local user with a mailbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// The name, as in the name service.
    pub name: String,
    /// The user id.
    pub uid: Uid,
    /// The user's own group.
    pub gid: Gid,
    /// The home folder.
    pub home: PathBuf,
    /// The shell.
    pub shell: PathBuf,
}

impl Account {
    /// The user with this name, from the name service; `None` if there is none, or one without a mailbox.
    ///
    /// # Errors
    ///
    /// The name service cannot be asked.
    pub fn find(name: &str, min_uid: u32) -> Result<Option<Self>, Trouble> {
        for name in system_user::names(name) {
            let found = User::from_name(&name).map_err(|error| {
                Trouble::new(
                    Kind::Helper,
                    format_args!("the name service cannot be asked for {name}: {error}"),
                )
            })?;
            if let Some(user) = found {
                return Ok(system_user::has_mailbox(user.uid.as_raw(), min_uid).then(|| user.into()));
            }
        }
        Ok(None)
    }

    /// Becomes the user, with all of the user's groups and nothing else. `spool` is the group that may create files in the folder
    /// of mailboxes; it is kept for [`Spool::enter`]. Does nothing if the process already is the user.
    ///
    /// # Errors
    ///
    /// The system refuses, or the earlier permissions could be regained.
    pub fn become_for_good(&self, spool: Option<Gid>) -> Result<Spool, Trouble> {
        umask(Mode::from_bits_truncate(0o077));
        if geteuid() == self.uid && !geteuid().is_root() {
            return Ok(Spool {
                own: self.gid,
                group: None,
            });
        }
        let failed = |error: &dyn std::error::Error| self.failed(error);
        let name = CString::new(self.name.as_str()).map_err(|error| failed(&error))?;
        initgroups(&name, self.gid).map_err(|error| failed(&error))?;
        self.give_up_others(spool.unwrap_or(self.gid))?;
        Ok(Spool {
            own: self.gid,
            group: spool.filter(|group| *group != self.gid),
        })
    }

    /// The same without the user's other groups: only with [`gid`](Self::gid).
    ///
    /// # Errors
    ///
    /// The system refuses, or the earlier permissions could be regained.
    pub fn become_alone(&self) -> Result<(), Trouble> {
        umask(Mode::from_bits_truncate(0o077));
        setgroups(&[self.gid]).map_err(|error| self.failed(&error))?;
        self.give_up_others(self.gid)
    }

    /// Becomes the user while keeping this group as the saved one, and makes sure that no other permissions can be regained.
    fn give_up_others(&self, aside: Gid) -> Result<(), Trouble> {
        setresgid(self.gid, self.gid, aside).map_err(|error| self.failed(&error))?;
        setresuid(self.uid, self.uid, self.uid).map_err(|error| self.failed(&error))?;
        if geteuid() != self.uid || setuid(Uid::from_raw(0)).is_ok() {
            return Err(Trouble::new(Kind::Helper, "rights were given up and came back"));
        }
        Ok(())
    }

    fn failed(&self, error: &dyn std::error::Error) -> Trouble {
        Trouble::new(
            Kind::Helper,
            format_args!(
                "cannot become {}: {error}: the helper has to be started by root",
                self.name
            ),
        )
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
            home: user.dir,
            shell: user.shell,
        }
    }
}

/// The group of the folder of mailboxes, kept as the saved group.
#[derive(Debug)]
pub struct Spool {
    own: Gid,
    group: Option<Gid>,
}

impl Spool {
    /// No group: for mailboxes in home folders.
    #[must_use]
    pub const fn none(own: Gid) -> Self {
        Self { own, group: None }
    }

    /// Takes the group's permissions until the guard is dropped.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn enter(&self) -> Result<Entered<'_>, Trouble> {
        if let Some(group) = self.group {
            setegid(group).map_err(|error| {
                Trouble::new(
                    Kind::Helper,
                    format_args!("cannot use the group of the mail folder: {error}"),
                )
            })?;
        }
        Ok(Entered(self))
    }

    /// Gives up the group for good: programs must not have it.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn give_up(self) -> Result<(), Trouble> {
        if self.group.is_some() {
            setresgid(self.own, self.own, self.own).map_err(|error| {
                Trouble::new(
                    Kind::Helper,
                    format_args!("cannot give up the group of the mail folder: {error}"),
                )
            })?;
        }
        Ok(())
    }
}

/// The permissions of the folder's group are in effect.
#[derive(Debug)]
pub struct Entered<'a>(&'a Spool);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.0.group.is_some() && setegid(self.0.own).is_err() {
            // Nothing may go on with permissions that are not the user's.
            std::process::abort();
        }
    }
}

/// The group that may create files in the folder of mailboxes: in Debian, `root:mail` with mode 2775. `None` if the folder is not
/// root's, the group may not write to it, or everybody may.
#[must_use]
pub fn spool_group(owner: u32, group: u32, mode: u32) -> Option<Gid> {
    (owner == 0 && group != 0 && mode & 0o022 == 0o020).then(|| Gid::from_raw(group))
}

/// The group of the folder that a mailbox is in.
#[must_use]
pub fn spool_group_of(mailbox: &Path) -> Option<Gid> {
    use std::os::unix::fs::MetadataExt as _;
    let folder = std::fs::symlink_metadata(mailbox.parent()?).ok()?;
    // `/var/spool/mail` is often a link of root's to `/var/mail`.
    let folder = match folder.is_symlink() && folder.uid() == 0 {
        true => std::fs::metadata(mailbox.parent()?).ok()?,
        false => folder,
    };
    folder
        .is_dir()
        .then(|| spool_group(folder.uid(), folder.gid(), folder.mode()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_group_is_lent() {
        #[rustfmt::skip]
        let cases = [
            ("Debian's",                0,     8, 0o42775, Some(8)),
            ("for all, as it once was", 0,     8, 0o41777, None),
            ("nobody but root",         0,     8, 0o40755, None),
            ("a user's folder",         1_000, 8, 0o42775, None),
            ("root's own group",        0,     0, 0o42775, None),
        ];
        for (shows, owner, group, mode, want) in cases {
            assert_eq!(
                spool_group(owner, group, mode),
                want.map(Gid::from_raw),
                "{shows}"
            );
        }
    }
}
