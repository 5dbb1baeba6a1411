//! Who signs, with what.

use std::sync::Arc;
use std::time::Duration;

use super::fields::FieldNames;
use crate::canon::Canonicalization;
use crate::{Algorithm, SigningKey};

/// Name of the field.
pub const FIELD: &str = "DKIM-Signature";

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

impl Signer {
    /// The algorithm, `a=`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }
}
