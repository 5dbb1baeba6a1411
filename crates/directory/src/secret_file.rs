//! Files that hold one secret.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use postern_trust::{secret, without_mark};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Longest secret read from a file, in octets.
const SECRET_MAX: u64 = 4_096;

/// A secret file that cannot be used. Each message names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Group or others may read or write it.
    #[error("{path} is readable or writable by others (mode {mode:03o}): chmod 600 {path}")]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is empty, too long, or not UTF-8.
    #[error("{path} must hold one line of 1 to 4,096 octets of UTF-8")]
    NotOneLine {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a secret from a file of one line; the line break at its end is not part of it.
///
/// The permissions are those of the file that was opened, so the file cannot be swapped in between.
///
/// # Errors
///
/// See [`SecretFileError`].
pub fn read_secret(path: &Path) -> Result<SecretString, SecretFileError> {
    let failed = |source| SecretFileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !secret::is_private(&metadata) {
        return Err(SecretFileError::OpenToOthers {
            path: path.to_owned(),
            mode: metadata.mode() & 0o777,
        });
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(256));
    file.take(SECRET_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    let line = without_mark(&octets);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) if !text.is_empty() && octets.len() as u64 <= SECRET_MAX && !text.contains(['\n', '\0']) => {
            Ok(SecretString::from(text))
        }
        _ => Err(SecretFileError::NotOneLine {
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_and_modes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bind-password");
        let long = vec![b'x'; 4_097];
        let cases: [(&str, &[u8], u32, Option<&str>); 9] = [
            ("one line", b"secret\n", 0o600, Some("secret")),
            ("without a line break", b"secret", 0o400, Some("secret")),
            ("written on Windows", b"secret\r\n", 0o600, Some("secret")),
            (
                "blanks belong to it",
                b" pass word \n",
                0o600,
                Some(" pass word "),
            ),
            ("writable by the group", b"secret\n", 0o660, None),
            ("readable by all", b"secret\n", 0o604, None),
            ("empty", b"\n", 0o600, None),
            ("two lines", b"one\ntwo\n", 0o600, None),
            ("too long", &long, 0o600, None),
        ];
        for (shows, text, mode, want) in cases {
            let _ = fs::remove_file(&path);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let got = read_secret(&path);
            assert_eq!(got.as_ref().ok().map(|s| s.expose_secret()), want, "{shows}");
            if mode & 0o066 != 0 {
                assert!(got.unwrap_err().to_string().contains("chmod 600"), "{shows}");
            }
        }
        assert!(matches!(
            read_secret(&folder.path().join("none")),
            Err(SecretFileError::Read { .. })
        ));
    }
}
