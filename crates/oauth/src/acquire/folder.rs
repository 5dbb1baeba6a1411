//! The folder of tokens, held open: every file in it is reached through this handle, so that someone who may rename entries in
//! the state directory cannot redirect root when it stores a token.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, unlinkat};

/// The open folder. New files in it belong to the owner of its parent folder.
pub(super) struct Folder {
    handle: File,
    /// User and group.
    owner: (u32, u32),
}

impl Folder {
    /// Opens the folder, or creates it, accessible only by its owner. A symbolic link in its place is refused.
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
                io::Error::other("a symbolic link is in place of its folder, which is refused")
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

    /// Whether a file of this name exists.
    pub(super) fn holds(&self, name: &str) -> io::Result<bool> {
        match fstatat(&self.handle, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file for reading; follows no link, and does not wait on a FIFO.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file: OwnedFd = openat(&self.handle, name, flags, Mode::empty())?;
        Ok(file.into())
    }

    /// Writes a file that only its owner can access, whole or not at all, replacing any old one. It is then on stable storage.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.with_draft(name, content, |draft| {
            renameat(&self.handle, draft, &self.handle, name)
        })
    }

    /// The same, but an existing file is kept.
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

    /// Root may do this for the server, which must then own the result.
    fn hand_over(&self, file: &File) -> io::Result<()> {
        let found = file.metadata()?;
        if (found.uid(), found.gid()) == self.owner {
            return Ok(());
        }
        fchown(file, Some(self.owner.0), Some(self.owner.1))
    }
}
