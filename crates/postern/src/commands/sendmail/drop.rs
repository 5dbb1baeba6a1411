//! Puts a message into the drop folder, whole and synced, or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::syncfs;
use postern_submit::custody::{FILE_MODE, UNFINISHED};
use postern_submit::{Handover, Message, dropped};

/// Writes a message. When this returns, it is on stable storage under a name that the server picks up.
///
/// # Errors
///
/// It could not be written, and nothing was left behind.
pub(super) fn write(handover: &Handover, message: &Message, folder: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(folder)?;
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let name = format!("{:032x}", rand::random::<u128>());
    let unfinished = folder.join(format!("{UNFINISHED}{name}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
        .open(&unfinished)?;
    let written = fill(&mut file, handover, message, found.gid())
        .and_then(|()| std::fs::rename(&unfinished, folder.join(&name)));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    // Only the server may read the folder, so nobody else can sync just the folder.
    if let Err(error) = syncfs(&file) {
        let _ = std::fs::remove_file(folder.join(&name));
        return Err(error.into());
    }
    Ok(())
}

fn fill(file: &mut File, handover: &Handover, message: &Message, group: u32) -> io::Result<()> {
    if file.metadata()?.gid() != group {
        return Err(io::Error::other(
            "what is made in it does not get its group (its rights should be 3733)",
        ));
    }
    let header = message.header.octets();
    let size = header.len() as u64 + 2 + message.body.len() as u64;
    file.write_all(dropped::envelope(handover, size).as_bytes())?;
    file.write_all(header)?;
    file.write_all(b"\r\n")?;
    file.write_all(&message.body)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_submit::custody::{FOLDER_MODE, is_message};

    #[test]
    fn a_whole_message_or_none() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("drop");
        let handover = Handover {
            recipients: vec!["bea".into()],
            ..Handover::default()
        };
        let message = Message {
            body: b"Hello!\r\n".to_vec(),
            ..Message::default()
        };
        assert!(write(&handover, &message, &folder).is_err(), "no folder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(FOLDER_MODE)).unwrap();
        write(&handover, &message, &folder).unwrap();
        let names: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(names.len() == 1 && is_message(&names[0]), "{names:?}");
        let file = folder.join(&names[0]);
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, FILE_MODE);
        let octets = std::fs::read(&file).unwrap();
        let parsed = dropped::parse(&octets, octets.len() as u64).unwrap();
        assert_eq!((parsed.handover, parsed.size), (handover, 10));
    }
}
