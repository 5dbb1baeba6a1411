//! `{PBKDF2}` in the forms of Dovecot, OpenLDAP and passlib, and `{SCRAM-SHA-1}`, `{SCRAM-SHA-256}` (RFC 5803, Dovecot,
//! PostgreSQL).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use super::common::{same, within};
use super::digest::{Hash, from_hex};
use super::error::SchemeError;

/// Most rounds, over all blocks of the key: about a second.
const ROUNDS_MAX: u64 = 2_000_000;

/// Longest key, in octets.
const KEY_MAX: usize = 64;

/// Shortest key, in octets: a shorter one has been truncated.
const KEY_MIN: usize = 16;

/// Base64 with `+` or `.`, with or without padding: passlib and OpenLDAP write `.` and no padding.
const LOOSE: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const LOOSE_STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LOOSE);

/// A key derived from the password by PBKDF2.
pub(super) struct Derived {
    scheme: &'static str,
    hash: Hash,
    rounds: u32,
    salt: Vec<u8>,
    key: Vec<u8>,
    /// Whether `key` is SCRAM's StoredKey rather than PBKDF2's output.
    scram: bool,
}

impl Derived {
    /// `None` if the scheme is not in this family.
    pub(super) fn parse(name: &str, text: &str) -> Result<Option<Self>, SchemeError> {
        let (scheme, hash) = match name {
            "PBKDF2" | "PBKDF2-SHA1" => ("PBKDF2", Hash::Sha1),
            "PBKDF2-SHA256" => ("PBKDF2-SHA256", Hash::Sha256),
            "PBKDF2-SHA512" => ("PBKDF2-SHA512", Hash::Sha512),
            "SCRAM-SHA-1" => return scram("SCRAM-SHA-1", Hash::Sha1, text).map(Some),
            "SCRAM-SHA-256" => return scram("SCRAM-SHA-256", Hash::Sha256, text).map(Some),
            _ => return Ok(None),
        };
        let damaged = SchemeError::Damaged("not rounds, salt and key");
        // Dovecot: `$1$SALT$ROUNDS$HEX`, with the salt as it is.
        if let Some(rest) = text.strip_prefix("$1$") {
            let mut parts = rest.splitn(3, '$');
            let (Some(salt), Some(rounds), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(damaged);
            };
            let key = from_hex(key).ok_or(damaged)?;
            return Self::new(scheme, hash, rounds, salt.as_bytes().to_vec(), key, false).map(Some);
        }
        // OpenLDAP: `ROUNDS$SALT$KEY`.
        Self::of_fields(scheme, hash, text).map(Some)
    }

    /// passlib's `$pbkdf2-sha256$ROUNDS$SALT$KEY`; `None` if it is another crypt(3) string.
    pub(super) fn parse_crypt(text: &str) -> Result<Option<Self>, SchemeError> {
        let families = [
            ("$pbkdf2$", "PBKDF2", Hash::Sha1),
            ("$pbkdf2-sha256$", "PBKDF2-SHA256", Hash::Sha256),
            ("$pbkdf2-sha512$", "PBKDF2-SHA512", Hash::Sha512),
        ];
        let found = families
            .iter()
            .find_map(|(id, scheme, hash)| Some((text.strip_prefix(id)?, *scheme, *hash)));
        match found {
            Some((rest, scheme, hash)) => Self::of_fields(scheme, hash, rest).map(Some),
            None => Ok(None),
        }
    }

    fn of_fields(scheme: &'static str, hash: Hash, text: &str) -> Result<Self, SchemeError> {
        let damaged = SchemeError::Damaged("not rounds, salt and key");
        let fields: Vec<&str> = text.split('$').collect();
        let [rounds, salt, key] = fields[..] else {
            return Err(damaged);
        };
        let (Some(salt), Some(key)) = (from_base64(salt), from_base64(key)) else {
            return Err(damaged);
        };
        Self::new(scheme, hash, rounds, salt, key, false)
    }

    fn new(
        scheme: &'static str,
        hash: Hash,
        rounds: &str,
        salt: Vec<u8>,
        key: Vec<u8>,
        scram: bool,
    ) -> Result<Self, SchemeError> {
        let rounds: u32 = rounds
            .parse()
            .ok()
            .filter(|rounds| *rounds > 0)
            .ok_or(SchemeError::Damaged("the rounds are not a number"))?;
        let wrong_length = if scram {
            key.len() != hash.len()
        } else {
            !(KEY_MIN..=KEY_MAX).contains(&key.len())
        };
        if wrong_length {
            return Err(SchemeError::Damaged("not of the length of its scheme"));
        }
        let blocks = key.len().div_ceil(hash.len()) as u64;
        within(scheme, "rounds", u64::from(rounds) * blocks, ROUNDS_MAX)?;
        Ok(Self {
            scheme,
            hash,
            rounds,
            salt,
            key,
            scram,
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.scheme
    }

    pub(super) fn verify(&self, password: &str) -> bool {
        if !self.scram {
            return same(&self.derive(password.as_bytes(), self.key.len()), &self.key);
        }
        // RFC 5802 section 3. A text that SASLprep (RFC 4013) refuses is used unchanged, as most programs do.
        let prepared = stringprep::saslprep(password).unwrap_or_else(|_| password.into());
        let salted = self.derive(prepared.as_bytes(), self.hash.len());
        let stored_key = match self.hash {
            Hash::Sha256 => client_key::<Hmac<Sha256>>(&salted).map(|key| Sha256::digest(key).to_vec()),
            _ => client_key::<Hmac<Sha1>>(&salted).map(|key| Sha1::digest(key).to_vec()),
        };
        stored_key.is_some_and(|stored_key| same(&stored_key, &self.key))
    }

    fn derive(&self, password: &[u8], len: usize) -> zeroize::Zeroizing<Vec<u8>> {
        let mut out = zeroize::Zeroizing::new(vec![0; len]);
        let (salt, rounds) = (&self.salt, self.rounds);
        match self.hash {
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, &mut out),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, rounds, &mut out),
            Hash::Sha1 | Hash::Md5 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, rounds, &mut out),
        }
        out
    }
}

/// SCRAM's ClientKey (RFC 5802 section 3).
fn client_key<M: Mac + KeyInit>(salted: &[u8]) -> Option<Vec<u8>> {
    let mut mac = <M as Mac>::new_from_slice(salted).ok()?;
    mac.update(b"Client Key");
    Some(mac.finalize().into_bytes().to_vec())
}

/// Dovecot's `ROUNDS,SALT,STORED,SERVER`, or RFC 5803's `ROUNDS:SALT$STORED:SERVER`, which PostgreSQL writes too.
fn scram(scheme: &'static str, hash: Hash, text: &str) -> Result<Derived, SchemeError> {
    let fields: Vec<&str> = text.split([',', ':', '$']).collect();
    let [rounds, salt, stored_key, _server_key] = fields[..] else {
        return Err(SchemeError::Damaged("not rounds, salt, stored and server key"));
    };
    let (Ok(salt), Ok(key)) = (STANDARD.decode(salt), STANDARD.decode(stored_key)) else {
        return Err(SchemeError::Damaged("not in the encoding of its scheme"));
    };
    Derived::new(scheme, hash, rounds, salt, key, true)
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    LOOSE_STANDARD.decode(text.replace('.', "+")).ok()
}
