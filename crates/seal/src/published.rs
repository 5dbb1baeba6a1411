//! The published record of a key, compared with the key itself.

use crate::record::{KeyRecord, RecordFault};
use crate::{Algorithm, SigningKey};

/// Whether signatures by a key can be verified with the record in DNS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Published {
    /// They can.
    Matches {
        /// `t=y`: receivers are asked to treat the mail as unsigned.
        testing: bool,
    },
    /// There is no record.
    Missing,
    /// There are several, any of which may be used (RFC 6376 section 3.6.2.2).
    Several(usize),
    /// The record is not a key record.
    Fault(RecordFault),
    /// The key was revoked: `p=` is empty.
    Revoked,
    /// By its `k=`, the record is for another key type.
    OtherType(String),
    /// The record has another key.
    Different,
    /// The record's `h=` excludes SHA-256.
    NoSha256,
    /// The record's `s=` excludes mail.
    NotForMail,
}

impl Published {
    /// Compares a key with the TXT records of its name, the strings of each joined.
    #[must_use]
    pub fn of<T: AsRef<str>>(key: &SigningKey, records: &[T]) -> Self {
        Self::compare(key.algorithm(), key.public(), records)
    }

    /// The same with only the public half.
    #[must_use]
    pub fn compare<T: AsRef<str>>(algorithm: Algorithm, public: &[u8], records: &[T]) -> Self {
        let record = match records {
            [] => return Self::Missing,
            [one] => match KeyRecord::parse(one.as_ref()) {
                Ok(record) => record,
                Err(fault) => return Self::Fault(fault),
            },
            several => return Self::Several(several.len()),
        };
        if record.is_revoked() {
            Self::Revoked
        } else if record.algorithm() != Some(algorithm) {
            Self::OtherType(record.key_type)
        } else if !is_same(algorithm, public, &record.public) {
            Self::Different
        } else if !record.takes_sha256() {
            Self::NoSha256
        } else if !record.is_for_mail() {
            Self::NotForMail
        } else {
            Self::Matches {
                testing: record.testing,
            }
        }
    }

    /// Whether receivers can verify what the key signs, and let it count.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Matches { testing: false })
    }

    /// Whether receivers can verify what the key signs.
    #[must_use]
    pub fn verifies(&self) -> bool {
        matches!(self, Self::Matches { .. })
    }

    /// One word for programs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Matches { testing: false } => "good",
            Self::Matches { testing: true } => "testing",
            Self::Missing => "missing",
            Self::Several(_) => "several",
            Self::Fault(_) => "syntax",
            Self::Revoked => "revoked",
            Self::OtherType(_) => "other-type",
            Self::Different => "different",
            Self::NoSha256 => "no-sha256",
            Self::NotForMail => "not-for-mail",
        }
    }

    /// What was found, for display.
    #[must_use]
    pub fn finding(&self) -> String {
        match self {
            Self::Matches { testing: false } => "the record has this key".to_owned(),
            Self::Matches { testing: true } => {
                "the record has this key, with the flag for testing (`t=y`)".to_owned()
            }
            Self::Missing => "there is no record".to_owned(),
            Self::Several(count) => format!("there are {count} TXT records of this name"),
            Self::Fault(fault) => format!("the record cannot be read: {fault}"),
            Self::Revoked => "the record says that the key was revoked (`p=` is empty)".to_owned(),
            Self::OtherType(name) => format!("the record is of a key of type {name:?}"),
            Self::Different => "the record has another key".to_owned(),
            Self::NoSha256 => "the record does not allow SHA-256 (`h=`)".to_owned(),
            Self::NotForMail => "the record is not for mail (`s=`)".to_owned(),
        }
    }

    /// The remedy; empty if nothing has to be done.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Matches { testing: false } => "",
            Self::Matches { testing: true } => {
                "take `t=y` out of the record once all is well: receivers treat the mail as unsigned"
            }
            Self::Missing => "add the record to the zone",
            Self::Several(_) => "leave one record of this name, the one shown below",
            Self::Fault(_) => {
                "replace the record; web forms that add quotes or blanks, or cut at 255 octets, are the usual cause"
            }
            Self::Revoked => "make a new key by `postern dkim rotate`; a revoked one is not to come back",
            Self::OtherType(_) | Self::Different => "replace the record, or sign with the key that it has",
            Self::NoSha256 => "take `h=` out of the record, or add sha256 to it",
            Self::NotForMail => "take `s=` out of the record, or write `s=email`",
        }
    }
}

/// Compares RSA keys with or without the SubjectPublicKeyInfo header: RFC 6376 section 3.6.1 was read both ways.
fn is_same(algorithm: Algorithm, public: &[u8], found: &[u8]) -> bool {
    const WRAPPING: std::ops::Range<usize> = 20..30;
    let bare = |wrapped: &[u8], bare: &[u8]| {
        wrapped.ends_with(bare) && WRAPPING.contains(&(wrapped.len() - bare.len()))
    };
    public == found
        || (algorithm == Algorithm::RsaSha256 && found.len() < public.len() && bare(public, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dns_may_have() {
        let is = |records: &[&str]| Published::compare(Algorithm::RsaSha256, b"ABC", records);
        #[rustfmt::skip]
        let cases: &[(&str, &[&str], &str)] = &[
            ("nothing",                     &[],                                          "missing"),
            ("the key",                     &["v=DKIM1; k=rsa; p=QUJD"],                  "good"),
            ("the key, while testing",      &["v=DKIM1; t=y; p=QUJD"],                    "testing"),
            ("the key for this name alone", &["v=DKIM1; t=s; p=QUJD"],                    "good"),
            ("twice",                       &["v=DKIM1; p=QUJD", "v=DKIM1; p=QUJD"],      "several"),
            ("another key",                 &["v=DKIM1; p=QUJE"],                         "different"),
            ("a key of another type",       &["v=DKIM1; k=ed25519; p=QUJD"],              "other-type"),
            ("revoked",                     &["v=DKIM1; p="],                             "revoked"),
            ("quotes that a form has kept", &["\"v=DKIM1; p=QUJD\""],                     "syntax"),
            ("SHA-1 only",                  &["v=DKIM1; h=sha1; p=QUJD"],                 "no-sha256"),
            ("for another service",         &["v=DKIM1; s=tlsrpt; p=QUJD"],               "not-for-mail"),
        ];
        for (shows, records, want) in cases {
            let published = is(records);
            assert_eq!(published.word(), *want, "{shows}");
            assert_eq!(published.remedy().is_empty(), published.is_good(), "{shows}");
            assert!(!published.finding().is_empty(), "{shows}");
        }
    }

    #[test]
    fn an_rsa_key_without_its_wrapping_is_the_same_key() {
        let (wrapped, bare) = ([[0; 24].as_slice(), &[7; 270]].concat(), [7; 270]);
        assert!(is_same(Algorithm::RsaSha256, &wrapped, &bare));
        assert!(!is_same(Algorithm::RsaSha256, &wrapped, &bare[1..200]));
        assert!(!is_same(Algorithm::Ed25519Sha256, &wrapped, &bare));
    }
}
