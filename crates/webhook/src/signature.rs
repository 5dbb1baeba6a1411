//! Signatures of batches, by the names and forms of Standard Webhooks: HMAC-SHA256 over id, time and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What a key begins with.
const PREFIX: &str = "whsec_";

/// Fewest and most octets of a key.
const KEY_OCTETS: std::ops::RangeInclusive<usize> = 24..=64;

/// Most keys: the new one, and the one before it while receivers go over.
const KEYS_MAX: usize = 2;

/// The keys of a webhook. Each signs, so that a receiver may know either.
#[derive(Clone)]
pub struct Keys(Vec<Zeroizing<Vec<u8>>>);

/// A text that has no keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// A line is not a key.
    #[error("a line of it is not whsec_ and 24 to 64 octets in base64")]
    Malformed,
    /// There are too many.
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
}

impl Keys {
    /// Reads keys, one a line.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<_> = lines.map(key).collect::<Option<_>>().ok_or(KeyError::Malformed)?;
        match keys.len() {
            0 => Err(KeyError::Empty),
            1..=KEYS_MAX => Ok(Self(keys)),
            _ => Err(KeyError::TooMany),
        }
    }

    /// The signatures of a body that is sent under this id at this time, in seconds since 1970: the value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let signed = self.0.iter().filter_map(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        });
        signed.collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

fn key(line: &str) -> Option<Zeroizing<Vec<u8>>> {
    let octets = Zeroizing::new(STANDARD.decode(line.strip_prefix(PREFIX)?).ok()?);
    KEY_OCTETS.contains(&octets.len()).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_signature_is_as_the_standard_has_it() {
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let one = Keys::read(KEY).unwrap().sign(id, 1_614_265_330, body);
        assert_eq!(one, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let both = Keys::read(&format!("{other}\n{KEY}\n"))
            .unwrap()
            .sign(id, 1_614_265_330, body);
        assert!(
            both.ends_with(&format!(" {one}")) && both.starts_with("v1,"),
            "{both}"
        );
    }

    #[test]
    fn what_is_no_key() {
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let many = format!("{KEY}\n{KEY}\n{KEY}");
        for (text, error) in [
            ("", KeyError::Empty),
            ("\n \n", KeyError::Empty),
            ("secret", KeyError::Malformed),
            ("whsec_%", KeyError::Malformed),
            (short.as_str(), KeyError::Malformed),
            (many.as_str(), KeyError::TooMany),
        ] {
            assert_eq!(Keys::read(text).map(drop), Err(error), "{text:?}");
        }
        assert_eq!(format!("{:?}", Keys::read(KEY).unwrap()), "Keys(1)");
    }
}
