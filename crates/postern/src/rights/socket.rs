//! Unix sockets: created for their owner only, given permissions, connected to, and never through a link.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchownat, geteuid};
use socket2::{Domain, SockAddr, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1_024;

/// The owner of a socket, and who may connect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    pub(crate) owner: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) mode: u32,
}

/// Creates a socket to which only its owner can connect until it gets other permissions.
///
/// The file gets the socket's mode, so that the umask, which is shared by all threads, need not be changed.
///
/// # Errors
///
/// What the system says.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    fchmod(&socket, Mode::from_bits_truncate(0o600))?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Connects to the socket at `path`. Root only does so if the socket belongs to the folder's owner, who could otherwise make root
/// talk to another server through a link or hard link.
///
/// # Errors
///
/// What the system says, or that it is not such a socket.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    if !geteuid().is_root() {
        return UnixStream::connect(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let folder = open(folder, flags | OFlag::O_DIRECTORY, Mode::empty())?;
    let held = openat(&folder, name, flags | OFlag::O_NOFOLLOW, Mode::empty())?;
    let found = fstat(&held)?;
    if !is_only_socket(&found) || found.st_uid != fstat(&folder)?.st_uid {
        let text = "it is not a socket of the owner of its folder: remove it, and restart the server";
        return Err(io::Error::other(text));
    }
    UnixStream::connect(format!("/proc/self/fd/{}", held.as_raw_fd()))
}

/// Whether it is a socket that has only this name.
fn is_only_socket(found: &FileStat) -> bool {
    let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
    kind == SFlag::S_IFSOCK && found.st_nlink == 1
}

/// Gives the socket at `path` these permissions: first the owner's, then the owner, then those of others. So only the previous
/// owner could use it too early, and root needs no rights over others' files if only the owner may connect.
///
/// Root does this in folders that others may write to. Whatever somebody puts in the socket's place, such as a link to another
/// file, is not changed.
///
/// # Errors
///
/// It is not a socket, or has another name besides this one; or the system refuses.
pub(crate) fn give(path: &Path, rights: Rights) -> io::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let held = open(path, flags, Mode::empty())?;
    if !is_only_socket(&fstat(&held)?) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // The descriptor is `O_PATH`, so the mode is set through its name in /proc, which leads to this very file.
    let name = format!("/proc/self/fd/{}", held.as_raw_fd());
    let set = |mode: u32| fs::set_permissions(&name, fs::Permissions::from_mode(mode));
    set(rights.mode & 0o700)?;
    if rights.owner.is_some() || rights.group.is_some() {
        let (owner, group) = (rights.owner.map(Uid::from_raw), rights.group.map(Gid::from_raw));
        fchownat(&held, "", owner, group, AtFlags::AT_EMPTY_PATH)?;
    }
    if rights.mode & 0o077 == 0 {
        Ok(())
    } else {
        set(rights.mode)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown, lchown, symlink};

    use nix::unistd::getegid;

    use super::*;

    #[test]
    fn the_socket_gets_them_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let _other = UnixListener::bind(at("other")).unwrap();
        fs::hard_link(at("other"), at("twice")).unwrap();
        fs::write(at("shadow"), "x").unwrap();
        for name in ["shadow", "other"] {
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o640)).unwrap();
        }
        symlink(at("shadow"), at("link")).unwrap();
        symlink(at("other"), at("link to a socket")).unwrap();
        let rights = Rights {
            owner: Some(geteuid().as_raw()),
            group: Some(getegid().as_raw()),
            mode: 0o602,
        };
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        give(&at("socket"), rights).unwrap();
        assert_eq!(mode("socket"), 0o602);
        for name in ["link", "link to a socket", "shadow", "twice", "nothing"] {
            assert!(give(&at(name), rights).is_err(), "{name}");
        }
        assert_eq!((mode("shadow"), mode("other")), (0o640, 0o640), "as they were");
    }

    #[test]
    fn a_socket_is_its_owners_alone_whatever_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = bind(&path).unwrap();
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(
            mode() & 0o177,
            0,
            "nobody else, and never to be run: {:03o}",
            mode()
        );
        connect(&path).unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.accept().unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn root_talks_to_the_owner_of_the_folder_alone() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["theirs", "ours", "twice"] {
            bind(&at(name)).unwrap();
        }
        let real = UnixListener::bind(at("real")).unwrap();
        fs::hard_link(at("twice"), at("second name")).unwrap();
        symlink(at("ours"), at("link")).unwrap();
        fs::write(at("file"), "x").unwrap();
        const NOBODY: Option<u32> = Some(65_534);
        for name in ["theirs", "twice", "real"] {
            chown(at(name), NOBODY, None).unwrap();
        }
        lchown(at("link"), NOBODY, None).unwrap();
        chown(folder.path(), NOBODY, None).unwrap();
        connect(&at("real")).unwrap();
        drop(real);
        for name in ["ours", "second name", "link", "file"] {
            let error = connect(&at(name)).unwrap_err();
            assert!(
                error.to_string().contains("not a socket of the owner"),
                "{name}: {error}"
            );
        }
        let kind = |name: &str| connect(&at(name)).unwrap_err().kind();
        assert_eq!(kind("theirs"), io::ErrorKind::ConnectionRefused);
        assert_eq!(kind("nothing"), io::ErrorKind::NotFound);
    }
}
