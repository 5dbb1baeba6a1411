//! The fields of a message as text: UTF-8, within their limits, without anything that could mislead a reader.
//!
//! Every identity and password that a client sends passes through here. Preparation (SASLprep) is in `prep.rs`; only SCRAM does
//! it in the mechanism; for PLAIN and LOGIN, the directory knows how a password was stored.

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::SaslError;

/// Longest authentication or authorization identity, in octets. RFC 4616 section 2 asks for at least 255.
pub const IDENTITY_MAX: usize = 512;

/// Longest password, in octets. RFC 4616 section 2 asks for at least 255; the bound limits the cost of hashing one.
pub const PASSWORD_MAX: usize = 1_024;

/// Reads an identity. It goes into logs, look-ups and headers, so it may not contain control characters.
///
/// # Errors
///
/// [`SaslError::TooLong`] over [`IDENTITY_MAX`], [`SaslError::Denied`] for what is not UTF-8, [`SaslError::Malformed`] for text
/// that is empty or has a control character.
pub(crate) fn identity(mechanism: &'static str, octets: &[u8]) -> Result<String, SaslError> {
    if octets.len() > IDENTITY_MAX {
        return Err(SaslError::TooLong {
            what: "identity",
            limit: IDENTITY_MAX,
        });
    }
    let malformed = |what| SaslError::Malformed { mechanism, what };
    let text = std::str::from_utf8(octets).map_err(|_| in_another_charset("user name"))?;
    if text.is_empty() {
        return Err(malformed("identity is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(malformed("control character in an identity"));
    }
    Ok(text.to_owned())
}

/// Wrong credentials rather than a protocol error: a user of an old program has typed an umlaut, and must be asked again.
fn in_another_charset(what: &str) -> SaslError {
    SaslError::Denied(format!("the {what} is not UTF-8"))
}

/// Reads a password. An empty one passes: refusing it is up to the directory, as with any wrong password.
///
/// # Errors
///
/// [`SaslError::TooLong`] over [`PASSWORD_MAX`], [`SaslError::Denied`] for what is not UTF-8, [`SaslError::Malformed`] for a NUL,
/// where some directories would truncate it.
pub(crate) fn password(mechanism: &'static str, octets: &[u8]) -> Result<SecretString, SaslError> {
    if octets.len() > PASSWORD_MAX {
        return Err(SaslError::TooLong {
            what: "password",
            limit: PASSWORD_MAX,
        });
    }
    let malformed = |what| SaslError::Malformed { mechanism, what };
    let octets = Zeroizing::new(octets.to_vec());
    let text = std::str::from_utf8(&octets).map_err(|_| in_another_charset("password"))?;
    if text.contains('\0') {
        return Err(malformed("NUL in a password"));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn identities() {
        let longest = "x".repeat(IDENTITY_MAX);
        let too_long = "x".repeat(IDENTITY_MAX + 1);
        let cases: [(&str, &[u8], bool); 9] = [
            ("a plain name", b"acaird", true),
            ("an address", b"acaird@fccc.example", true),
            ("a space inside", b"a caird", true),
            ("UTF-8", "jürgen".as_bytes(), true),
            ("Latin-1", b"j\xfcrgen", false),
            ("nothing", b"", false),
            ("a line feed, which would forge a log line", b"a\nb", false),
            ("at the limit", longest.as_bytes(), true),
            ("one over", too_long.as_bytes(), false),
        ];
        for (shows, octets, good) in cases {
            assert_eq!(identity("PLAIN", octets).is_ok(), good, "{shows}");
        }
        assert!(
            identity("PLAIN", "a\u{85}b".as_bytes()).is_err(),
            "control characters above ASCII too"
        );
    }

    #[test]
    fn passwords() {
        let longest = "x".repeat(PASSWORD_MAX);
        let too_long = "x".repeat(PASSWORD_MAX + 1);
        let cases: [(&str, &[u8], bool); 7] = [
            ("with a space", b"pass word", true),
            ("UTF-8", "pässword".as_bytes(), true),
            ("a tab is a character like any other", b"a\tb", true),
            ("empty: the directory's part", b"", true),
            ("a NUL, at which C would stop", b"a\0b", false),
            ("at the limit", longest.as_bytes(), true),
            ("one over", too_long.as_bytes(), false),
        ];
        for (shows, octets, good) in cases {
            let got = password("PLAIN", octets);
            assert_eq!(got.is_ok(), good, "{shows}");
            if let Ok(got) = got {
                assert_eq!(got.expose_secret().as_bytes(), octets, "{shows}");
            }
        }
        assert!(
            matches!(password("PLAIN", b"p\xe4ssword"), Err(SaslError::Denied(_))),
            "Latin-1 is a wrong password, not a broken exchange"
        );
        assert!(matches!(
            identity("PLAIN", b"j\xfcrgen"),
            Err(SaslError::Denied(_))
        ));
    }
}
