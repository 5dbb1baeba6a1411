//! Tokens on disk: one encrypted file per login, in a folder of the state directory.
//!
//! AES-256-GCM with a random key. The key is a systemd credential if there is one, otherwise a file beside the tokens. In the
//! second case, encryption protects copies of single files, as in a support bundle or a careless backup, but not against someone
//! who can read the whole folder; only a credential that the system itself keeps encrypted does that.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use postern_events::{Observers, notice, shown};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::folder::Folder;

/// The credential of the service (`LoadCredentialEncrypted=postern-token-key:…`).
const CREDENTIAL: &str = "postern-token-key";

/// The key's own file.
const KEY_FILE: &str = "key";

/// Octets of the key.
const KEY: usize = 32;

/// First octets of each file: format and version.
const MAGIC: &[u8; 8] = b"PTOKEN1\n";

/// Largest file that is read.
const FILE_MAX: u64 = 64 << 10;

/// What is stored for a login's tokens.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The settings they were fetched with, in text form.
    pub(crate) identity: String,
    /// The refresh token.
    pub(crate) refresh_token: Option<SecretString>,
    /// The digest of the refresh token in the configuration when these were obtained: a different one there is newer.
    pub(crate) configured: Option<String>,
    /// The token, with its expiry in seconds since 1970.
    pub(crate) access: Option<(SecretString, u64)>,
}

#[derive(Deserialize, Serialize)]
struct Written {
    identity: String,
    refresh_token: Option<String>,
    access_token: Option<String>,
    expires_at: Option<u64>,
    #[serde(default)]
    configured: Option<String>,
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
    /// The key in the systemd credential, if this process has one.
    credential: Option<PathBuf>,
    observers: Observers,
}

/// The decrypted content, and whether it was encrypted with the key used for new files.
type Opened = (Zeroizing<Vec<u8>>, bool);

/// Tokens cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum TokenStoreError {
    /// An I/O error.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key is accessible to others or has the wrong length.
    #[error(
        "{path} is not a key of 32 octets that only its owner can read: chmod 600 {path}, or remove it and authorize the logins again"
    )]
    BadKey {
        /// The file.
        path: PathBuf,
    },
    /// The work was interrupted.
    #[error("tokens cannot be kept or read: {0}")]
    Interrupted(String),
    /// The file was encrypted with another key, or tampered with.
    #[error(
        "{path} cannot be decrypted with the key of this server: remove it, and run `postern login authorize` again"
    )]
    Sealed {
        /// The file.
        path: PathBuf,
    },
}

/// Distinguishes the states of a file.
pub(crate) type Stamp = Option<(u64, SystemTime)>;

impl TokenStore {
    /// Tokens below this state directory. Nothing is created before something is stored.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
            .map(|folder| Path::new(&folder).join(CREDENTIAL))
            .filter(|path| path.exists());
        Self {
            folder: state_dir.join("tokens"),
            credential,
            observers: Observers::nobody(),
        }
    }

    /// The same, with observers of what happens to tokens.
    #[must_use]
    pub fn with_observers(self, observers: Observers) -> Self {
        Self { observers, ..self }
    }

    /// The observers of what happens to tokens.
    pub(crate) fn observers(&self) -> &Observers {
        &self.observers
    }

    /// What is stored for a login. What `postern login authorize` has encrypted without the service's credential can be read as
    /// well, and is encrypted again with the credential.
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
        let stamp = self.stamp(login);
        let mut sealed = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut sealed).map_err(failed)?;
        let (text, preferred) = self
            .open(login, &sealed)?
            .ok_or_else(|| TokenStoreError::Sealed { path: path.clone() })?;
        let mut written: Written =
            serde_json::from_slice(&text).map_err(|_| TokenStoreError::Sealed { path: path.clone() })?;
        let access = written.access_token.take().map(SecretString::from);
        let stored = Stored {
            identity: std::mem::take(&mut written.identity),
            refresh_token: written.refresh_token.take().map(SecretString::from),
            configured: written.configured.take(),
            access: access.zip(written.expires_at),
        };
        // But do not overwrite what another process has written meanwhile.
        if !preferred
            && self.stamp(login) == stamp
            && let Err(error) = self.save(login, &stored)
        {
            let observers = &self.observers;
            notice!(observers, Login Warning "token not sealed again", Login = login, Error = shown(&error));
        }
        Ok(Some(stored))
    }

    /// Stores the tokens of a login, replacing earlier ones. They are on stable storage when this returns.
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
        let folder = Folder::make(&self.folder).map_err(failed)?;
        let key = self.sealing_key(&folder)?;
        let expose = |secret: &SecretString| secret.expose_secret().to_owned();
        let written = Written {
            identity: stored.identity.clone(),
            refresh_token: stored.refresh_token.as_ref().map(expose),
            access_token: stored.access.as_ref().map(|(token, _)| expose(token)),
            expires_at: stored.access.as_ref().map(|(_, end)| *end),
            configured: stored.configured.clone(),
        };
        let text = serde_json::to_vec(&written).map(Zeroizing::new);
        let text = text.map_err(|error| failed(io::Error::other(error)))?;
        let sealed = seal(&key, login, &text).map_err(|()| failed(io::Error::other("cannot be sealed")))?;
        folder.replace(&file_name(login), &sealed).map_err(failed)
    }

    /// The state of a login's file.
    pub(crate) fn stamp(&self, login: &str) -> Stamp {
        let metadata = fs::metadata(self.path(login)).ok()?;
        Some((metadata.ino(), metadata.modified().ok()?))
    }

    fn path(&self, login: &str) -> PathBuf {
        self.folder.join(file_name(login))
    }

    /// Decrypts with whichever key fits; also returns whether that is the key for new files.
    fn open(&self, login: &str, sealed: &[u8]) -> Result<Option<Opened>, TokenStoreError> {
        let mut bad = None;
        for (number, path) in self
            .credential
            .iter()
            .chain([&self.folder.join(KEY_FILE)])
            .enumerate()
        {
            let own = number > 0 || self.credential.is_none();
            match read_key(path, own) {
                Ok(key) => {
                    if let Some(text) = open(&key, login, sealed) {
                        return Ok(Some((text, number == 0)));
                    }
                }
                Err(TokenStoreError::Io { source, .. })
                    if own && source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => bad = bad.or(Some(error)),
            }
        }
        bad.map_or(Ok(None), Err)
    }

    /// The key for new files: the credential if there is one, otherwise the one beside them, which is created if missing.
    fn sealing_key(&self, folder: &Folder) -> Result<Zeroizing<[u8; KEY]>, TokenStoreError> {
        if let Some(path) = &self.credential {
            return read_key(path, false);
        }
        let path = self.folder.join(KEY_FILE);
        let failed = |source| TokenStoreError::Io {
            what: "make",
            path: path.clone(),
            source,
        };
        if !folder.holds(KEY_FILE).map_err(failed)? {
            let mut key = Zeroizing::new([0; KEY]);
            aws_lc_rs::rand::fill(key.as_mut_slice())
                .map_err(|error| failed(io::Error::other(error.to_string())))?;
            folder.publish(KEY_FILE, key.as_slice()).map_err(failed)?;
        }
        // The first process has created the key for all.
        let file = folder.open(KEY_FILE).map_err(failed)?;
        key_of(file, &path, true)
    }
}

/// A name that is a single path component and unique to a login.
fn file_name(login: &str) -> String {
    let mut name = String::with_capacity(login.len() + 6);
    for octet in login.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_') {
            name.push(char::from(octet));
        } else {
            name.push_str(&format!("%{octet:02X}"));
        }
    }
    name.push_str(".token");
    name
}

fn read_key(path: &Path, own: bool) -> Result<Zeroizing<[u8; KEY]>, TokenStoreError> {
    let failed = |source| TokenStoreError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    };
    key_of(File::open(path).map_err(failed)?, path, own)
}

fn key_of(file: File, path: &Path, own: bool) -> Result<Zeroizing<[u8; KEY]>, TokenStoreError> {
    let failed = |source| TokenStoreError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    };
    let bad = || TokenStoreError::BadKey {
        path: path.to_owned(),
    };
    // Protecting the credential's folder is up to the system.
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

/// The login's name is authenticated with it, so that one login's file cannot be used as another's.
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
            configured: None,
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

    #[test]
    fn what_was_sealed_without_the_credential_is_sealed_anew_with_it() {
        let state = tempfile::tempdir().unwrap();
        let shell = TokenStore {
            credential: None,
            ..TokenStore::new(state.path())
        };
        shell.save("isp", &stored("by a person")).unwrap();
        let credential = state.path().join("credential");
        fs::write(&credential, [7; KEY]).unwrap();
        let server = TokenStore {
            credential: Some(credential),
            ..shell.clone()
        };
        let found = server.load("isp").unwrap().unwrap();
        assert_eq!(found.refresh_token.unwrap().expose_secret(), "by a person");
        assert!(shell.load("isp").is_err(), "the key beside it no longer opens it");
        fs::remove_file(shell.folder.join(KEY_FILE)).unwrap();
        assert!(server.load("isp").unwrap().is_some());
        server.save("other", &stored("x")).unwrap();
        assert!(
            !shell.folder.join(KEY_FILE).exists(),
            "the credential needs no other key"
        );
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), state.path().join("tokens")).unwrap();
        let error = TokenStore::new(state.path())
            .save("isp", &stored("x"))
            .unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_root_keeps_belongs_to_the_server() {
        let state = tempfile::tempdir().unwrap();
        // Any other user has nothing to hand over.
        let owner = if nix::unistd::geteuid().is_root() {
            65_534
        } else {
            nix::unistd::geteuid().as_raw()
        };
        std::os::unix::fs::chown(state.path(), Some(owner), None).unwrap();
        let store = TokenStore::new(state.path());
        store.save("isp", &stored("x")).unwrap();
        for path in [&store.folder, &store.folder.join(KEY_FILE), &store.path("isp")] {
            assert_eq!(fs::metadata(path).unwrap().uid(), owner, "{path:?}");
        }
    }

    #[test]
    fn those_who_save_first_at_once_share_a_key() {
        let state = tempfile::tempdir().unwrap();
        let store = TokenStore::new(state.path());
        let logins: Vec<String> = (0..16).map(|number| format!("isp{number}")).collect();
        std::thread::scope(|scope| {
            for login in &logins {
                scope.spawn(|| store.save(login, &stored("x")).unwrap());
            }
        });
        for login in &logins {
            assert!(store.load(login).unwrap().is_some(), "{login}");
        }
        let drafts = fs::read_dir(&store.folder).unwrap();
        let drafts =
            drafts.filter(|entry| entry.as_ref().unwrap().path().extension() == Some("draft".as_ref()));
        assert_eq!(drafts.count(), 0);
    }
}
