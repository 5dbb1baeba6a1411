//! A control group for each machine. Without one, they would share the tests' group, and each systemd would remove the groups of
//! the others' units.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The folders of one group: one in each hierarchy used by systemd.
pub(crate) struct Group(Vec<PathBuf>);

impl Group {
    /// Creates one below the group of this process.
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "postern-machine-{}-{}",
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let folders: Vec<PathBuf> = own
            .lines()
            .filter_map(|line| hierarchy(line, &mounts))
            .map(|place| place.join(&name))
            .collect();
        for folder in &folders {
            fs::create_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        }
        Self(folders)
    }

    /// Its folders.
    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.0 {
            remove(folder);
        }
    }
}

/// The folder of this process's group in one hierarchy, by its line of `/proc/self/cgroup` (cgroups(7)); none for those of single
/// controllers.
fn hierarchy(line: &str, mounts: &str) -> Option<PathBuf> {
    let mut parts = line.splitn(3, ':');
    let (controllers, path) = (parts.nth(1)?, parts.next()?);
    let mount = mounts.lines().find_map(|mount| {
        let fields: Vec<&str> = mount.split(' ').collect();
        let wanted = match controllers {
            "" => fields[2] == "cgroup2",
            named => named == "name=systemd" && fields[3].split(',').any(|option| option == named),
        };
        wanted.then(|| PathBuf::from(fields[1]))
    })?;
    Some(mount.join(path.trim_start_matches('/')))
}

/// Removes a group and those below it, once nothing is running in them.
fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
