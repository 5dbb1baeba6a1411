//! DIGEST-MD5 (RFC 2831; moved to historic by RFC 6331, but the only mechanism of some old devices), with its security
//! layers.

mod client;
mod compute;
mod directive;
mod hash;
mod layer;
mod secret;
mod server;

pub(crate) use client::DigestClient;
pub use secret::DigestSecret;
pub(crate) use secret::SECRET_PREFIX;
pub(crate) use server::DigestServer;

use crate::mechanism::Mechanism;

const NAME: &str = Mechanism::DigestMd5.name();

/// Service part of `digest-uri`.
const SERVICE: &str = "smtp";

/// The only `nc`: no nonce is used twice.
const NONCE_COUNT: &str = "00000001";

/// Largest security layer buffer accepted, in octets; what RFC 2831 section 2.1.1 has as the default.
const BUFFER_MAX: usize = 65_536;

/// Smallest peer limit that leaves room for text besides what the layer adds.
const BUFFER_MIN: usize = 64;

/// Quality of protection (`qop`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protection {
    /// `auth`: authentication only.
    None,
    /// `auth-int`.
    Integrity,
    /// `auth-conf`.
    Confidentiality(Cipher),
}

/// Cipher of `auth-conf`. The weaker ones of RFC 2831 (`des`, `rc4-40`, `rc4-56`) are not supported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cipher {
    Rc4,
    TripleDes,
}

impl Protection {
    fn qop(self) -> &'static str {
        match self {
            Self::None => "auth",
            Self::Integrity => "auth-int",
            Self::Confidentiality(_) => "auth-conf",
        }
    }

    fn bits(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Integrity => 1,
            Self::Confidentiality(Cipher::TripleDes) => 112,
            Self::Confidentiality(Cipher::Rc4) => 128,
        }
    }
}

impl Cipher {
    /// As named in `cipher`, in order of preference.
    const ALL: [(&'static str, Self); 2] = [("rc4", Self::Rc4), ("3des", Self::TripleDes)];

    fn name(self) -> &'static str {
        match self {
            Self::Rc4 => "rc4",
            Self::TripleDes => "3des",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        let found = Self::ALL
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(found.1)
    }
}

/// Reads `maxbuf`; the default if there is none.
fn buffer_max(value: Option<&[u8]>) -> Result<usize, &'static str> {
    let Some(value) = value else {
        return Ok(BUFFER_MAX);
    };
    let digits = value.iter().all(u8::is_ascii_digit) && (1..=8).contains(&value.len());
    let number: Option<usize> = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    match number {
        Some(number) if digits && number >= BUFFER_MIN => Ok(number.min(BUFFER_MAX)),
        _ => Err("maxbuf is not a number, or too small"),
    }
}

/// Text in the character set of a message: UTF-8 if `charset` says so, otherwise ISO 8859-1.
fn text_of(octets: &[u8], utf8: bool) -> Result<String, &'static str> {
    if utf8 {
        std::str::from_utf8(octets)
            .map(str::to_owned)
            .map_err(|_| "not UTF-8")
    } else {
        Ok(octets.iter().copied().map(char::from).collect())
    }
}

#[cfg(test)]
mod tests;
