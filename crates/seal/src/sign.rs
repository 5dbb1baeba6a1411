//! Signs a message: one header field for each key (RFC 6376 section 5).

mod error;
mod fields;
mod signer;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;

use jiff::Timestamp;

use postern_mail::{Header, NewField};

use crate::BodyHash;
use crate::canon::{self, Form};

pub use self::error::{NAMES_MAX, SignError};
pub use self::fields::{FieldNames, OVERSIGNED, SIGNED};
pub use self::signer::{FIELD, Signer};

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
