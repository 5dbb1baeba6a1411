//! What a server stores for a SCRAM account (RFC 5802 section 3, RFC 5803).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_mail::normal_login;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash::{ScramHash, xor};
use crate::decoy::DecoySecret;
use crate::key_text::{KEY_TEXT_MAX, KeyError, redacted, unbase64};
use crate::prep::{PrepError, prepare};

/// Iterations of new keys unless the configuration says otherwise. Every login costs the client this many, the server none.
pub const ITERATIONS_DEFAULT: u32 = 16_384;

/// Fewest iterations accepted in a stored key or from a server: what RFC 7677 section 4 asks for.
pub const ITERATIONS_MIN: u32 = 4_096;

/// Most iterations accepted. A server chooses the number and the client does the work, so there must be a limit: a million take
/// about half a second.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// Longest salt, in octets.
pub const SALT_MAX: usize = 128;

/// The keys of one account for one hash function.
///
/// Reads as `SCRAM-SHA-256$4096:salt$stored:server`, with base64 (RFC 5803, in the form known from PostgreSQL and Dovecot).
#[derive(Clone)]
pub struct ScramKeys {
    hash: ScramHash,
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Zeroizing<Vec<u8>>,
    server_key: Zeroizing<Vec<u8>>,
}

impl ScramKeys {
    /// Derives the keys from a password; takes time in proportion to `iterations`.
    ///
    /// `salt` is random, at least 16 octets by custom. `iterations` outside [`ITERATIONS_MIN`] to [`ITERATIONS_MAX`] are
    /// clamped, and a salt over [`SALT_MAX`] octets is truncated.
    ///
    /// # Errors
    ///
    /// [`PrepError`] for a password that SASLprep refuses; such an account has PLAIN and LOGIN only.
    pub fn derive(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Result<Self, PrepError> {
        let iterations = iterations.clamp(ITERATIONS_MIN, ITERATIONS_MAX);
        let salt = &salt[..salt.len().min(SALT_MAX)];
        let salted = hash.salted_password(&prepare(password)?, salt, iterations);
        Ok(Self {
            hash,
            iterations,
            salt: salt.to_vec(),
            stored_key: hash.digest(&client_key(hash, &salted)),
            server_key: server_key(hash, &salted),
        })
    }

    /// Derives the keys from a cleartext password, again at each login: with the salt that a nonexistent account of this name
    /// shows. So the salt is the same each time, and such accounts cannot be told from nonexistent ones.
    ///
    /// # Errors
    ///
    /// As [`Self::derive`].
    pub fn derive_like_decoy(
        hash: ScramHash,
        password: &str,
        secret: &DecoySecret,
        name: &str,
        iterations: u32,
    ) -> Result<Self, PrepError> {
        let salt = decoy_salt(hash, secret.expose(), name, DECOY_SALT_LEN);
        Self::derive(hash, password, &salt, iterations)
    }

    /// The keys of a nonexistent account: always the same salt, and keys that match no password.
    ///
    /// Names with the same normal form get the same salt, since directories are asked in that form; no others do, since two
    /// names with the same salt would reveal that neither exists.
    pub(crate) fn decoy(hash: ScramHash, secret: &[u8], name: &str, shape: ScramShape) -> Self {
        let name = asked_form(name);
        let part = |label: &[u8]| hash.hmac(secret, &[label, b"\0", name.as_bytes()]);
        Self {
            hash,
            iterations: shape.iterations.clamp(ITERATIONS_MIN, ITERATIONS_MAX),
            salt: decoy_salt(hash, secret, &name, shape.salt_octets),
            stored_key: part(b"SCRAM stored key"),
            server_key: part(b"SCRAM server key"),
        }
    }

    /// The hash function they are for.
    #[must_use]
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// Their iteration count.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// What a client sees of them.
    #[must_use]
    pub fn shape(&self) -> ScramShape {
        ScramShape {
            iterations: self.iterations,
            salt_octets: self.salt.len(),
        }
    }

    pub(crate) fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether `proof` could only be made with the password, in constant time.
    pub(crate) fn proves(&self, proof: &[u8], auth_message: &[&[u8]]) -> bool {
        let signature = self.hash.hmac(&self.stored_key, auth_message);
        let client_key = xor(proof, &signature);
        let right = self.hash.digest(&client_key).ct_eq(&self.stored_key);
        proof.len() == self.hash.octets() && bool::from(right)
    }

    /// The server's proof.
    pub(crate) fn server_signature(&self, auth_message: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        self.hash.hmac(&self.server_key, auth_message)
    }

    /// The text form, wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{}${}:{}${}:{}",
            super::name(self.hash, false),
            self.iterations,
            STANDARD.encode(&self.salt),
            Zeroizing::new(STANDARD.encode(&self.stored_key)).as_str(),
            Zeroizing::new(STANDARD.encode(&self.server_key)).as_str(),
        ))
    }
}

/// Octets of a decoy's salt: as many as a real one has.
const DECOY_SALT_LEN: usize = 16;

/// What an unauthenticated client sees of an account's keys: nonexistent accounts should look the same.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ScramShape {
    /// Iterations.
    pub iterations: u32,
    /// Octets of the salt.
    pub salt_octets: usize,
}

impl Default for ScramShape {
    fn default() -> Self {
        Self {
            iterations: ITERATIONS_DEFAULT,
            salt_octets: DECOY_SALT_LEN,
        }
    }
}

/// The form in which directories are asked about a name. A name without one matches no user and is used unchanged.
fn asked_form(name: &str) -> String {
    normal_login(name).unwrap_or_else(|_| name.to_owned())
}

/// The salt of a name: the same each time, but unpredictable.
fn decoy_salt(hash: ScramHash, secret: &[u8], name: &str, octets: usize) -> Vec<u8> {
    let name = asked_form(name);
    let mut salt = Vec::new();
    for block in 0_u8..=u8::MAX {
        let label: &[&[u8]] = match block {
            0 => &[b"SCRAM salt", b"\0"],
            _ => &[b"SCRAM salt", &[block], b"\0"],
        };
        let parts: Vec<&[u8]> = label.iter().copied().chain([name.as_bytes()]).collect();
        salt.extend_from_slice(&hash.hmac(secret, &parts));
        if salt.len() >= octets.clamp(1, SALT_MAX) {
            break;
        }
    }
    salt.truncate(octets.clamp(1, SALT_MAX));
    salt
}

/// `ClientKey` of RFC 5802 section 3.
pub(crate) fn client_key(hash: ScramHash, salted_password: &[u8]) -> Zeroizing<Vec<u8>> {
    hash.hmac(salted_password, &[b"Client Key"])
}

/// `ServerKey` of RFC 5802 section 3.
pub(crate) fn server_key(hash: ScramHash, salted_password: &[u8]) -> Zeroizing<Vec<u8>> {
    hash.hmac(salted_password, &[b"Server Key"])
}

impl FromStr for ScramKeys {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = |what| KeyError { kind: "SCRAM", what };
        if text.len() > KEY_TEXT_MAX {
            return Err(wrong("too long"));
        }
        let mut parts = text.split('$');
        let (Some(name), Some(cost), Some(keys), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("not of the form name$iterations:salt$stored:server"));
        };
        let hash = ScramHash::ALL
            .into_iter()
            .find(|&hash| super::name(hash, false) == name)
            .ok_or_else(|| wrong("unknown hash function"))?;
        let (iterations, salt) = cost.split_once(':').ok_or_else(|| wrong("no salt"))?;
        let (stored, server) = keys.split_once(':').ok_or_else(|| wrong("no server key"))?;
        let iterations: u32 = iterations
            .parse()
            .map_err(|_| wrong("iterations are not a number"))?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(wrong("too few or too many iterations"));
        }
        let salt = unbase64(salt)
            .ok_or_else(|| wrong("salt is not base64"))?
            .to_vec();
        if salt.is_empty() || salt.len() > SALT_MAX {
            return Err(wrong("salt is empty or too long"));
        }
        let key = |text| {
            unbase64(text)
                .filter(|key| key.len() == hash.octets())
                .ok_or_else(|| wrong("a key is not base64 or has the wrong length"))
        };
        Ok(Self {
            hash,
            iterations,
            salt,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }
}

impl PartialEq for ScramKeys {
    fn eq(&self, other: &Self) -> bool {
        let same_keys = self.stored_key.ct_eq(&other.stored_key) & self.server_key.ct_eq(&other.server_key);
        self.hash == other.hash
            && self.iterations == other.iterations
            && self.salt == other.salt
            && bool::from(same_keys)
    }
}

impl Eq for ScramKeys {}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted("ScramKeys", f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_are_equal_for_what_is_one_name_to_directories_and_for_nothing_else() {
        let salt = |name: &str| {
            ScramKeys::decoy(ScramHash::Sha256, &[7; 32], name, ScramShape::default())
                .salt()
                .to_vec()
        };
        let nobody = salt("nobody@relay.test");
        for name in [
            "\"nobody\"@Relay.test",
            "nobody@relay.test.",
            "nobody@relay\u{3002}test",
            "NOBODY@relay.test",
            " nobody@relay.test",
            "\u{ff4e}obody@relay.test",
        ] {
            assert_eq!(salt(name), nobody, "as one who exists does: {name}");
        }
        for name in [
            "nobodi@relay.test",
            "nob\u{f3}dy@relay.test",
            "no\u{ad}body@relay.test",
            "nobody@relay.test\u{7f}",
        ] {
            assert_ne!(salt(name), nobody, "another name: {name}");
        }
    }
}
