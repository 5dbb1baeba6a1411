//! SCRAM's messages as text (RFC 5802 sections 5.1 and 7). Errors are short texts for the log.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::{ITERATIONS_MAX, ITERATIONS_MIN, SALT_MAX};

/// Longest nonce of one side, in octets.
pub(crate) const NONCE_MAX: usize = 256;

/// What the client says about channel binding (`gs2-cbind-flag`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Flag {
    /// `n`: it does not support it.
    Cannot,
    /// `y`: it supports it, but believes that the server does not.
    ServerCannot,
    /// `p=…`: it uses it, with this type.
    Binds(String),
}

/// `client-first-message`.
#[derive(Debug)]
pub(crate) struct ClientFirst<'a> {
    pub(crate) flag: Flag,
    pub(crate) authzid: Option<String>,
    pub(crate) username: String,
    pub(crate) nonce: &'a str,
    /// `gs2-header`, with its last comma.
    pub(crate) header: &'a str,
    /// `client-first-message-bare`.
    pub(crate) bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let message = std::str::from_utf8(message).map_err(|_| "not UTF-8")?;
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("no GS2 header");
        };
        let header = &message[..message.len() - bare.len()];
        let flag = match flag {
            "n" => Flag::Cannot,
            "y" => Flag::ServerCannot,
            _ => Flag::Binds(binding_name(flag)?.to_owned()),
        };
        let authzid = match authzid {
            // GNU SASL writes an empty one where the RFC wants none.
            "" | "a=" => None,
            _ => Some(unescape(
                authzid.strip_prefix("a=").ok_or("no authorization identity")?,
            )?),
        };
        if bare.starts_with("m=") {
            return Err("a mandatory extension");
        }
        let mut attributes = bare.split(',');
        let username = attribute(attributes.next(), "n=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        check_nonce(nonce)?;
        Ok(Self {
            flag,
            authzid,
            username: unescape(username)?,
            nonce,
            header,
            bare,
        })
    }
}

/// `server-first-message`.
#[derive(Debug)]
pub(crate) struct ServerFirst<'a> {
    /// The nonces of both sides.
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let message = std::str::from_utf8(message).map_err(|_| "not UTF-8")?;
        if message.starts_with("m=") {
            return Err("a mandatory extension");
        }
        let mut attributes = message.split(',');
        let nonce = attribute(attributes.next(), "r=")?;
        let salt = attribute(attributes.next(), "s=")?;
        let iterations = attribute(attributes.next(), "i=")?;
        check_nonce(nonce)?;
        if salt.len() > SALT_MAX * 2 {
            return Err("the salt is too long");
        }
        let salt = STANDARD.decode(salt).map_err(|_| "the salt is not base64")?;
        if salt.is_empty() || salt.len() > SALT_MAX {
            return Err("the salt is empty or too long");
        }
        let digits = !iterations.is_empty() && iterations.bytes().all(|b| b.is_ascii_digit());
        let iterations = iterations
            .parse()
            .ok()
            .filter(|_| digits)
            .ok_or("iterations are not a number")?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err("too few or too many iterations");
        }
        Ok(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

/// `client-final-message`.
#[derive(Debug)]
pub(crate) struct ClientFinal<'a> {
    /// `c=`: GS2 header and channel binding data.
    pub(crate) binding: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: Vec<u8>,
    /// `client-final-message-without-proof`.
    pub(crate) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let message = std::str::from_utf8(message).map_err(|_| "not UTF-8")?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or("no proof")?;
        let mut attributes = without_proof.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        Ok(Self {
            binding: STANDARD
                .decode(binding)
                .map_err(|_| "the channel binding is not base64")?,
            nonce,
            proof: STANDARD.decode(proof).map_err(|_| "the proof is not base64")?,
            without_proof,
        })
    }
}

/// `server-final-message`.
#[derive(Debug)]
pub(crate) enum ServerFinal<'a> {
    /// `v=`: the server's signature.
    Verifier(Vec<u8>),
    /// `e=`: why it refuses.
    Error(&'a str),
}

impl<'a> ServerFinal<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let message = std::str::from_utf8(message).map_err(|_| "not UTF-8")?;
        let first = message.split(',').next().unwrap_or_default();
        if let Some(error) = first.strip_prefix("e=") {
            return Ok(Self::Error(error));
        }
        let verifier = first.strip_prefix("v=").ok_or("no signature")?;
        let verifier = STANDARD
            .decode(verifier)
            .map_err(|_| "the signature is not base64")?;
        Ok(Self::Verifier(verifier))
    }
}

/// The value of an attribute that must come at this position.
fn attribute<'a>(text: Option<&'a str>, start: &str) -> Result<&'a str, &'static str> {
    text.and_then(|text| text.strip_prefix(start))
        .ok_or("an attribute is missing or out of order")
}

/// `cb-name` (section 7).
fn binding_name(flag: &str) -> Result<&str, &'static str> {
    let name = flag.strip_prefix("p=").ok_or("no channel binding flag")?;
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        return Err("no channel binding type");
    }
    Ok(name)
}

/// `printable`: visible ASCII without a comma.
fn check_nonce(nonce: &str) -> Result<(), &'static str> {
    if nonce.is_empty() || nonce.len() > 2 * NONCE_MAX || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the nonce is empty, too long or not printable");
    }
    Ok(())
}

/// Reads a `saslname`: `=2C` is a comma and `=3D` an equals sign, and no other `=` is allowed (section 5.1).
pub(crate) fn unescape(name: &str) -> Result<String, &'static str> {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('=') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (c, length) = match rest.as_bytes().get(1..3) {
            Some(b"2C" | b"2c") => (',', 3),
            Some(b"3D" | b"3d") => ('=', 3),
            _ => return Err("a stray equals sign in a name"),
        };
        text.push(c);
        rest = &rest[length..];
    }
    text.push_str(rest);
    Ok(text)
}

/// Writes a `saslname`.
pub(crate) fn escape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            ',' => text.push_str("=2C"),
            '=' => text.push_str("=3D"),
            c => text.push(c),
        }
    }
    text
}

/// Writes a GS2 header, with its last comma.
pub(crate) fn header(flag: &Flag, authzid: Option<&str>) -> String {
    let mut text = match flag {
        Flag::Cannot => "n,".to_owned(),
        Flag::ServerCannot => "y,".to_owned(),
        Flag::Binds(name) => format!("p={name},"),
    };
    if let Some(authzid) = authzid {
        let _ = write!(text, "a={}", escape(authzid));
    }
    text.push(',');
    text
}
