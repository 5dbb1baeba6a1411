//! The secret for the salts of nonexistent accounts, kept across restarts.

use std::io;
use std::path::Path;

use postern_net::file::{Existing, write_private};
use postern_sasl::DecoySecret;
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};

/// The file in the state directory.
const FILE: &str = "decoy.key";

/// Reads the secret, or generates it at the first start. Servers with the same name may share it.
///
/// # Errors
///
/// It cannot be read or written, or is not such a secret.
pub(super) fn load(state_dir: &Path) -> Result<DecoySecret, Failure> {
    let path = state_dir.join(FILE);
    let failed = |error: &io::Error| Failure::io(&format!("cannot use {}", path.display()), error);
    let octets = match std::fs::read(&path) {
        Ok(octets) => Zeroizing::new(octets),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let drawn: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
            write_private(&path, drawn.as_slice(), Existing::Keep).map_err(|error| failed(&error))?;
            Zeroizing::new(drawn.to_vec())
        }
        Err(error) => return Err(failed(&error)),
    };
    let secret: [u8; 32] = octets.as_slice().try_into().map_err(|_| {
        let remedy = "it does not have 32 octets: remove it, and a new one is made";
        Failure::new(Exit::Config, format!("cannot use {}: {remedy}", path.display()))
    })?;
    Ok(DecoySecret::new(secret))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        load(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        let first = std::fs::read(&path).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        load(folder.path()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        std::fs::write(&path, b"short").unwrap();
        assert!(load(folder.path()).is_err_and(|failure| failure.message.contains("remove it")));
    }
}
