//! Rewrites the addresses in the fields of a header; nothing else in it changes.

use std::collections::HashMap;

use postern_mail::address_list::{self, Written};
use postern_mail::fields::FieldError;
use postern_mail::{Header, NewField};
use postern_policy::rewrite::Class;

use super::{Chosen, Rewritten, Trouble};

/// Most different addresses of one header. Nobody writes to as many in one message.
pub(super) const ADDRESSES_MAX: usize = 10_000;

/// The same if databases are asked about each.
pub(super) const ASKED_MAX: usize = 1_000;

/// Most octets by which new addresses may make a header longer.
pub(super) const GROWTH_MAX: usize = 1 << 20;

/// Most changes reported for one header.
const TOLD_MAX: usize = 20;

/// Fields with a signature over other fields.
const SIGNATURES: [&str; 4] = [
    "DKIM-Signature",
    "ARC-Message-Signature",
    "ARC-Seal",
    "DomainKey-Signature",
];

/// What has changed in a header.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changed {
    /// How many fields.
    pub fields: usize,
    /// The first addresses that were changed: old and new.
    pub addresses: Vec<(String, Rewritten)>,
}

/// Whether a header contains a signature.
#[must_use]
pub fn is_signed(header: &Header) -> bool {
    header
        .fields()
        .any(|field| SIGNATURES.iter().any(|name| field.is_named(name)))
}

type Known = HashMap<(Class, String), Option<Rewritten>>;

impl Chosen<'_> {
    /// Rewrites the addresses in a header.
    ///
    /// # Errors
    ///
    /// [`Trouble`]; the header is then partly changed and must not be used.
    pub async fn header(&self, header: &mut Header) -> Result<Changed, Trouble> {
        let mut changed = Changed::default();
        if !self.is_about_header() {
            return Ok(changed);
        }
        let signed = !self.inside && is_signed(header);
        if signed && !self.rules.iter().any(|rule| rule.signed) {
            return Ok(changed);
        }
        let mut known = Known::new();
        let most = match self.is_at_hand() {
            true => ADDRESSES_MAX,
            false => ASKED_MAX,
        };
        let mut grown = 0_usize;
        for index in 0..header.len() {
            let Some(field) = header.get(index) else { break };
            let Some(class) = Class::of_field(field.name()).filter(|class| self.is_about(*class)) else {
                continue;
            };
            let mut changes = Vec::new();
            let value = field.value();
            for place in address_list::places(value) {
                let to = self
                    .known(class, &place.address, (signed, most), &mut known)
                    .await?;
                let Some(rewritten) = to else { continue };
                if changed.addresses.len() < TOLD_MAX {
                    let told = (place.address.to_string(), rewritten.clone());
                    if !changed.addresses.contains(&told) {
                        changed.addresses.push(told);
                    }
                }
                let to = rewritten.to.to_string();
                grown += to.len().saturating_sub(place.range.len());
                if grown > GROWTH_MAX {
                    return Err(Trouble::Grown(GROWTH_MAX));
                }
                changes.push((place.range, to));
            }
            if changes.is_empty() {
                continue;
            }
            let value = address_list::replaced(value, &changes);
            if put(header, index, &value).is_ok() {
                changed.fields += 1;
            }
        }
        Ok(changed)
    }

    async fn known(
        &self,
        class: Class,
        address: &Written,
        (signed, most): (bool, usize),
        known: &mut Known,
    ) -> Result<Option<Rewritten>, Trouble> {
        let key = (class, address.to_string());
        if let Some(made) = known.get(&key) {
            return Ok(made.clone());
        }
        if known.len() >= most {
            return Err(Trouble::TooMany(most));
        }
        let made = self.address(class, address, signed).await?;
        known.insert(key, made.clone());
        Ok(made)
    }
}

/// Replaces a field's value; too long a line is folded.
fn put(header: &mut Header, index: usize, value: &[u8]) -> Result<(), FieldError> {
    match header.set_value(index, value) {
        Err(FieldError::Line) => {
            let name = header
                .get(index)
                .map(|field| field.name().to_vec())
                .unwrap_or_default();
            let field = NewField::verbatim(&String::from_utf8_lossy(&name), value)?;
            header.replace(index, &field).map(drop)
        }
        other => other.map(drop),
    }
}
