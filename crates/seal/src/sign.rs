//! Signs a message: one header field for each key (RFC 6376 section 5).

mod fields;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern_mail::fields::FieldError;
use postern_mail::{Header, NewField};

use crate::canon::{self, Canonicalization, Form};
use crate::{Algorithm, BodyHash, CryptoFailed, SigningKey};

pub use self::fields::{FieldNames, OVERSIGNED, SIGNED};

/// Name of the field.
pub const FIELD: &str = "DKIM-Signature";

/// Most names in `h=`. No legitimate mail has headers that lead to more.
pub const NAMES_MAX: usize = 500;

/// One key with which a domain signs.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The domain, `d=`, in A-labels.
    pub domain: String,
    /// The selector, `s=`.
    pub selector: String,
    /// The key.
    pub key: Arc<SigningKey>,
    /// The canonical forms, `c=`.
    pub canonicalization: Canonicalization,
    /// Which fields are signed.
    pub fields: Arc<FieldNames>,
    /// How long a signature is valid, `x=`; `None` for ever.
    pub expires: Option<Duration>,
}

/// Why a message was not signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignError {
    /// One of the signed fields occurs hundreds of times.
    #[error("more than {NAMES_MAX} header fields to sign")]
    TooManyFields,
    /// There is no `From`, which must be signed.
    #[error("no From field")]
    NoFrom,
    /// The field cannot be put into a header; this does not happen with valid DNS names.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

impl Signer {
    /// Signs a message, given its header as it will be sent and the hash of its body in the form named by
    /// [`Signer::canonicalization`]. The field must be placed on top of the header. With an RSA key this takes about a
    /// millisecond.
    ///
    /// # Errors
    ///
    /// [`SignError`].
    pub fn sign(&self, header: &Header, body: &BodyHash, now: Timestamp) -> Result<NewField, SignError> {
        let names = self.fields.names(header)?;
        let unsigned = write::unsigned(self, &names, body, now);
        let field = NewField::new(FIELD, unsigned.as_bytes())?;
        let data = covered(self.canonicalization.header, header, &names, field.raw());
        let signature = self.key.sign(&data)?;
        Ok(NewField::new(
            FIELD,
            write::signed(unsigned, &signature).as_bytes(),
        )?)
    }

    /// The algorithm, `a=`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }
}

/// The octets that a signature covers (RFC 6376 section 3.7): the named fields, for each name the lowest first, then the
/// signature's own field with an empty `b=`.
fn covered(form: Form, header: &Header, names: &[&str], unsigned: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(header.octets().min(16 << 10));
    // For each name, the remaining fields, the lowest last.
    let mut left: HashMap<String, Vec<&[u8]>> = HashMap::new();
    for name in names {
        let fields = left
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| header.named(name).map(|(_, field)| field.raw()).collect());
        // A name without a remaining field signs the field's absence.
        if let Some(field) = fields.pop() {
            canon::field(form, field, &mut data);
        }
    }
    canon::field_unended(form, unsigned, &mut data);
    data
}
