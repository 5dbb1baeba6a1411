//! Canonical forms of header and body (RFC 6376 section 3.4): what a signature covers, regardless of white-space changes in
//! transit.

mod body;
mod header;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::body::BodyCanon;
pub use self::header::{field, field_unended};

/// One of the two ways of canonicalizing a header or a body.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Nearly nothing may change in transit. The default (RFC 6376 section 3.5, `c=`).
    #[default]
    Simple,
    /// White space and the case of field names may change.
    Relaxed,
}

/// The forms of header and body, the tag `c=`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Canonicalization {
    /// Of the header fields.
    pub header: Form,
    /// Of the body.
    pub body: Form,
}

impl Canonicalization {
    /// `relaxed/relaxed`: what signatures on mail should have.
    pub const RELAXED: Self = Self {
        header: Form::Relaxed,
        body: Form::Relaxed,
    };
}

impl Form {
    /// Its name in `c=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }

    fn of(word: &str) -> Result<Self, UnknownForm> {
        [Self::Simple, Self::Relaxed]
            .into_iter()
            .find(|form| form.name() == word)
            .ok_or(UnknownForm)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Canonicalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.header, self.body)
    }
}

/// A canonical form that RFC 6376 does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("canonical forms are \"simple\" and \"relaxed\", of header and body: \"relaxed/relaxed\"")]
pub struct UnknownForm;

impl FromStr for Canonicalization {
    type Err = UnknownForm;

    /// Reads `header/body`; a header form alone means a simple body (RFC 6376 section 3.5).
    fn from_str(text: &str) -> Result<Self, UnknownForm> {
        let (header, body) = text.split_once('/').unwrap_or((text, "simple"));
        Ok(Self {
            header: Form::of(header)?,
            body: Form::of(body)?,
        })
    }
}
