//! The `$id$` strings of crypt(3): MD5-crypt, bcrypt, SHA-crypt, yescrypt, argon2.

use argon2::Argon2;
use argon2::password_hash::{Error as PhcError, PasswordHash, PasswordVerifier};
use sha_crypt::{PasswordVerifier as _, ShaCrypt};
use yescrypt::{Params as YescryptParams, Yescrypt};

use super::common::{same, within};
use super::error::SchemeError;
use super::md5_crypt;

/// Highest cost of bcrypt, the binary logarithm of its rounds: about a second.
const BCRYPT_COST_MAX: u64 = 14;

/// Most rounds of SHA-crypt. passlib writes up to 656,000.
const SHA_ROUNDS_MAX: u64 = 1_000_000;

/// Fewest rounds of SHA-crypt that crypt(3) accepts.
const SHA_ROUNDS_MIN: u64 = 1_000;

/// Longest password of SHA-crypt and yescrypt, in octets, as in libxcrypt: a longer one was never stored.
const CRYPT_PASSWORD_MAX: usize = 511;

/// Most memory of yescrypt and argon2, in KiB.
const MEMORY_KIB_MAX: u64 = 256 * 1_024;

/// Most passes of argon2 over its memory times that memory, in KiB: about a second.
const ARGON2_WORK_MAX: u64 = 1_024 * 1_024;

/// Most lanes of argon2, and most parallelism of yescrypt.
const LANES_MAX: u64 = 16;

/// Letters of a yescrypt hash.
const YESCRYPT_HASH_LEN: usize = 43;

#[derive(Clone, Copy)]
enum Family {
    Md5,
    Bcrypt,
    Sha256,
    Sha512,
    Yescrypt,
    Argon2,
}

/// A string of crypt(3), with its parameters within limits.
pub(super) struct Crypt {
    family: Family,
    text: String,
}

impl Crypt {
    pub(super) fn parse(text: &str) -> Result<Self, SchemeError> {
        let family = family(text)?;
        match family {
            Family::Md5 => check_md5(text),
            Family::Bcrypt => check_bcrypt(text),
            Family::Sha256 | Family::Sha512 => check_sha(text, family),
            Family::Yescrypt => check_yescrypt(text),
            Family::Argon2 => check_argon2(text),
        }?;
        Ok(Self {
            family,
            text: text.to_owned(),
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        match self.family {
            Family::Md5 => "MD5-CRYPT",
            Family::Bcrypt => "BLF-CRYPT",
            Family::Sha256 => "SHA256-CRYPT",
            Family::Sha512 => "SHA512-CRYPT",
            Family::Yescrypt => "YESCRYPT",
            Family::Argon2 if self.text.starts_with("$argon2id$") => "ARGON2ID",
            Family::Argon2 => "ARGON2",
        }
    }

    pub(super) fn verify(&self, password: &[u8]) -> Result<bool, SchemeError> {
        let text = self.text.as_str();
        match self.family {
            Family::Md5 => {
                let (magic, salt, wanted) = md5_parts(text)?;
                Ok(same(&md5_crypt::hash(magic, salt, password), wanted.as_bytes()))
            }
            Family::Bcrypt => {
                bcrypt::verify(password, text).map_err(|_| SchemeError::Damaged("not of the form of bcrypt"))
            }
            Family::Sha256 | Family::Sha512 | Family::Yescrypt if password.len() > CRYPT_PASSWORD_MAX => {
                Ok(false)
            }
            Family::Sha256 | Family::Sha512 => match ShaCrypt::default().verify_password(password, text) {
                Ok(()) => Ok(true),
                Err(sha_crypt::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(_) => Err(SchemeError::Damaged("not of the form of SHA-crypt")),
            },
            Family::Yescrypt => match Yescrypt::default().verify_password(password, text) {
                Ok(()) => Ok(true),
                Err(yescrypt::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(_) => Err(SchemeError::Damaged("not of the form of yescrypt")),
            },
            Family::Argon2 => verify_argon2(text, password),
        }
    }
}

fn family(text: &str) -> Result<Family, SchemeError> {
    let mut fields = text.splitn(3, '$');
    let (Some(""), Some(id), Some(_)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(SchemeError::Unnamed);
    };
    Ok(match id {
        "1" | "apr1" => Family::Md5,
        "2a" | "2b" | "2y" => Family::Bcrypt,
        "5" => Family::Sha256,
        "6" => Family::Sha512,
        "y" => Family::Yescrypt,
        "argon2i" | "argon2id" | "argon2d" => Family::Argon2,
        _ if !id.is_empty()
            && id.len() <= 16
            && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') =>
        {
            return Err(SchemeError::Unknown(format!("${id}$")));
        }
        _ => return Err(SchemeError::Unnamed),
    })
}

/// Identifier with its `$` signs, salt and hash.
fn md5_parts(text: &str) -> Result<(&str, &str, &str), SchemeError> {
    let damaged = SchemeError::Damaged("not of the form of MD5-crypt");
    let magic = if text.starts_with("$1$") { "$1$" } else { "$apr1$" };
    let (salt, hash) = text
        .strip_prefix(magic)
        .and_then(|rest| rest.split_once('$'))
        .ok_or(damaged)?;
    Ok((magic, salt, hash))
}

fn check_md5(text: &str) -> Result<(), SchemeError> {
    let (_, _, hash) = md5_parts(text)?;
    if hash.len() != 22 {
        return Err(SchemeError::Damaged("not of the form of MD5-crypt"));
    }
    Ok(())
}

fn check_bcrypt(text: &str) -> Result<(), SchemeError> {
    let parts: bcrypt::HashParts = text
        .parse()
        .map_err(|_| SchemeError::Damaged("not of the form of bcrypt"))?;
    if parts.get_cost() < 4 {
        return Err(SchemeError::Damaged("not of the form of bcrypt"));
    }
    within("BLF-CRYPT", "cost", u64::from(parts.get_cost()), BCRYPT_COST_MAX)
}

/// `$5$[rounds=N$]salt$hash`. With rounds out of range, the crate would take them for the salt.
fn check_sha(text: &str, family: Family) -> Result<(), SchemeError> {
    let damaged = SchemeError::Damaged("not of the form of SHA-crypt");
    let (scheme, len) = match family {
        Family::Sha512 => ("SHA512-CRYPT", 86),
        _ => ("SHA256-CRYPT", 43),
    };
    let mut fields: Vec<&str> = text.split('$').skip(2).collect();
    if let Some(rounds) = fields.first().and_then(|first| first.strip_prefix("rounds=")) {
        let rounds: u64 = rounds.parse().map_err(|_| damaged.clone())?;
        if rounds < SHA_ROUNDS_MIN {
            return Err(damaged);
        }
        within(scheme, "rounds", rounds, SHA_ROUNDS_MAX)?;
        fields.remove(0);
    }
    match fields[..] {
        [_salt, hash] if hash.len() == len => Ok(()),
        _ => Err(damaged),
    }
}

/// `$y$params$salt$hash`. The length of the hash is checked here: any password would match an empty one.
fn check_yescrypt(text: &str) -> Result<(), SchemeError> {
    let damaged = SchemeError::Damaged("not of the form of yescrypt");
    let fields: Vec<&str> = text.split('$').skip(2).collect();
    let [params, _salt, hash] = fields[..] else {
        return Err(damaged);
    };
    let params: YescryptParams = params.parse().map_err(|_| damaged.clone())?;
    if hash.len() != YESCRYPT_HASH_LEN {
        return Err(damaged);
    }
    within("YESCRYPT", "parallelism", u64::from(params.p()), LANES_MAX)?;
    let kib = params
        .n()
        .saturating_mul(u64::from(params.r()))
        .saturating_mul(u64::from(params.p()))
        / 8;
    within("YESCRYPT", "memory in KiB", kib, MEMORY_KIB_MAX)?;
    // The crate does not expose the time factor; it is written only if it is not zero, after a letter that announces
    // it. It is not used in practice, so any is refused.
    let plain = YescryptParams::new(yescrypt::Mode::default(), params.n(), params.r(), params.p());
    if plain.is_ok_and(|plain| plain == params) {
        Ok(())
    } else {
        Err(SchemeError::Damaged(
            "a variant of yescrypt that crypt(3) does not write",
        ))
    }
}

fn check_argon2(text: &str) -> Result<(), SchemeError> {
    let hash = PasswordHash::new(text).map_err(|_| SchemeError::Damaged("not of the form of argon2"))?;
    if hash.hash.is_none() || hash.salt.is_none() {
        return Err(SchemeError::Damaged("cut off"));
    }
    let of = |name| hash.params.get_decimal(name).map_or(0, u64::from);
    let (memory, passes, lanes) = (of("m"), of("t"), of("p"));
    within("ARGON2", "memory in KiB", memory, MEMORY_KIB_MAX)?;
    within(
        "ARGON2",
        "memory times passes",
        memory.saturating_mul(passes),
        ARGON2_WORK_MAX,
    )?;
    within("ARGON2", "lanes", lanes, LANES_MAX)
}

fn verify_argon2(text: &str, password: &[u8]) -> Result<bool, SchemeError> {
    let hash = PasswordHash::new(text).map_err(|_| SchemeError::Damaged("not of the form of argon2"))?;
    match Argon2::default().verify_password(password, &hash) {
        Ok(()) => Ok(true),
        Err(PhcError::Password) => Ok(false),
        Err(_) => Err(SchemeError::Damaged("not of the form of argon2")),
    }
}
