//! The folder of tokens, held open: every file in it is reached through this handle, so that who may rename in the state directory
//! cannot lead a root that keeps a token to another place.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, unlinkat};

/// The folder, open. New files in it belong to who owns the folder above.
pub(super) struct Folder {
    handle: File,
    /// User and group.
    owner: (u32, u32),
}

impl Folder {
    /// Opens the folder, and makes it for its owner alone if it is missing. A symbolic link in its place is refused.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        let above = fs::metadata(path.parent().unwrap_or(path))?;
        let made = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        let opened = File::options()
            .read(true)
            .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
            .open(path);
        let handle = opened.map_err(|error| {
            if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
                io::Error::other("a symbolic link stands in place of its folder, which is refused")
            } else {
                error
            }
        })?;
        let folder = Self {
            handle,
            owner: (above.uid(), above.gid()),
        };
        if made {
            folder.hand_over(&folder.handle)?;
        }
        Ok(folder)
    }

    /// Whether there is something of this name.
    pub(super) fn holds(&self, name: &str) -> io::Result<bool> {
        match fstatat(&self.handle, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file to read it; no link is followed, and no pipe waited for.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file: OwnedFd = openat(&self.handle, name, flags, Mode::empty())?;
        Ok(file.into())
    }

    /// Writes a file for its owner alone, whole or not at all, in place of what was there. It is on stable storage then.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.with_draft(name, content, |draft| {
            renameat(&self.handle, draft, &self.handle, name)
        })
    }

    /// The same, but what is there already stays.
    pub(super) fn publish(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.with_draft(name, content, |draft| {
            let linked = linkat(&self.handle, draft, &self.handle, name, LinkatFlags::empty());
            match linked {
                Ok(()) | Err(Errno::EEXIST) => unlinkat(&self.handle, draft, UnlinkatFlags::NoRemoveDir),
                Err(error) => Err(error),
            }
        })
    }

    fn with_draft(
        &self,
        name: &str,
        content: &[u8],
        finish: impl FnOnce(&str) -> Result<(), Errno>,
    ) -> io::Result<()> {
        let draft = format!("{name}.{:08x}.draft", rand::random::<u32>());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file = openat(&self.handle, draft.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut file = File::from(file);
        let written = (|| {
            file.write_all(content)?;
            self.hand_over(&file)?;
            file.sync_all()?;
            Ok(finish(&draft)?)
        })();
        if written.is_err() {
            let _ = unlinkat(&self.handle, draft.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        written.and_then(|()| self.handle.sync_all())
    }

    /// Root may do this for the server, which then has to own what comes of it.
    fn hand_over(&self, file: &File) -> io::Result<()> {
        let found = file.metadata()?;
        if (found.uid(), found.gid()) == self.owner {
            return Ok(());
        }
        fchown(file, Some(self.owner.0), Some(self.owner.1))
    }
}
