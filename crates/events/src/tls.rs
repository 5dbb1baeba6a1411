//! The level of TLS reached with a next hop, and the level wanted.

use crate::value::{Value, Valued};

/// The level of TLS wanted for a next hop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsWanted {
    /// None.
    None,
    /// If available.
    Opportunistic,
    /// Always.
    Required,
    /// With a certificate that is valid for the host's name.
    Verified,
    /// With the certificate that matches the host's TLSA records.
    Dane,
}

impl TlsWanted {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::None,
        Self::Opportunistic,
        Self::Required,
        Self::Verified,
        Self::Dane,
    ];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Opportunistic => "opportunistic",
            Self::Required => "required",
            Self::Verified => "verified",
            Self::Dane => "dane",
        }
    }
}

impl Valued for TlsWanted {
    fn value(&self) -> Value<'_> {
        Value::Text(self.name())
    }
}

/// The level of TLS reached with a next hop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsReached {
    /// None.
    Clear,
    /// With whatever certificate it has.
    Encrypted,
    /// With a certificate that is valid for its name.
    Verified,
    /// With the certificate that matches its TLSA records.
    Dane,
}

impl TlsReached {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Clear, Self::Encrypted, Self::Verified, Self::Dane];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Encrypted => "encrypted",
            Self::Verified => "verified",
            Self::Dane => "dane",
        }
    }
}

impl Valued for TlsReached {
    fn value(&self) -> Value<'_> {
        Value::Text(self.name())
    }
}
