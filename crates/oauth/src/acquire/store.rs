//! Tokens on disk: one sealed file a login, in a folder of the state directory.
//!
//! AES-256-GCM with a random key. The key is a systemd credential where there is one, else a file beside the tokens. In the second
//! case sealing protects a copy of single files, such as in a support bundle or a careless backup, and not against who
//! can read the whole folder; only a credential that the system itself keeps sealed does that.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The credential of the service (`LoadCredentialEncrypted=postern-token-key:…`).
const CREDENTIAL: &str = "postern-token-key";

/// The key's own file.
const KEY_FILE: &str = "key";

/// Octets of the key.
const KEY: usize = 32;

/// First octets of each file: form and version.
const MAGIC: &[u8; 8] = b"PTOKEN1\n";

/// Largest file that is read.
const FILE_MAX: u64 = 64 << 10;

/// What is kept of a login's tokens.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What they were fetched with, in text form.
    pub(crate) identity: String,
    /// The refresh token.
    pub(crate) refresh_token: Option<SecretString>,
    /// The token, with its end in seconds since 1970.
    pub(crate) access: Option<(SecretString, u64)>,
}

#[derive(Deserialize, Serialize)]
struct Written {
    identity: String,
    refresh_token: Option<String>,
    access_token: Option<String>,
    expires_at: Option<u64>,
}

impl Drop for Written {
    fn drop(&mut self) {
        self.refresh_token.zeroize();
        self.access_token.zeroize();
    }
}

/// The folder of tokens.
#[derive(Clone, Debug)]
pub struct TokenStore {
    folder: PathBuf,
}

/// Tokens that cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum TokenStoreError {
    /// The system says no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key is open to others or of another length.
    #[error(
        "{path} is no key of 32 octets that only its owner can read: chmod 600 {path}, or remove it and authorize logins anew"
    )]
    BadKey {
        /// The file.
        path: PathBuf,
    },
    /// The file was sealed with another key, or changed.
    #[error(
        "{path} does not open with the key of this server: remove it, and run `postern login authorize` anew"
    )]
    Sealed {
        /// The file.
        path: PathBuf,
    },
}

/// Tells one state of a file from the next.
pub(crate) type Stamp = Option<(u64, SystemTime)>;

impl TokenStore {
    /// Tokens below this state directory. Nothing is made before something is kept.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("tokens"),
        }
    }

    /// What is kept of a login.
    ///
    /// # Errors
    ///
    /// See [`TokenStoreError`].
    pub fn load(&self, login: &str) -> Result<Option<Stored>, TokenStoreError> {
        let path = self.path(login);
        let failed = |source| TokenStoreError::Io {
            what: "read",
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut sealed = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut sealed).map_err(failed)?;
        let Some(key) = self.key(false)? else {
            return Err(TokenStoreError::Sealed { path });
        };
        let text =
            open(&key, login, &sealed).ok_or_else(|| TokenStoreError::Sealed { path: path.clone() })?;
        let mut written: Written =
            serde_json::from_slice(&text).map_err(|_| TokenStoreError::Sealed { path: path.clone() })?;
        let access = written.access_token.take().map(SecretString::from);
        Ok(Some(Stored {
            identity: std::mem::take(&mut written.identity),
            refresh_token: written.refresh_token.take().map(SecretString::from),
            access: access.zip(written.expires_at),
        }))
    }

    /// Keeps the tokens of a login in place of what was kept before. They are on stable storage when this returns.
    ///
    /// # Errors
    ///
    /// See [`TokenStoreError`].
    pub fn save(&self, login: &str, stored: &Stored) -> Result<(), TokenStoreError> {
        let path = self.path(login);
        let failed = |source| TokenStoreError::Io {
            what: "write",
            path: path.clone(),
            source,
        };
        self.make_folder().map_err(failed)?;
        let Some(key) = self.key(true)? else {
            return Err(TokenStoreError::BadKey {
                path: self.folder.join(KEY_FILE),
            });
        };
        let expose = |secret: &SecretString| secret.expose_secret().to_owned();
        let written = Written {
            identity: stored.identity.clone(),
            refresh_token: stored.refresh_token.as_ref().map(expose),
            access_token: stored.access.as_ref().map(|(token, _)| expose(token)),
            expires_at: stored.access.as_ref().map(|(_, end)| *end),
        };
        let text = serde_json::to_vec(&written).map(Zeroizing::new);
        let text = text.map_err(|error| failed(io::Error::other(error)))?;
        let sealed = seal(&key, login, &text).map_err(|()| failed(io::Error::other("cannot be sealed")))?;
        self.write(&path, &sealed).map_err(failed)
    }

    /// The state of a login's file.
    pub(crate) fn stamp(&self, login: &str) -> Stamp {
        let metadata = fs::metadata(self.path(login)).ok()?;
        Some((metadata.ino(), metadata.modified().ok()?))
    }

    /// A name that is one component of a path and keeps logins apart.
    fn path(&self, login: &str) -> PathBuf {
        let mut name = String::with_capacity(login.len() + 6);
        for octet in login.bytes() {
            if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_') {
                name.push(char::from(octet));
            } else {
                name.push_str(&format!("%{octet:02X}"));
            }
        }
        name.push_str(".token");
        self.folder.join(name)
    }

    fn make_folder(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Ok(()) => self.like_parent(&self.folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Root may do this for the server, which then has to own what comes of it.
    fn like_parent(&self, path: &Path) -> io::Result<()> {
        let state_dir = self.folder.parent().unwrap_or(&self.folder);
        let (wanted, found) = (fs::metadata(state_dir)?, fs::metadata(path)?);
        if (wanted.uid(), wanted.gid()) == (found.uid(), found.gid()) {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(wanted.uid()), Some(wanted.gid()))
    }

    /// The key; made if missing and wanted.
    fn key(&self, make: bool) -> Result<Option<Zeroizing<[u8; KEY]>>, TokenStoreError> {
        if let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") {
            let path = Path::new(&folder).join(CREDENTIAL);
            if path.exists() {
                return read_key(&path, false).map(Some);
            }
        }
        let path = self.folder.join(KEY_FILE);
        if !path.exists() {
            if !make {
                return Ok(None);
            }
            let mut key = Zeroizing::new([0; KEY]);
            let failed = |source| TokenStoreError::Io {
                what: "make",
                path: path.clone(),
                source,
            };
            aws_lc_rs::rand::fill(key.as_mut_slice())
                .map_err(|error| failed(io::Error::other(error.to_string())))?;
            self.write(&path, key.as_slice()).map_err(failed)?;
        }
        read_key(&path, true).map(Some)
    }

    /// Writes a file for its owner alone, whole or not at all.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let draft = path.with_extension(format!("{:08x}.draft", rand::random::<u32>()));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(content)?;
            file.sync_all()?;
            self.like_parent(&draft)?;
            fs::rename(&draft, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written?;
        File::open(&self.folder)?.sync_all()
    }
}

fn read_key(path: &Path, own: bool) -> Result<Zeroizing<[u8; KEY]>, TokenStoreError> {
    let failed = |source| TokenStoreError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    };
    let bad = || TokenStoreError::BadKey {
        path: path.to_owned(),
    };
    let file = File::open(path).map_err(failed)?;
    // A credential's folder is the system's to protect.
    if own && file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        return Err(bad());
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(KEY + 1));
    file.take(KEY as u64 + 1)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    <[u8; KEY]>::try_from(octets.as_slice())
        .map(Zeroizing::new)
        .map_err(|_| bad())
}

/// The login's name goes along, so that one login's file is of no use as another's.
fn seal(key: &[u8; KEY], login: &str, text: &[u8]) -> Result<Vec<u8>, ()> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(drop)?;
    let mut octets = text.to_vec();
    octets.reserve(AES_256_GCM.tag_len());
    let sealed = key.seal_in_place_append_tag(Aad::from(login.as_bytes()), &mut octets);
    let Ok(nonce) = sealed else {
        octets.zeroize();
        return Err(());
    };
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(nonce.as_ref());
    file.extend_from_slice(&octets);
    Ok(file)
}

fn open(key: &[u8; KEY], login: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let rest = sealed.strip_prefix(MAGIC.as_slice())?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let mut octets = Zeroizing::new(rest.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key
        .open_in_place(nonce, Aad::from(login.as_bytes()), &mut octets)
        .ok()?
        .len();
    octets.truncate(length);
    Some(octets)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn stored(refresh: &str) -> Stored {
        Stored {
            identity: "who".into(),
            refresh_token: Some(refresh.into()),
            access: Some(("access".into(), 7)),
        }
    }

    #[test]
    fn what_is_kept_is_sealed_and_private() {
        let state = tempfile::tempdir().unwrap();
        let store = TokenStore::new(state.path());
        assert!(store.load("isp").unwrap().is_none(), "nothing yet");
        store.save("isp", &stored("first secret")).unwrap();
        let before = store.stamp("isp");
        store.save("isp", &stored("second secret")).unwrap();
        assert_ne!(before, store.stamp("isp"), "a change shows");
        let back = store.load("isp").unwrap().unwrap();
        assert_eq!(back.refresh_token.unwrap().expose_secret(), "second secret");
        assert_eq!(back.access.unwrap().1, 7);
        for entry in fs::read_dir(state.path().join("tokens")).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600,
                "{path:?}"
            );
            let octets = fs::read(&path).unwrap();
            assert!(!octets.windows(6).any(|window| window == b"secret"), "{path:?}");
        }
    }

    #[test]
    fn a_file_opens_only_as_what_it_is() {
        let state = tempfile::tempdir().unwrap();
        let store = TokenStore::new(state.path());
        store.save("a/../b", &stored("x")).unwrap();
        let path = store.path("a/../b");
        assert_eq!(
            path.parent().unwrap(),
            store.folder,
            "no name leads out of the folder"
        );
        let sealed = fs::read(&path).unwrap();
        for (shows, change) in [
            ("changed", sealed.len() - 1),
            ("another nonce", MAGIC.len()),
            ("another form", 0),
        ] {
            let mut other = sealed.clone();
            other[change] ^= 1;
            fs::write(&path, other).unwrap();
            assert!(store.load("a/../b").is_err(), "{shows}");
        }
        fs::write(store.path("other"), &sealed).unwrap();
        assert!(store.load("other").is_err(), "another login's");
        fs::write(&path, &sealed[..10]).unwrap();
        assert!(store.load("a/../b").is_err(), "cut off");
        fs::set_permissions(store.folder.join(KEY_FILE), fs::Permissions::from_mode(0o644)).unwrap();
        let error = store.save("a/../b", &stored("x")).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
