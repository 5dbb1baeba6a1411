//! Adds a link to the chain: the results for a message that is forwarded (RFC 8617 section 5.1).

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use postern_mail::Header;
use postern_mail::fields::{FieldError, NewField};
use postern_policy::authenticity::ArcResult;

use super::chain::{LINKS_MAX, field_of};
use crate::canon::{self, Form};
use crate::judge::dkim::{Covered, Kind, Signature, itself};
use crate::{BodyHash, CryptoFailed, SigningKey};

/// Fields that a link covers if present; `From` is always covered.
const COVERED: [&str; 14] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "DKIM-Signature",
];

/// The key with which a link is made.
#[derive(Clone, Debug)]
pub struct Sealer {
    /// The domain, `d=`, in A-labels.
    pub domain: String,
    /// The selector, `s=`.
    pub selector: String,
    /// The key.
    pub key: Arc<SigningKey>,
}

/// Why a message gets no link.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotSealed {
    /// The received chain is broken or could not be checked: another link would be useless.
    #[error("the chain in the message does not verify")]
    Broken,
    /// It has 50 links.
    #[error("the chain is as long as it may be")]
    Full,
    /// There is no `From`.
    #[error("no From field")]
    NoFrom,
    /// A field cannot be put into a header.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

/// What is known about a message to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The verdict on the chain it arrived with.
    pub chain: ArcResult,
    /// How many links that chain has.
    pub links: u32,
    /// The value of our `Authentication-Results`.
    pub results: &'a str,
    /// The hash of the body as it is sent, in the relaxed form.
    pub body: &'a BodyHash,
    /// Now, in seconds since 1970.
    pub now: u64,
}

/// The three fields of a link, in the order in which they are placed on top of the header.
///
/// # Errors
///
/// [`NotSealed`].
pub fn seal(header: &Header, found: &Found<'_>, sealer: &Sealer) -> Result<[NewField; 3], NotSealed> {
    let (validation, links) = match found.chain {
        ArcResult::None => ("none", 0),
        ArcResult::Pass => ("pass", found.links),
        ArcResult::Fail | ArcResult::TempError => return Err(NotSealed::Broken),
    };
    if links >= LINKS_MAX {
        return Err(NotSealed::Full);
    }
    if header.place("From", 0).is_none() {
        return Err(NotSealed::NoFrom);
    }
    let instance = links + 1;
    let Sealer {
        domain,
        selector,
        key,
    } = sealer;
    let whose = format!("a={}; d={domain}; s={selector}; t={}", key.algorithm(), found.now);
    let results = NewField::new(
        "ARC-Authentication-Results",
        format!("i={instance}; {}", found.results).as_bytes(),
    )?;
    let names = names(header).join(":");
    let body_hash = BASE64_STANDARD.encode(found.body.sha256);
    let unsigned =
        format!("i={instance}; {whose};\n\tc=relaxed/relaxed; h={names};\n\tbh={body_hash};\n\tb=");
    let message = signed(key, "ARC-Message-Signature", &unsigned, |field, out| {
        // Our own text is well formed; otherwise it would cover nothing and never verify.
        let text = format!("{unsigned}AAAA");
        if let Ok(signature) = Signature::parse(text.as_bytes(), Kind::ArcMessage) {
            out.extend(Covered::new(header).by(&signature, field));
        }
    })?;
    let unsigned = format!("i={instance}; cv={validation}; {whose};\n\tb=");
    let seal = signed(key, "ARC-Seal", &unsigned, |field, out| {
        for link in 1..=links {
            for name in ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"] {
                if let Some(raw) = field_of(header, name, link) {
                    canon::field(Form::Relaxed, raw, out);
                }
            }
        }
        canon::field(Form::Relaxed, results.raw(), out);
        canon::field(Form::Relaxed, message.raw(), out);
        itself(Form::Relaxed, field, out);
    })?;
    Ok([seal, message, results])
}

/// A name for each field present, as often as it occurs, and `From` once more, so that adding a second one breaks
/// the signature.
fn names(header: &Header) -> Vec<&'static str> {
    let more = |name| usize::from(name == "From");
    let times = |name| std::iter::repeat_n(name, header.named(name).count().min(16) + more(name));
    COVERED.into_iter().flat_map(times).collect()
}

/// The field with its signature. `cover` writes what is signed, given the field without it.
fn signed(
    key: &SigningKey,
    name: &str,
    unsigned: &str,
    cover: impl FnOnce(&[u8], &mut Vec<u8>),
) -> Result<NewField, NotSealed> {
    let field = NewField::new(name, unsigned.as_bytes())?;
    let mut covered = Vec::new();
    cover(field.raw(), &mut covered);
    let value = BASE64_STANDARD.encode(key.sign(&covered)?);
    // Blanks in the value are ignored; lines stay short.
    let lines: Vec<&str> = value
        .as_bytes()
        .chunks(70)
        .filter_map(|chunk| std::str::from_utf8(chunk).ok())
        .collect();
    Ok(NewField::new(
        name,
        format!("{unsigned}{}", lines.join("\n\t ")).as_bytes(),
    )?)
}
