//! The keys of a domain managed by Postern: a folder below the state directory with a file for each, and one that records the
//! stage of each.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use postern_net::file::{Existing, write_private};
use postern_seal::rotation::{KeyRing, NoRotation};
use postern_seal::{Algorithm, RsaBits, SigningKey};
use postern_trust::secret;
use zeroize::Zeroizing;

/// Largest file that is read, in octets.
const FILE_MAX: u64 = 64 << 10;

/// The keys of one domain.
#[derive(Clone, Debug)]
pub(crate) struct KeyFolder {
    path: PathBuf,
}

/// A lock for changing the keys of a domain, held by one process at a time.
pub(crate) struct Locked<'f> {
    folder: &'f KeyFolder,
    _lock: Flock<File>,
}

impl KeyFolder {
    /// For a domain in A-labels.
    pub(crate) fn of(state_dir: &Path, domain: &str) -> Self {
        Self {
            path: state_dir.join("dkim").join(domain.to_ascii_lowercase()),
        }
    }

    /// The file of a key.
    pub(crate) fn file(&self, selector: &str) -> PathBuf {
        self.path.join(format!("{selector}.pem"))
    }

    fn state(&self) -> PathBuf {
        self.path.join("keys.json")
    }

    /// When the keys were last changed; `None` if there are none.
    pub(crate) fn changed(&self) -> Option<std::time::SystemTime> {
        fs::metadata(self.state())
            .and_then(|metadata| metadata.modified())
            .ok()
    }

    /// All keys; none if there is no folder.
    ///
    /// # Errors
    ///
    /// The file cannot be read or understood, as text.
    pub(crate) fn ring(&self) -> Result<KeyRing, String> {
        let path = self.state();
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(KeyRing::default()),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        serde_json::from_slice(&text).map_err(|error| format!("{} is damaged: {error}", path.display()))
    }

    /// One key.
    ///
    /// # Errors
    ///
    /// Its file cannot be read, is accessible to others, or has no key, as text.
    pub(crate) fn key(&self, selector: &str) -> Result<SigningKey, String> {
        let path = self.file(selector);
        let metadata = fs::symlink_metadata(&path);
        let metadata =
            metadata.map_err(|error| format!("cannot read the DKIM key {}: {error}", path.display()))?;
        if !metadata.is_file() || !secret::is_private(&metadata) {
            return Err(format!(
                "the DKIM key {} is open to others, or not a file: chmod 600 {0}",
                path.display()
            ));
        }
        let pem =
            read(&path).map_err(|error| format!("cannot read the DKIM key {}: {error}", path.display()))?;
        SigningKey::from_pem(&pem).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Keeps others from changing the keys until dropped; creates the folder if missing.
    ///
    /// # Errors
    ///
    /// What the system says, as text.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, String> {
        let failed = |error: io::Error| format!("cannot use the folder {}: {error}", self.path.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.path.join("lock"))
            .map_err(failed)?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| failed(error.into()))?;
        Ok(Locked {
            folder: self,
            _lock: lock,
        })
    }
}

impl Locked<'_> {
    /// Creates the keys that will sign next, and returns their selectors. With `selector`, that is the first one's; otherwise an
    /// unused one is chosen.
    ///
    /// # Errors
    ///
    /// There are such keys already, or the disk fails, as text; then nothing is changed.
    pub(crate) fn make(
        &self,
        algorithms: &[Algorithm],
        bits: RsaBits,
        selector: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<String>, String> {
        let mut ring = self.folder.ring()?;
        let mut next = Vec::new();
        for algorithm in algorithms {
            let name = match (selector, next.is_empty()) {
                (Some(selector), true) => selector.to_owned(),
                (Some(selector), false) => format!("{selector}-{}", algorithm.key_type()),
                (None, _) => ring.free_selector(*algorithm, now),
            };
            next.push((name, *algorithm));
        }
        ring.begin(next.clone(), now)
            .map_err(|error: NoRotation| error.to_string())?;
        for (selector, algorithm) in &next {
            let (_, pem) = SigningKey::generate(*algorithm, bits).map_err(|error| error.to_string())?;
            let path = self.folder.file(selector);
            // A file whose selector is not in the ring was left by a crash.
            write_private(&path, pem.as_bytes(), Existing::Replace)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        self.save(&ring)?;
        Ok(next.into_iter().map(|(selector, _)| selector).collect())
    }

    /// Saves the stage of each key.
    ///
    /// # Errors
    ///
    /// What the system says, as text.
    pub(crate) fn save(&self, ring: &KeyRing) -> Result<(), String> {
        let path = self.folder.state();
        let text = serde_json::to_vec_pretty(ring).map_err(|error| error.to_string())?;
        write_private(&path, &text, Existing::Replace)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Removes keys and their files.
    ///
    /// # Errors
    ///
    /// What the system says, as text.
    pub(crate) fn remove(&self, selectors: &[String]) -> Result<(), String> {
        let mut ring = self.folder.ring()?;
        ring.remove(|key| selectors.contains(&key.selector));
        self.save(&ring)?;
        for selector in selectors {
            let path = self.folder.file(selector);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("cannot remove {}: {error}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(8 << 10));
    File::open(path)?.take(FILE_MAX).read_to_end(&mut octets)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use postern_seal::rotation::Stage;

    use super::*;

    #[test]
    fn keys_are_made_kept_and_removed() {
        let state = tempfile::tempdir().unwrap();
        let folder = KeyFolder::of(state.path(), "Example.org");
        assert_eq!(
            folder.ring().unwrap(),
            KeyRing::default(),
            "nothing is made by looking"
        );
        assert_eq!(folder.changed(), None);
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let locked = folder.lock().unwrap();
        let made = locked
            .make(&Algorithm::ALL, RsaBits::default(), None, now)
            .unwrap();
        assert_eq!(made, ["r202609", "e202609"]);
        let again = locked.make(&Algorithm::ALL, RsaBits::default(), None, now);
        assert!(again.unwrap_err().contains("wait for DNS"));
        for (selector, algorithm) in made.iter().zip(Algorithm::ALL) {
            assert_eq!(folder.key(selector).unwrap().algorithm(), algorithm);
        }
        let mut ring = folder.ring().unwrap();
        ring.switch(now);
        locked.save(&ring).unwrap();
        assert_eq!(folder.ring().unwrap().at(Stage::Active).count(), 2);

        let path = folder.file("r202609");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(folder.key("r202609").unwrap_err().contains("chmod 600"));
        locked.remove(&made[..1]).unwrap();
        assert!(!path.exists());
        assert_eq!(folder.ring().unwrap().keys.len(), 1);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays() {
        let state = tempfile::tempdir().unwrap();
        let folder = KeyFolder::of(state.path(), "example.org");
        let locked = folder.lock().unwrap();
        fs::write(folder.state(), "{").unwrap();
        assert!(folder.ring().unwrap_err().contains("damaged"));
        let now = Timestamp::UNIX_EPOCH;
        assert!(
            locked
                .make(&[Algorithm::Ed25519Sha256], RsaBits::default(), None, now)
                .is_err()
        );
        assert_eq!(fs::read(folder.state()).unwrap(), b"{");
    }
}
