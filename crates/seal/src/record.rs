//! The record of a key in DNS, `SELECTOR._domainkey.DOMAIN` (RFC 6376 section 3.6.1).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::tags::{TagFault, TagList};
use crate::{Algorithm, SigningKey};

/// Octets of one string of a TXT record (RFC 1035 section 3.3).
const STRING_MAX: usize = 255;

/// The content of a key record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRecord {
    /// The type of the key, `k=`; `rsa` if absent. Unknown types must be ignored.
    pub key_type: String,
    /// The public key, `p=`; empty for a revoked one.
    pub public: Vec<u8>,
    /// The hashes allowed in signatures, `h=`; all if absent.
    pub hashes: Option<Vec<String>>,
    /// The services that the key is for, `s=`; `*` for all.
    pub services: Vec<String>,
    /// The domain is testing DKIM: its signatures must not count, `t=y`.
    pub testing: bool,
    /// `i=` of a signature must have exactly this domain, `t=s`.
    pub strict: bool,
}

/// Why a TXT record is not the record of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordFault {
    /// Not a list of tags.
    #[error(transparent)]
    Tags(#[from] TagFault),
    /// `v=` is present but not first, or is not `DKIM1`.
    #[error("`v=` is not \"DKIM1\", or does not come first")]
    Version,
    /// There is no `p=`.
    #[error("there is no `p=`")]
    NoKey,
    /// `p=` is not base64.
    #[error("`p=` is not base64")]
    Base64,
}

impl KeyRecord {
    /// The name of the record.
    #[must_use]
    pub fn name(selector: &str, domain: &str) -> String {
        format!("{selector}._domainkey.{domain}")
    }

    /// The record for a key of this server.
    #[must_use]
    pub fn of(key: &SigningKey) -> Self {
        Self::with(key.algorithm(), key.public())
    }

    /// The record for a public key, as from [`SigningKey::public`].
    #[must_use]
    pub fn with(algorithm: Algorithm, public: &[u8]) -> Self {
        Self {
            key_type: algorithm.key_type().to_owned(),
            public: public.to_vec(),
            hashes: None,
            services: vec!["*".to_owned()],
            testing: false,
            strict: false,
        }
    }

    /// Parses the text of a record, its strings joined without anything in between.
    ///
    /// # Errors
    ///
    /// [`RecordFault`]. Unknown tags are ignored.
    pub fn parse(text: &str) -> Result<Self, RecordFault> {
        let tags = TagList::parse(text)?;
        if let Some(version) = tags.get("v")
            && (version != "DKIM1" || tags.first() != Some("v"))
        {
            return Err(RecordFault::Version);
        }
        let list = |name: &str| {
            let words = tags.get(name)?.split(':');
            Some(words.map(|word| word.trim().to_owned()).collect::<Vec<_>>())
        };
        let key: String = tags
            .get("p")
            .ok_or(RecordFault::NoKey)?
            .split_ascii_whitespace()
            .collect();
        let flags = list("t").unwrap_or_default();
        let has = |flag: &str| flags.iter().any(|one| one == flag);
        Ok(Self {
            key_type: tags.get("k").unwrap_or("rsa").to_owned(),
            public: BASE64_STANDARD.decode(key).map_err(|_| RecordFault::Base64)?,
            hashes: list("h"),
            services: list("s").unwrap_or_else(|| vec!["*".to_owned()]),
            testing: has("y"),
            strict: has("s"),
        })
    }

    /// The algorithm of its key, if known.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::of_key_type(&self.key_type)
    }

    /// Whether the key was revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.public.is_empty()
    }

    /// Whether the key is for mail.
    #[must_use]
    pub fn is_for_mail(&self) -> bool {
        self.services
            .iter()
            .any(|service| service == "*" || service == "email")
    }

    /// Whether signatures over SHA-256 may be made with it.
    #[must_use]
    pub fn takes_sha256(&self) -> bool {
        let is_it = |hash: &String| hash == "sha256";
        self.hashes.as_ref().is_none_or(|hashes| hashes.iter().any(is_it))
    }
}

impl fmt::Display for KeyRecord {
    /// The text of the record, as it is pasted into web forms.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=DKIM1; k={}", self.key_type)?;
        if let Some(hashes) = &self.hashes {
            write!(f, "; h={}", hashes.join(":"))?;
        }
        if self.services != ["*"] {
            write!(f, "; s={}", self.services.join(":"))?;
        }
        match (self.testing, self.strict) {
            (false, false) => {}
            (true, false) => f.write_str("; t=y")?,
            (false, true) => f.write_str("; t=s")?,
            (true, true) => f.write_str("; t=y:s")?,
        }
        write!(f, "; p={}", BASE64_STANDARD.encode(&self.public))
    }
}

/// The text of a TXT record split into strings of at most 255 octets each.
#[must_use]
pub fn txt_strings(text: &str) -> Vec<&str> {
    let (mut strings, mut rest) = (Vec::new(), text);
    while rest.len() > STRING_MAX {
        // A record is ASCII; if one is not, no character is split.
        let at = (1..=STRING_MAX).rev().find(|at| rest.is_char_boundary(*at));
        let (string, others) = rest.split_at(at.unwrap_or(rest.len()));
        strings.push(string);
        rest = others;
    }
    strings.push(rest);
    strings
}

/// A TXT record in zone file format (RFC 1035 section 5.1), one string per line if there are several.
#[must_use]
pub fn zone_line(name: &str, text: &str) -> String {
    let quoted = |string: &str| format!("\"{}\"", string.replace('\\', "\\\\").replace('"', "\\\""));
    let strings: Vec<String> = txt_strings(text).into_iter().map(quoted).collect();
    match &*strings {
        [one] => format!("{name}. IN TXT {one}"),
        several => format!("{name}. IN TXT ( {} )", several.join("\n    ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        type Case = (&'static str, &'static str, Result<&'static str, RecordFault>);
        #[rustfmt::skip]
        let cases: &[Case] = &[
            // what the case shows       record                                        written again
            ("RSA",                      "v=DKIM1; k=rsa; p=QUJD",                     Ok("v=DKIM1; k=rsa; p=QUJD")),
            ("without version and type", "p=QUJD",                                     Ok("v=DKIM1; k=rsa; p=QUJD")),
            ("blanks within the key",    "v=DKIM1; p=QU\r\n JD ;",                     Ok("v=DKIM1; k=rsa; p=QUJD")),
            ("all tags",                 "v=DKIM1; h=sha256:sha1; k=ed25519; n=a note; s=email; t=y:s; p=QUJD",
                                                                                       Ok("v=DKIM1; k=ed25519; h=sha256:sha1; s=email; t=y:s; p=QUJD")),
            ("unknown tags",             "v=DKIM1; x=1; p=QUJD",                       Ok("v=DKIM1; k=rsa; p=QUJD")),
            ("revoked",                  "v=DKIM1; p=",                                Ok("v=DKIM1; k=rsa; p=")),
            ("another version",          "v=DKIM2; p=QUJD",                            Err(RecordFault::Version)),
            ("version not first",        "k=rsa; v=DKIM1; p=QUJD",                     Err(RecordFault::Version)),
            ("no key",                   "v=DKIM1; k=rsa",                             Err(RecordFault::NoKey)),
            ("not base64",               "v=DKIM1; p=***",                             Err(RecordFault::Base64)),
            ("something else",           "v=spf1 -all",                                Err(RecordFault::Version)),
            ("no tags at all",           "hello",                                      Err(RecordFault::Tags(TagFault::NoValue))),
            ("a tag twice",              "p=QUJD; p=QUJD",                             Err(RecordFault::Tags(TagFault::Twice))),
        ];
        for (shows, text, want) in cases {
            let got = KeyRecord::parse(text).map(|record| record.to_string());
            assert_eq!(got.as_deref().map_err(|fault| *fault), *want, "{shows}");
        }
    }

    #[test]
    fn what_a_record_is_for() {
        #[rustfmt::skip]
        let cases = [
            // record                      mail   SHA-256  revoked
            ("p=QUJD",                     true,  true,    false),
            ("s=*; h=sha256; p=QUJD",      true,  true,    false),
            ("s=tlsrpt:email; p=QUJD",     true,  true,    false),
            ("s=tlsrpt; p=QUJD",           false, true,    false),
            ("h=sha1; p=QUJD",             true,  false,   false),
            ("p=",                         true,  true,    true),
        ];
        for (text, mail, sha256, revoked) in cases {
            let record = KeyRecord::parse(text).unwrap();
            assert_eq!(record.is_for_mail(), mail, "{text}");
            assert_eq!(record.takes_sha256(), sha256, "{text}");
            assert_eq!(record.is_revoked(), revoked, "{text}");
        }
    }

    #[test]
    fn strings_of_255_octets() {
        for (length, counts) in [
            (0, vec![0]),
            (255, vec![255]),
            (256, vec![255, 1]),
            (600, vec![255, 255, 90]),
        ] {
            let text = "x".repeat(length);
            let strings = txt_strings(&text);
            assert_eq!(
                strings.iter().map(|string| string.len()).collect::<Vec<_>>(),
                counts
            );
            assert_eq!(strings.concat(), text);
        }
        assert_eq!(zone_line("a.example", "v=x"), "a.example. IN TXT \"v=x\"");
        let two = zone_line("a.example", &"x".repeat(256));
        assert_eq!(
            two,
            format!("a.example. IN TXT ( \"{}\"\n    \"x\" )", "x".repeat(255))
        );
        assert_eq!(zone_line("a.example", "a\"b"), "a.example. IN TXT \"a\\\"b\"");
    }
}
