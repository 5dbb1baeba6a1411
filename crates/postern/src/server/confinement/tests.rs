//! What a compromised server can no longer do: tried from threads that have given it up.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::kill;
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::{Pid, chroot, mkfifo, sethostname};
use socket2::{Domain, Socket, Type};

use super::*;

/// Runs in a separate thread, so that only that thread is restricted.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

fn is_denied<T>(result: io::Result<T>) -> bool {
    let code = result.err().and_then(|error| error.raw_os_error());
    matches!(code.map(Errno::from_raw), Some(Errno::EACCES | Errno::EPERM))
}

#[test]
fn files_elsewhere_are_closed() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (read, elsewhere) = (there.path().join("read"), there.path().join("elsewhere"));
    for folder in [
        &read,
        &elsewhere,
        &here.path().join("tmp"),
        &here.path().join("new"),
    ] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
    }
    let neighbour = UnixListener::bind(elsewhere.join("socket")).unwrap();
    let paths = Paths {
        read: vec![read.clone()],
        write: vec![here.path().to_owned()],
    };
    alone(|| {
        let granted = match files::restrict(&paths) {
            Ok(granted) => granted,
            Err(why) if why.contains("has no Landlock") => return eprintln!("not tried: {why}"),
            Err(why) => panic!("{why}"),
        };
        let at = |name: &str| here.path().join(name);
        // What the server must do.
        fs::write(at("tmp/mail"), "x").unwrap();
        fs::rename(at("tmp/mail"), at("new/mail")).unwrap();
        fs::hard_link(at("new/mail"), at("tmp/again")).unwrap();
        fs::remove_file(at("tmp/again")).unwrap();
        fs::create_dir_all(at("a/b")).unwrap();
        crate::rights::bind(&at("socket")).unwrap();
        fs::read(read.join("file")).unwrap();
        fs::read("/etc/passwd").unwrap();
        // A filter's socket may be anywhere, and be added by a reload.
        UnixStream::connect(elsewhere.join("socket")).unwrap();
        drop(neighbour);
        fs::write("/dev/null", "x").unwrap();
        // What an attacker would like to do.
        assert!(is_denied(fs::read(elsewhere.join("file"))), "read elsewhere");
        assert!(
            is_denied(fs::write(read.join("file"), "y")),
            "change what is only read"
        );
        assert!(
            is_denied(fs::write(read.join("another"), "y")),
            "make a file there"
        );
        assert!(
            is_denied(fs::write("/etc/postern-was-here", "y")),
            "write to /etc"
        );
        assert!(
            is_denied(fs::read_dir("/root").map(drop)),
            "look at what root keeps"
        );
        assert!(is_denied(fs::read_dir("/home").map(drop)), "look at home folders");
        assert!(is_denied(symlink("/etc/shadow", at("link"))), "plant a link");
        assert!(
            is_denied(mkfifo(&at("fifo"), Mode::S_IRWXU).map_err(Into::into)),
            "plant a pipe"
        );
        assert!(
            fs::hard_link(read.join("file"), at("twice")).is_err(),
            "bring a file in by a second name"
        );
        assert!(is_denied(Command::new("/bin/true").status()), "run a program");
        if granted.by() == "Landlock" {
            assert_eq!(
                kill(Pid::parent(), None),
                Err(Errno::EPERM),
                "signal another process"
            );
        }
        // And the error on a reload.
        assert!(granted.beyond(&paths).is_empty());
        let more = Paths {
            read: vec![elsewhere.clone(), read.join("below")],
            write: vec![read.clone(), here.path().join("new/folder")],
        };
        let mut want = [elsewhere.clone(), read.clone()];
        want.sort();
        assert_eq!(granted.beyond(&more), want);
    });
    assert!(
        fs::read(elsewhere.join("file")).is_ok(),
        "other threads have not given it up"
    );
}

#[test]
fn calls_for_administrators_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    alone(|| {
        match syscalls::restrict(false) {
            Ok(()) => {}
            Err(why) if why.contains("no filter for this kind") => return eprintln!("not tried: {why}"),
            Err(why) => panic!("{why}"),
        }
        // What the server must do.
        Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        std::thread::spawn(|| fs::read("/etc/passwd").unwrap())
            .join()
            .unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        // What an attacker would like to do.
        assert!(is_denied(Command::new("/bin/true").status()), "run a program");
        assert!(
            memfd_create(c"x", MFdFlags::empty()).is_err(),
            "make one in memory"
        );
        let lent = fs::Permissions::from_mode(0o4755);
        assert!(
            is_denied(fs::set_permissions(&file, lent)),
            "lend its rights to a file"
        );
        for (kind, what) in [
            (38, "the kernel's cryptography"),
            (17, "raw packets"),
            (40, "the host of this machine"),
        ] {
            let socket = Socket::new(Domain::from(kind), Type::DGRAM, None);
            assert_eq!(
                socket.unwrap_err().raw_os_error(),
                Some(Errno::EPERM as i32),
                "{what}"
            );
        }
        let refused = Err(Errno::EPERM);
        assert_eq!(chroot("/"), refused);
        assert_eq!(sethostname("taken"), refused);
        let device = mknod(&folder.path().join("null"), SFlag::S_IFCHR, Mode::S_IRWXU, 0x103);
        assert_eq!(device, refused, "a device");
    });
    assert!(
        Command::new("/bin/true").status().is_ok(),
        "other threads have not given it up"
    );
}
