//! Owner and mode of a socket's file, set on the socket itself and never through a link.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Gid, Uid, fchownat};

/// Whose a socket becomes, and who may connect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    pub(crate) owner: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) mode: u32,
}

/// Gives the socket at `path` these rights: first the owner's, then the owner, then those of others. So nobody but the owner
/// before may use it too early, and root needs no right over files of others where only the owner may connect.
///
/// Root does this in folders that others may write to. What somebody puts in the socket's place, such as a link to another
/// file, is left as it is.
///
/// # Errors
///
/// What is there is no socket, or has another name beside this one; or the system refuses.
pub(crate) fn give(path: &Path, rights: Rights) -> io::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let held = open(path, flags, Mode::empty())?;
    let found = fstat(&held)?;
    let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
    if kind != SFlag::S_IFSOCK || found.st_nlink != 1 {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // The descriptor opens nothing, so its mode is set by its name: that leads to this very file.
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
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::unistd::{getegid, geteuid};

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
}
