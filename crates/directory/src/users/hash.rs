//! Password hashes: new ones are argon2id in the PHC string format (RFC 9106); imported ones may have any scheme.

use argon2::password_hash::{PasswordHash, PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};

use crate::background;
use crate::schemes::{SchemeError, SchemeRules, Stored};

/// Memory of one hash, in KiB: 19 MiB. With [`PASSES`], this is the smallest setting that OWASP recommends. It takes
/// 20 to 40 ms, so that a login is cheap but cracking a stolen file is not.
const MEMORY_KIB: u32 = 19 * 1_024;

/// Passes over the memory.
const PASSES: u32 = 2;

/// Octets of salt.
const SALT_LEN: usize = 16;

/// Octets of hash.
const HASH_LEN: usize = 32;

/// Hashes a password for storage.
pub(crate) fn make(password: &SecretString) -> Result<String, String> {
    let salt: [u8; SALT_LEN] = rand::random();
    let salt = SaltString::encode_b64(&salt).map_err(|error| error.to_string())?;
    let hash = hasher()?
        .hash_password(password.expose_secret().as_bytes(), &salt)
        .map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// Whether a stored hash is this password's. The cost depends on the parameters in the hash.
pub(crate) fn verify(stored: &str, password: &SecretString) -> Result<bool, String> {
    let damaged = |error: SchemeError| error.to_string();
    let stored = Stored::parse(stored, &SchemeRules::default()).map_err(damaged)?;
    background::compute(|| stored.verify(password))
        .map_err(|error| error.to_string())?
        .map_err(damaged)
}

/// The name of the scheme of a stored hash, for people.
pub(crate) fn scheme(stored: &str) -> &'static str {
    Stored::parse(stored, &SchemeRules::default()).map_or("unknown", |stored| stored.scheme())
}

/// Whether a stored hash is at least as strong as one made now.
pub(crate) fn is_current(stored: &str) -> bool {
    let Ok(hash) = PasswordHash::new(stored) else {
        return false;
    };
    let of = |name| hash.params.get_decimal(name).unwrap_or(0);
    hash.algorithm.as_str() == "argon2id" && of("m") >= MEMORY_KIB && of("t") >= PASSES
}

/// Takes as long as [`verify`], for a login that does not exist.
pub(crate) fn spend(password: &SecretString) -> Result<(), String> {
    let mut out = [0; HASH_LEN];
    let hasher = hasher()?;
    let password = password.expose_secret().as_bytes();
    background::compute(|| hasher.hash_password_into(password, &[0; SALT_LEN], &mut out))
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}

fn hasher() -> Result<Argon2<'static>, String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(HASH_LEN)).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_and_another_does_not() {
        let password = SecretString::from("pass word");
        let stored = make(&password).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(verify(&stored, &password), Ok(true));
        assert_eq!(verify(&stored, &SecretString::from("pass word ")), Ok(false));
        assert_ne!(make(&password).unwrap(), stored, "each has its own salt");
        assert_eq!(spend(&password), Ok(()));
        for damaged in [
            "",
            "x",
            "$argon2id$nonsense",
            &stored[..stored.len() - 44],
            "$1$abc$def",
        ] {
            assert!(verify(damaged, &password).is_err(), "{damaged}");
        }
    }

    #[test]
    fn what_is_strong_enough_to_stay() {
        let argon2 = |algorithm: &str, m: u32, t: u32| {
            format!("${algorithm}$v=19$m={m},t={t},p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA")
        };
        let cases = [
            ("one made now", make(&SecretString::from("x")).unwrap(), true),
            ("a stronger one", argon2("argon2id", 65_536, 3), true),
            ("less memory", argon2("argon2id", 4_096, 3), false),
            ("fewer passes", argon2("argon2id", 65_536, 1), false),
            ("another kind", argon2("argon2i", 65_536, 3), false),
            ("bcrypt", "$2y$14$abcdefghijklmnopqrstuu".into(), false),
            ("LDAP", "{SSHA}AAAA".into(), false),
        ];
        for (shows, stored, want) in cases {
            assert_eq!(is_current(&stored), want, "{shows}");
        }
    }
}
