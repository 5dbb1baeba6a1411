//! A Maildir: a file for each message, written in `tmp`, synced, renamed into `new`, and the folder synced.
//!
//! The folder may be reached through a link, since users put their mail on other disks, but it must be the user's own, and
//! nothing in it may be a link: everything is opened relative to the open folder.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::sys::statvfs::statvfs;
use nix::unistd::Uid;

use crate::content::Content;
use crate::trouble::{Kind, Trouble};

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Writes a message into a Maildir that belongs to `owner`, as the file `name`; it is on disk when this returns. The folder is
/// created if missing.
///
/// # Errors
///
/// What prevents this, as text.
pub fn deliver(
    folder: &Path,
    owner: Uid,
    name: &str,
    content: &Content,
    min_free: u64,
) -> Result<(), Trouble> {
    let shown = folder.display();
    let failed = |error: io::Error| Trouble::io(&shown, &error);
    make(folder).map_err(failed)?;
    let maildir = File::from(open(folder, FOLDER, Mode::empty()).map_err(|error| failed(error.into()))?);
    check_owner(&maildir, owner, folder)?;
    let part = |part: &str| -> Result<File, Trouble> {
        let path = folder.join(part);
        let opened = open_part(&maildir, part).map_err(|error| Trouble::io(path.display(), &error))?;
        check_owner(&opened, owner, &path)?;
        Ok(opened)
    };
    let (tmp, new, _) = (part("tmp")?, part("new")?, part("cur")?);
    room(folder, content.size().map_err(failed)?, min_free)?;
    write(&tmp, name, content).map_err(failed)?;
    renameat(&tmp, name, &new, name).map_err(|error| failed(error.into()))?;
    new.sync_all().map_err(failed)
}

/// Creates the folder, and its parent, if missing.
fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).recursive(true).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Opens one of the three folders, created if missing, and not a link.
fn open_part(maildir: &File, part: &str) -> io::Result<File> {
    let once = || openat(maildir, part, FOLDER | OFlag::O_NOFOLLOW, Mode::empty());
    match once() {
        Ok(opened) => Ok(opened.into()),
        Err(nix::Error::ENOENT) => {
            match mkdirat(maildir, part, Mode::S_IRWXU) {
                Ok(()) => maildir.sync_all()?,
                Err(nix::Error::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(once()?.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn check_owner(folder: &File, owner: Uid, path: &Path) -> Result<(), Trouble> {
    let found = folder
        .metadata()
        .map_err(|error| Trouble::io(path.display(), &error))?;
    if found.uid() == owner.as_raw() {
        return Ok(());
    }
    let text = format!("{} belongs to another user: chown it", path.display());
    Err(Trouble::new(Kind::Mailbox, text))
}

/// Creates a new file. An existing one is the rest of an interrupted attempt, or something that the user has put there, such as a
/// pipe, which would block: it is removed.
fn fresh(tmp: &File, name: &str) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let once = || openat(tmp.as_fd(), name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
    match once() {
        Err(nix::Error::EEXIST) => {
            nix::unistd::unlinkat(tmp, name, nix::unistd::UnlinkatFlags::NoRemoveDir)?;
            Ok(once()?.into())
        }
        made => Ok(made?.into()),
    }
}

fn write(tmp: &File, name: &str, content: &Content) -> io::Result<()> {
    let mut file = fresh(tmp, name)?;
    let written = copy(content, &mut file).and_then(|()| file.sync_data());
    if written.is_err() {
        // Half a message, which takes space from others.
        let _ = nix::unistd::unlinkat(tmp, name, nix::unistd::UnlinkatFlags::NoRemoveDir);
    }
    written
}

fn copy(content: &Content, file: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut reader = content.reader();
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            count => file.write_all(&buffer[..count])?,
        }
    }
}

/// Whether the disk has room for this many octets, and then still enough free space. One that does not report its free space is
/// assumed to have room.
pub(crate) fn room(folder: &Path, size: u64, min_free: u64) -> Result<(), Trouble> {
    let Some(disk) = statvfs(folder).ok().filter(|disk| disk.blocks() > 0) else {
        return Ok(());
    };
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    match free < size.saturating_add(min_free) {
        true => Err(Trouble::new(
            Kind::DiskFull,
            format_args!(
                "insufficient disk space for {}: {free} octets are free",
                folder.display()
            ),
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::unistd::geteuid;

    use super::*;

    fn content(text: &str) -> Content {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Content::new(file, 2)
    }

    #[test]
    fn a_message_is_a_file_in_new_and_a_repeated_one_the_same() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("mail/Maildir");
        for _ in 0..2 {
            deliver(&folder, geteuid(), "1.Q2R3.host", &content("--S: 1\n\nx\n"), 0).unwrap();
        }
        let names: Vec<_> = fs::read_dir(folder.join("new")).unwrap().flatten().collect();
        assert_eq!(names.len(), 1);
        assert_eq!(fs::read_to_string(names[0].path()).unwrap(), "S: 1\n\nx\n");
        assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&names[0].path())), (0o700, 0o600));
    }

    #[test]
    fn the_folder_has_to_be_the_users() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("Maildir");
        let another = Uid::from_raw(geteuid().as_raw() + 1);
        let trouble = deliver(&folder, another, "x", &content("--x"), 0).unwrap_err();
        assert!(trouble.text.contains("another user"), "{trouble}");
        // A link to the folder is up to the user; one within it is not followed.
        let elsewhere = home.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::remove_dir(&folder).unwrap();
        symlink(&elsewhere, &folder).unwrap();
        deliver(&folder, geteuid(), "x", &content("--x"), 0).unwrap();
        assert!(elsewhere.join("new/x").exists());
        fs::remove_file(elsewhere.join("new/x")).unwrap();
        fs::remove_dir(elsewhere.join("new")).unwrap();
        symlink(home.path(), elsewhere.join("new")).unwrap();
        let trouble = deliver(&folder, geteuid(), "x", &content("--x"), 0).unwrap_err();
        assert_eq!(trouble.kind, Kind::Mailbox, "{trouble}");
        assert!(!home.path().join("x").exists());
    }

    #[test]
    fn what_lies_in_the_way_is_not_written_to() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("Maildir");
        deliver(&folder, geteuid(), "first", &content("--x"), 0).unwrap();
        let in_the_way = folder.join("tmp/x");
        let precious = home.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        // Nobody reads from the pipe: opening it would block for ever.
        let make: [(&str, &dyn Fn()); 4] = [
            ("a pipe", &|| {
                nix::unistd::mkfifo(&in_the_way, Mode::S_IRWXU).unwrap()
            }),
            ("a link", &|| symlink(&precious, &in_the_way).unwrap()),
            ("a second name", &|| {
                fs::hard_link(&precious, &in_the_way).unwrap()
            }),
            ("half a message", &|| {
                fs::write(&in_the_way, "longer than what comes").unwrap()
            }),
        ];
        for (shows, make) in make {
            make();
            deliver(&folder, geteuid(), "x", &content("--S: 1\n\nx\n"), 0).unwrap();
            let arrived = fs::read_to_string(folder.join("new/x")).unwrap();
            assert_eq!(arrived, "S: 1\n\nx\n", "{shows}");
            assert!(
                fs::symlink_metadata(folder.join("new/x")).unwrap().is_file(),
                "{shows}"
            );
        }
        assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
        fs::create_dir(&in_the_way).unwrap();
        let trouble = deliver(&folder, geteuid(), "x", &content("--x"), 0).unwrap_err();
        assert_eq!(trouble.kind, Kind::Mailbox, "{trouble}");
    }

    #[test]
    fn a_full_disk_is_told() {
        let home = tempfile::tempdir().unwrap();
        let trouble = deliver(home.path(), geteuid(), "x", &content("--x"), u64::MAX / 2).unwrap_err();
        assert_eq!(trouble.kind, Kind::DiskFull, "{trouble}");
    }
}
