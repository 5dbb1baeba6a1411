//! Which keys of own users are kept, and how they are derived from a password.

use postern_sasl::{ITERATIONS_DEFAULT, StoredKey};
use secrecy::SecretString;

use crate::keys::KeyKind;

/// Which keys are kept for each user besides the password hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyPolicy {
    /// The kinds. Default none: anyone who reads the file can log in with any kind except SCRAM's.
    pub kinds: Vec<KeyKind>,
    /// Iterations of new SCRAM keys. Default 16,384.
    pub iterations: u32,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            iterations: ITERATIONS_DEFAULT,
        }
    }
}

impl KeyPolicy {
    /// Derives all keys of a password. A password that SASLprep refuses gets none for SCRAM, and works with PLAIN
    /// only.
    pub(super) fn derive(&self, login: &str, password: &SecretString) -> Vec<StoredKey> {
        derive(&self.kinds, login, password, self.iterations)
    }

    /// The same for some of the kinds.
    pub(super) fn derive_kinds(
        &self,
        kinds: &[KeyKind],
        login: &str,
        password: &SecretString,
    ) -> Vec<StoredKey> {
        derive(kinds, login, password, self.iterations)
    }

    /// The kinds that an account with these keys lacks, or has in a weaker form.
    pub(super) fn lacking(&self, keys: &[StoredKey]) -> Vec<KeyKind> {
        let is_good = |key: &StoredKey| match key {
            StoredKey::Scram(keys) => keys.iterations() >= self.iterations,
            _ => true,
        };
        let missing = |kind: &&KeyKind| !keys.iter().any(|key| KeyKind::of(key) == **kind && is_good(key));
        self.kinds.iter().filter(missing).cloned().collect()
    }
}

fn derive(kinds: &[KeyKind], login: &str, password: &SecretString, iterations: u32) -> Vec<StoredKey> {
    let keys = kinds.iter().map(|kind| kind.derive(login, password, iterations));
    keys.filter_map(Result::ok).collect()
}
