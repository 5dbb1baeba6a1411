//! The result of a query, the same for every engine.

use zeroize::Zeroizing;

/// Most rows of one answer. An account has one, or one per address.
pub(super) const ROWS_MAX: usize = 1_000;

/// One value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(Zeroizing<String>),
    List(Vec<String>),
    /// A whole number; truth values are 1 and 0.
    Number(i64),
    /// A value of an unsupported type, with the type's name.
    Other(String),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Zeroizing::new(text.into()))
    }

    /// Octets that are expected to be text.
    pub(super) fn octets(octets: Vec<u8>) -> Self {
        match String::from_utf8(octets) {
            Ok(text) => Self::text(text),
            Err(_) => Self::Other("octets that are no UTF-8".into()),
        }
    }
}

/// The answer to a query.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rows {
    /// The columns' names, lower case.
    pub(super) columns: Vec<String>,
    /// Each as long as `columns`.
    pub(crate) rows: Vec<Vec<Cell>>,
}
