//! A signed token as text: its three parts, its header, and its signature (RFC 7515, RFC 7519).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::SigningAlgorithm;
use super::claims::Claims;
use super::jwks::KeySet;
use super::refusal::{Refusal, Shown};

/// Longest token, in octets: what the mechanisms accept.
pub const TOKEN_MAX: usize = 8_192;

/// Types of access tokens (RFC 9068 section 2.1, and what most providers write).
const ACCESS_TOKEN_TYPES: [&str; 2] = ["at+jwt", "application/at+jwt"];
const PLAIN_TYPES: [&str; 2] = ["jwt", "application/jwt"];

/// The form of a token, determined without trusting its content.
#[derive(Debug)]
pub enum Form<'a> {
    /// Signed, and not checked yet.
    Signed(Signed<'a>),
    /// Readable only by its provider.
    Opaque,
}

/// A signed token in parts. Neither header nor claims can be trusted before [`Signed::check`].
#[derive(Debug)]
pub struct Signed<'a> {
    header: Header,
    claims: Claims,
    /// What is signed.
    message: &'a str,
    signature: &'a str,
}

/// The relevant parts of the header. Keys and addresses of keys in it (`jwk`, `jku`, `x5c`, `x5u`) are never looked at.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
    enc: Option<Value>,
}

impl<'a> Form<'a> {
    /// Parses a token.
    ///
    /// # Errors
    ///
    /// It looks like a signed token but is not a valid one, or is encrypted.
    pub fn of(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_MAX {
            return Err(Refusal::Malformed("too long"));
        }
        let Some((first, _)) = token.split_once('.') else {
            return Ok(Self::Opaque);
        };
        let Some(header) = decode(first) else {
            return Ok(Self::Opaque);
        };
        if !header.starts_with(b"{") {
            return Ok(Self::Opaque);
        }
        let header: Header =
            serde_json::from_slice(&header).map_err(|_| Refusal::Malformed("its header is not valid"))?;
        let parts = token.split('.').count();
        if header.enc.is_some() || parts == 5 {
            return Err(Refusal::Encrypted);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed("no signature"))?;
        let (_, payload) = message
            .split_once('.')
            .ok_or(Refusal::Malformed("not three parts"))?;
        if parts != 3 {
            return Err(Refusal::Malformed("not three parts"));
        }
        let payload = decode(payload).ok_or(Refusal::Malformed("its claims are not base64url"))?;
        let claims = serde_json::from_slice(&payload)
            .map_err(|_| Refusal::Malformed("its claims are not a JSON object"))?;
        Ok(Self::Signed(Signed {
            header,
            claims,
            message,
            signature,
        }))
    }
}

impl Signed<'_> {
    /// The issuer that it claims, only for choosing a provider.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Its unverified claims, only for display.
    pub(super) fn unproven_claims(&self) -> &Claims {
        &self.claims
    }

    /// The algorithm and key that it names, for display.
    pub(super) fn describe(&self) -> String {
        let kid = self.header.kid.as_deref().unwrap_or("none");
        format!("alg {}, kid {kid}", self.header.alg)
    }

    /// The type that it names, for display.
    pub(super) fn named_type(&self) -> &str {
        self.header.typ.as_deref().unwrap_or("nothing")
    }

    /// Whether its type is that of an access token. One without a type is accepted unless the type is required, but not one
    /// that says it is something else, such as a logout token (RFC 8725 section 3.11).
    pub(super) fn check_type(&self, needed: bool) -> Result<(), Refusal> {
        let Some(typ) = &self.header.typ else {
            return match needed {
                true => Err(Refusal::Type(Shown::new("nothing"))),
                false => Ok(()),
            };
        };
        let is_in = |list: &[&str]| list.iter().any(|name| typ.eq_ignore_ascii_case(name));
        if is_in(&ACCESS_TOKEN_TYPES) || (!needed && is_in(&PLAIN_TYPES)) {
            Ok(())
        } else {
            Err(Refusal::Type(Shown::new(typ)))
        }
    }

    /// The algorithm, if it is an accepted one.
    pub(super) fn algorithm(&self, taken: &[SigningAlgorithm]) -> Result<SigningAlgorithm, Refusal> {
        if self.header.crit.is_some() {
            return Err(Refusal::Critical);
        }
        SigningAlgorithm::from_name(&self.header.alg)
            .filter(|algorithm| taken.contains(algorithm))
            .ok_or_else(|| Refusal::Algorithm(Shown::new(&self.header.alg)))
    }

    /// Verifies the signature and returns the claims, which can then be trusted.
    ///
    /// # Errors
    ///
    /// The algorithm is not accepted, the key is not the provider's or not for this algorithm, or the signature is wrong.
    pub fn check(&self, keys: &KeySet, taken: &[SigningAlgorithm]) -> Result<&Claims, Refusal> {
        let algorithm = self.algorithm(taken)?;
        let kid = self.header.kid.as_deref();
        for key in keys.candidates(kid, algorithm)? {
            let held = jsonwebtoken::crypto::verify(
                self.signature,
                self.message.as_bytes(),
                key,
                algorithm.library(),
            );
            if matches!(held, Ok(true)) {
                return Ok(&self.claims);
            }
        }
        // Without a name, any key may be meant, including a new one.
        match kid {
            Some(_) => Err(Refusal::Signature),
            None => Err(Refusal::UnknownKey(Shown::new("without a name"))),
        }
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

#[cfg(test)]
mod tests;
