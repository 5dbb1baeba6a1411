//! What all schemes share.

use subtle::ConstantTimeEq;

use super::error::SchemeError;

/// Comparison in a time that depends only on the lengths.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// `found`, unless it is over `most`.
pub(super) fn within(
    scheme: &'static str,
    what: &'static str,
    found: u64,
    most: u64,
) -> Result<(), SchemeError> {
    if found > most {
        return Err(SchemeError::TooCostly {
            scheme,
            what,
            found,
            most,
        });
    }
    Ok(())
}
