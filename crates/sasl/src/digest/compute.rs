//! The computations of RFC 2831 section 2.1.2.1.

use zeroize::Zeroizing;

use super::hash::{Hash, md5};
use super::{DigestSecret, NONCE_COUNT, Protection};
use crate::key_text::hex;

/// What goes into both sides' proofs.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) nonce: &'a [u8],
    pub(super) cnonce: &'a [u8],
    pub(super) digest_uri: &'a [u8],
    pub(super) authzid: Option<&'a [u8]>,
    pub(super) protection: Protection,
}

/// Whose proof it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Prover {
    Client,
    Server,
}

/// `H(A1)`, the key of the session.
pub(super) fn session_key(secret: &DigestSecret, facts: &Facts<'_>) -> Hash {
    let (colon, authzid) = match facts.authzid {
        Some(authzid) => (b":".as_slice(), authzid),
        None => (b"".as_slice(), b"".as_slice()),
    };
    md5(&[
        secret.expose(),
        b":",
        facts.nonce,
        b":",
        facts.cnonce,
        colon,
        authzid,
    ])
}

/// `response-value` of the client, or of the server's `rspauth`.
pub(super) fn proof(session_key: &Hash, facts: &Facts<'_>, prover: Prover) -> Zeroizing<String> {
    let method: &[u8] = match prover {
        Prover::Client => b"AUTHENTICATE:",
        Prover::Server => b":",
    };
    let no_entity: &[u8] = match facts.protection {
        Protection::None => b"",
        Protection::Integrity | Protection::Confidentiality(_) => b":00000000000000000000000000000000",
    };
    let a2 = md5(&[method, facts.digest_uri, no_entity]);
    let sum = md5(&[
        hex(session_key.as_slice()).as_bytes(),
        b":",
        facts.nonce,
        b":",
        NONCE_COUNT.as_bytes(),
        b":",
        facts.cnonce,
        b":",
        facts.protection.qop().as_bytes(),
        b":",
        hex(a2.as_slice()).as_bytes(),
    ]);
    hex(sum.as_slice())
}
