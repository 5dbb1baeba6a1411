//! The folder into which an import writes. It is opened once, and its content is only reached through the open handle: no link in
//! it leads anywhere else.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, User, unlinkat};

use crate::exit::Failure;

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// An open folder.
pub(super) struct Folder {
    file: File,
    path: PathBuf,
}

/// Creates the output folder, and its parents.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(|error| Failure::io(&format!("cannot make {}", folder.display()), &error))
}

impl Folder {
    /// Opens the given folder, which may be a link.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let opened = open(path, FOLDER, Mode::empty());
        Self::of(opened.map(File::from), path.to_owned())
    }

    /// Opens a folder in it, created with this mode if missing. A link is refused.
    pub(super) fn folder(&self, name: &str, mode: u32) -> Result<Self, Failure> {
        let once = || openat(&self.file, name, FOLDER | OFlag::O_NOFOLLOW, Mode::empty());
        let opened = match once() {
            Err(nix::Error::ENOENT) => {
                mkdirat(&self.file, name, Mode::from_bits_truncate(mode)).and_then(|()| once())
            }
            opened => opened,
        };
        Self::of(opened.map(File::from), self.path.join(name))
    }

    fn of(opened: nix::Result<File>, path: PathBuf) -> Result<Self, Failure> {
        match opened {
            Ok(file) => Ok(Self { file, path }),
            Err(error) => {
                let task = match path.is_symlink() {
                    true => format!(
                        "cannot write into {}, which is a link and is not followed; remove it",
                        path.display()
                    ),
                    false => format!("cannot open {}", path.display()),
                };
                Err(Failure::io(&task, &error.into()))
            }
        }
    }

    /// Lets the server read a folder that still belongs to root, so that others cannot replace its content.
    pub(super) fn open_to_group(&self, account: &User) -> Result<(), Failure> {
        fchown(&self.file, Some(0), Some(account.gid.as_raw()))
            .and_then(|()| self.file.set_permissions(Permissions::from_mode(0o750)))
            .map_err(|error| {
                let task = format!("cannot open {} to {}", self.path.display(), account.name);
                Failure::io(&task, &error)
            })
    }

    /// Writes a file in it. A link with that name is replaced, never followed.
    pub(super) fn put(
        &self,
        name: &str,
        text: &str,
        readers: Readers,
        account: Option<&User>,
    ) -> Result<(), Failure> {
        self.write(name, text, readers, account).map_err(|error| {
            let task = format!("cannot write {}", self.path.join(name).display());
            Failure::io(&task, &error)
        })
    }

    fn write(&self, name: &str, text: &str, readers: Readers, account: Option<&User>) -> io::Result<()> {
        match unlinkat(&self.file, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(readers.mode());
        let mut file = File::from(openat(&self.file, name, flags, mode)?);
        if let Some((user, group)) = account.and_then(|account| readers.owner(account)) {
            fchown(&file, Some(user), Some(group))?;
        }
        file.write_all(text.as_bytes())
    }
}

/// Who may read a file.
#[derive(Clone, Copy)]
pub(super) enum Readers {
    /// Whoever runs the import.
    Root,
    /// Only the server, which reads it again on reload.
    Server,
    /// Also the server's group.
    Group,
    All,
}

impl Readers {
    pub(super) fn of(secret: bool) -> Self {
        if secret { Self::Server } else { Self::All }
    }

    fn mode(self) -> u32 {
        match self {
            Self::Root | Self::Server => 0o600,
            Self::Group => 0o640,
            Self::All => 0o644,
        }
    }

    /// The user to whom root gives the file.
    fn owner(self, account: &User) -> Option<(u32, u32)> {
        match self {
            Self::Server => Some((account.uid.as_raw(), account.gid.as_raw())),
            Self::Group => Some((0, account.gid.as_raw())),
            Self::Root | Self::All => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_nowhere() {
        let base = std::env::temp_dir().join(format!("postern-folder-{}", rand::random::<u64>()));
        let (output, elsewhere) = (base.join("output"), base.join("elsewhere"));
        make_folder(&output).unwrap();
        make_folder(&elsewhere).unwrap();
        fs::write(elsewhere.join("file"), "precious").unwrap();
        symlink(&elsewhere, output.join("tables")).unwrap();
        symlink(elsewhere.join("file"), output.join("postern.toml")).unwrap();
        let folder = Folder::open(&output).unwrap();
        assert!(folder.folder("tables", 0o755).is_err());
        folder.put("postern.toml", "new", Readers::Group, None).unwrap();
        let secrets = folder.folder("secrets", 0o700).unwrap();
        secrets.put("a", "secret", Readers::Server, None).unwrap();
        secrets.put("a", "another", Readers::Server, None).unwrap();
        assert_eq!(fs::read_to_string(elsewhere.join("file")).unwrap(), "precious");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(output.join("postern.toml")).unwrap(), "new");
        assert_eq!(fs::read_to_string(output.join("secrets/a")).unwrap(), "another");
        let mode = |path: &str| fs::metadata(output.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("secrets"), mode("secrets/a")), (0o700, 0o600));
        // The folder itself may be a link.
        let linked = base.join("linked");
        symlink(&output, &linked).unwrap();
        Folder::open(&linked)
            .unwrap()
            .put("b", "x", Readers::All, None)
            .unwrap();
        assert!(output.join("b").exists());
        fs::remove_dir_all(&base).unwrap();
    }
}
