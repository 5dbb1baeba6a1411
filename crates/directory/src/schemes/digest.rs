//! `{SHA}`, `{SSHA}` and the like: one digest over password and salt (RFC 2307 and the drafts after it).
//!
//! They are quick to crack once stolen, but many directories still use them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use super::common::same;
use super::error::SchemeError;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    pub(super) const fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn of(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        fn digest<D: Digest>(password: &[u8], salt: &[u8]) -> Vec<u8> {
            D::new()
                .chain_update(password)
                .chain_update(salt)
                .finalize()
                .to_vec()
        }
        match self {
            Self::Md5 => digest::<Md5>(password, salt),
            Self::Sha1 => digest::<Sha1>(password, salt),
            Self::Sha256 => digest::<Sha256>(password, salt),
            Self::Sha512 => digest::<Sha512>(password, salt),
        }
    }
}

/// A digest with its salt, which may be empty.
pub(super) struct Salted {
    scheme: &'static str,
    hash: Hash,
    digest: Vec<u8>,
    salt: Vec<u8>,
}

/// Name, digest, whether it has a salt, and whether the text is usually hexadecimal.
const SCHEMES: &[(&str, Hash, bool, bool)] = &[
    ("SSHA", Hash::Sha1, true, false),
    ("SSHA256", Hash::Sha256, true, false),
    ("SSHA512", Hash::Sha512, true, false),
    ("SMD5", Hash::Md5, true, false),
    ("SHA", Hash::Sha1, false, false),
    ("SHA1", Hash::Sha1, false, false),
    ("SHA256", Hash::Sha256, false, false),
    ("SHA512", Hash::Sha512, false, false),
    ("LDAP-MD5", Hash::Md5, false, false),
    ("MD5", Hash::Md5, false, false),
    ("PLAIN-MD5", Hash::Md5, false, true),
];

impl Salted {
    /// `None` if the scheme is not in this family. `.HEX` and `.B64` after a name select the encoding, as in
    /// Dovecot.
    pub(super) fn parse(name: &str, text: &str) -> Result<Option<Self>, SchemeError> {
        let (name, form) = name
            .split_once('.')
            .map_or((name, None), |(name, form)| (name, Some(form)));
        let Some(&(scheme, hash, has_salt, usually_hex)) = SCHEMES.iter().find(|known| known.0 == name)
        else {
            return Ok(None);
        };
        if scheme == "MD5" && text.starts_with('$') {
            return Ok(None);
        }
        let is_hex = match form {
            None => usually_hex,
            Some("HEX") => true,
            Some("B64" | "BASE64") => false,
            Some(_) => return Ok(None),
        };
        let mut digest = if is_hex {
            from_hex(text)
        } else {
            STANDARD.decode(text).ok()
        }
        .ok_or(SchemeError::Damaged("not in the encoding of its scheme"))?;
        let long_enough = match has_salt {
            true => digest.len() > hash.len(),
            false => digest.len() == hash.len(),
        };
        if !long_enough {
            return Err(SchemeError::Damaged("not of the length of its scheme"));
        }
        let salt = digest.split_off(hash.len());
        Ok(Some(Self {
            scheme,
            hash,
            digest,
            salt,
        }))
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.scheme
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        same(&self.hash.of(password, &self.salt), &self.digest)
    }
}

/// Octets from hexadecimal digits of either case.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |octet: u8| char::from(octet).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}
