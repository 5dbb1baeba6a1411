//! Space on the disks of mailboxes: it is reserved for each copy before it is written, so that all copies being written together
//! leave free what the disk must keep.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::statvfs::statvfs;
use parking_lot::Mutex;
use postern_policy::room::{self, RoomSettings, Taken};

/// The block size of a file system in octets; also added to each copy for its directory entry.
const BLOCK: u64 = 4_096;

/// What is reserved on each device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage(Arc<Mutex<HashMap<u64, u64>>>);

/// Space for one copy, until dropped: when the copy is on disk, or given up.
#[derive(Debug)]
pub(crate) struct Promise {
    storage: Storage,
    device: u64,
    octets: u64,
}

impl Storage {
    /// Reserves space for a copy of `size` octets below `folder`, which need not exist yet. Blocking.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::StorageFull`] if fewer than `min_free` octets would be left. A file system that does not report its free
    /// space is assumed to have room.
    pub(crate) fn promise(&self, folder: &Path, size: u64, min_free: u64) -> io::Result<Promise> {
        let (place, device) = existing(folder)?;
        // A file system without a size, such as some FUSE ones, reports nothing useful.
        let free = statvfs(&place).ok().filter(|disk| disk.blocks() > 0);
        let free = free.map(|disk| disk.blocks_available().saturating_mul(disk.fragment_size()));
        let octets = size.next_multiple_of(BLOCK).saturating_add(BLOCK);
        let mut promised = self.0.lock();
        let taken = Taken {
            disk: promised.get(&device).copied().unwrap_or_default(),
            ..Taken::default()
        };
        let settings = RoomSettings {
            min_free,
            ..RoomSettings::default()
        };
        room::disk(octets, false, free, &taken, &settings).map_err(|refusal| {
            io::Error::new(
                io::ErrorKind::StorageFull,
                format!("insufficient disk space: {refusal}"),
            )
        })?;
        *promised.entry(device).or_default() += octets;
        Ok(Promise {
            storage: self.clone(),
            device,
            octets,
        })
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut promised = self.storage.0.lock();
        if let Some(octets) = promised.get_mut(&self.device) {
            *octets = octets.saturating_sub(self.octets);
            if *octets == 0 {
                promised.remove(&self.device);
            }
        }
    }
}

/// The folder, or its nearest existing parent, with its device.
fn existing(folder: &Path) -> io::Result<(PathBuf, u64)> {
    let mut last = None;
    for place in folder.ancestors() {
        let place = if place.as_os_str().is_empty() {
            Path::new(".")
        } else {
            place
        };
        match place.metadata() {
            Ok(data) => return Ok((place.to_owned(), data.dev())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(folder: &Path) -> u64 {
        let disk = statvfs(folder).unwrap();
        disk.blocks_available() * disk.fragment_size()
    }

    #[test]
    fn promises_add_up_until_they_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::default();
        let mailbox = folder.path().join("not/there/yet");
        // Others write to this disk too: the sizes leave room for that.
        let half = free(folder.path()) / 8 * 5;
        let first = storage.promise(&mailbox, half, 0).unwrap();
        let error = storage.promise(&mailbox, half, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(
            error.to_string().starts_with("insufficient disk space: "),
            "{error}"
        );
        let small = storage.promise(folder.path(), 1, 0).unwrap();
        drop(first);
        assert_eq!(
            storage.0.lock().values().copied().collect::<Vec<_>>(),
            [2 * BLOCK]
        );
        drop(storage.promise(&mailbox, half, 0).unwrap());
        drop(small);
        assert!(storage.0.lock().is_empty());
    }

    #[test]
    fn what_the_disk_keeps_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::default();
        assert!(storage.promise(folder.path(), 1, u64::MAX / 2).is_err());
        assert!(storage.0.lock().is_empty(), "nothing is promised of it");
        assert!(storage.promise(folder.path(), 1, 0).is_ok());
    }
}
