//! A signature parsed from its field, of DKIM or of an ARC link.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use postern_policy::authenticity::DkimResult;

use crate::canon::{Canonicalization, Form};
use crate::judge::domain;
use crate::judge::tags::{is_blank, without_blanks};
use crate::{Algorithm, TagFault, TagList};

/// Most names in `h=` examined.
const FIELDS_MAX: usize = 1_000;

/// The field that contains the signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `DKIM-Signature`.
    Dkim,
    /// `ARC-Message-Signature`: without `v=`, and `i=` is a number (RFC 8617 section 4.1.2).
    ArcMessage,
    /// `ARC-Seal`: of the chain only, without `h=`, `bh=` and `c=` (RFC 8617 section 4.1.3).
    ArcSeal,
}

/// A signature that can be checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// How it was made.
    pub algorithm: Algorithm,
    /// Canonical forms of header and body.
    pub forms: Canonicalization,
    /// The signing domain, normalised.
    pub domain: String,
    /// The selector.
    pub selector: String,
    /// On whose behalf it was made, `i=`; `@` and `d=` if absent. Empty for ARC.
    pub identity: String,
    /// The fields that it covers, in their order.
    pub fields: Vec<String>,
    /// The hash of the body.
    pub body_hash: Vec<u8>,
    /// Octets of the body that it covers, `l=`.
    pub length: Option<u64>,
    /// When it was made.
    pub made: Option<u64>,
    /// When it expires.
    pub expires: Option<u64>,
    /// The signature itself.
    pub value: Vec<u8>,
}

/// What is wrong with a signature. None of these passes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// It is not a list of tags.
    #[error("the signature is malformed")]
    Malformed,
    /// A tag occurs twice.
    #[error("the signature has a tag twice")]
    TagTwice,
    /// A tag is missing.
    #[error("the signature has no {0}=")]
    Missing(&'static str),
    /// A tag has an invalid value.
    #[error("{0}= of the signature is not valid")]
    Tag(&'static str),
    /// It has another version.
    #[error("the signature is of an unknown version")]
    Version,
    /// An unknown algorithm.
    #[error("the algorithm is not known")]
    Algorithm,
    /// SHA-1 must no longer be used (RFC 8301 section 3.1).
    #[error("rsa-sha1 is not accepted (RFC 8301)")]
    Sha1,
    /// `i=` is not in `d=`.
    #[error("i= is outside of d=")]
    IdentityOutside,
    /// `From` is not signed (RFC 6376 section 5.4).
    #[error("From is not signed")]
    FromUnsigned,
    /// It has expired (section 3.5, `x=`).
    #[error("the signature has expired")]
    Expired,
    /// More signatures than are checked.
    #[error("too many signatures")]
    TooMany,
    /// The body is not the one that was signed.
    #[error("body hash did not verify")]
    BodyHash,
    /// The body is shorter than `l=` says.
    #[error("the body is shorter than l=")]
    BodyShort,
    /// The signature does not verify.
    #[error("signature did not verify")]
    Signature,
    /// Something is wrong with the key.
    #[error("{0}")]
    Key(#[from] super::key_fault::KeyFault),
}

impl Fault {
    /// Its result word (RFC 8601 section 2.7.1).
    #[must_use]
    pub fn result(&self) -> DkimResult {
        match self {
            Self::Expired | Self::BodyHash | Self::BodyShort | Self::Signature => DkimResult::Fail,
            Self::Sha1 => DkimResult::Policy,
            Self::TooMany => DkimResult::Neutral,
            Self::Key(key) => key.result(),
            Self::Malformed
            | Self::TagTwice
            | Self::Missing(_)
            | Self::Tag(_)
            | Self::Version
            | Self::Algorithm
            | Self::IdentityOutside
            | Self::FromUnsigned => DkimResult::PermError,
        }
    }
}

impl Signature {
    /// Parses the value of a field. For a faulty one, [`named`] extracts `d=` and `s=` if possible.
    ///
    /// # Errors
    ///
    /// [`Fault`]: it cannot be a pass, whatever its key.
    pub fn parse(value: &[u8], kind: Kind) -> Result<Self, Fault> {
        let text = std::str::from_utf8(value).map_err(|_| Fault::Malformed)?;
        let tags = TagList::parse(text).map_err(|error| match error {
            TagFault::Twice => Fault::TagTwice,
            _ => Fault::Malformed,
        })?;
        let need = |tag: &'static str| tags.get(tag).ok_or(Fault::Missing(tag));
        if kind == Kind::Dkim && need("v")? != "1" {
            return Err(Fault::Version);
        }
        let algorithm = match need("a")?.to_ascii_lowercase().as_str() {
            "rsa-sha256" => Algorithm::RsaSha256,
            "ed25519-sha256" => Algorithm::Ed25519Sha256,
            "rsa-sha1" => return Err(Fault::Sha1),
            _ => return Err(Fault::Algorithm),
        };
        let domain = domain::normal(need("d")?).ok_or(Fault::Tag("d"))?;
        let selector = need("s")?.to_ascii_lowercase();
        if !is_selector(&selector) {
            return Err(Fault::Tag("s"));
        }
        let mut signature = Self {
            algorithm,
            forms: Canonicalization::RELAXED,
            domain,
            selector,
            identity: String::new(),
            fields: Vec::new(),
            body_hash: Vec::new(),
            length: None,
            made: number(&tags, "t")?,
            expires: number(&tags, "x")?,
            value: base64(need("b")?, "b")?,
        };
        if kind != Kind::ArcSeal {
            signature.take_message(&tags, kind)?;
        }
        if let (Some(made), Some(expires)) = (signature.made, signature.expires)
            && expires < made
        {
            return Err(Fault::Tag("x"));
        }
        Ok(signature)
    }

    /// The tags of a signature over a message.
    fn take_message(&mut self, tags: &TagList<'_>, kind: Kind) -> Result<(), Fault> {
        self.forms = match tags.get("c") {
            Some(forms) => forms.to_ascii_lowercase().parse().map_err(|_| Fault::Tag("c"))?,
            None => Canonicalization {
                header: Form::Simple,
                body: Form::Simple,
            },
        };
        self.body_hash = base64(tags.get("bh").ok_or(Fault::Missing("bh"))?, "bh")?;
        self.length = number(tags, "l")?;
        let names = tags.get("h").ok_or(Fault::Missing("h"))?;
        self.fields = names
            .split(':')
            .map(|name| name.trim_matches(is_blank).to_owned())
            .collect();
        if self.fields.len() > FIELDS_MAX || self.fields.iter().any(|name| !is_field_name(name)) {
            return Err(Fault::Tag("h"));
        }
        if !self.fields.iter().any(|name| name.eq_ignore_ascii_case("from")) {
            return Err(Fault::FromUnsigned);
        }
        if kind == Kind::ArcMessage {
            return Ok(());
        }
        if let Some(query) = tags.get("q")
            && !query
                .split(':')
                .any(|one| one.trim_matches(is_blank).eq_ignore_ascii_case("dns/txt"))
        {
            return Err(Fault::Tag("q"));
        }
        self.identity = match tags.get("i") {
            None => format!("@{}", self.domain),
            Some(identity) => {
                let (local, at) = identity.rsplit_once('@').ok_or(Fault::Tag("i"))?;
                let within = domain::normal(at).ok_or(Fault::Tag("i"))?;
                if !domain::is_within(&within, &self.domain) {
                    return Err(Fault::IdentityOutside);
                }
                format!("{}@{within}", without_blanks(local))
            }
        };
        Ok(())
    }

    /// The domain after the `@` in `i=`.
    #[must_use]
    pub fn identity_domain(&self) -> &str {
        self.identity
            .rsplit_once('@')
            .map_or(&self.domain, |(_, domain)| domain)
    }

    /// The DNS name of its key.
    #[must_use]
    pub fn key_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }
}

/// `d=` and `s=` of a signature that may be faulty, as far as they are valid.
#[must_use]
pub(super) fn named(value: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(text) = std::str::from_utf8(value) else {
        return (None, None);
    };
    // Even if the list as a whole is invalid.
    let tag = |wanted: &str| {
        text.split(';')
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim_matches(is_blank) == wanted)
            .map(|(_, value)| value.trim_matches(is_blank))
    };
    let selector = tag("s")
        .map(str::to_ascii_lowercase)
        .filter(|selector| is_selector(selector));
    (tag("d").and_then(domain::normal), selector)
}

/// A field without the value of its `b=`, as it was signed (RFC 6376 section 3.7).
#[must_use]
pub(super) fn without_value(raw: &[u8]) -> Vec<u8> {
    let colon = raw
        .iter()
        .position(|octet| *octet == b':')
        .map_or(raw.len(), |at| at + 1);
    let mut out = raw[..colon].to_vec();
    for (place, part) in raw[colon..].split(|octet| *octet == b';').enumerate() {
        if place > 0 {
            out.push(b';');
        }
        match part.iter().position(|octet| *octet == b'=') {
            Some(equals) if part[..equals].trim_ascii() == b"b" => {
                out.extend_from_slice(&part[..=equals]);
            }
            _ => out.extend_from_slice(part),
        }
    }
    out
}

fn is_selector(text: &str) -> bool {
    text.len() <= 128
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
        })
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|octet| matches!(octet, b'!'..=b'9' | b'<'..=b'~'))
}

fn base64(text: &str, tag: &'static str) -> Result<Vec<u8>, Fault> {
    let octets = BASE64_STANDARD
        .decode(without_blanks(text))
        .map_err(|_| Fault::Tag(tag))?;
    if octets.is_empty() {
        Err(Fault::Tag(tag))
    } else {
        Ok(octets)
    }
}

/// A number with at most as many digits as the RFC allows; if too large for us, the maximum.
fn number(tags: &TagList<'_>, tag: &'static str) -> Result<Option<u64>, Fault> {
    let Some(digits) = tags.get(tag) else {
        return Ok(None);
    };
    let plain = (1..=76).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
    if plain {
        Ok(Some(digits.parse().unwrap_or(u64::MAX)))
    } else {
        Err(Fault::Tag(tag))
    }
}
