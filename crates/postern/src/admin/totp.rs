//! Six-digit codes that change every thirty seconds (RFC 6238, HMAC-SHA-1), as all authenticator programs make them.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

/// How long a code is valid, in seconds.
const STEP: u64 = 30;

/// Steps before and after the current one whose codes are accepted, for inaccurate clocks.
const SKEW: u64 = 1;

/// Octets of a secret: as many as the hash has (RFC 4226 section 4).
pub(crate) const SECRET: usize = 20;

/// The step at a time in seconds since 1970.
const fn step_at(seconds: u64) -> u64 {
    seconds / STEP
}

/// The code of a step (RFC 4226 section 5.3).
fn code(secret: &[u8], step: u64) -> u32 {
    // HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else {
        return u32::MAX;
    };
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 0x0f);
    let four = [
        hash[offset] & 0x7f,
        hash[offset + 1],
        hash[offset + 2],
        hash[offset + 3],
    ];
    u32::from_be_bytes(four) % 1_000_000
}

/// The step of a code, if it is valid now and later than the last accepted one: a code that somebody saw cannot be used
/// again (RFC 6238 section 5.2).
pub(crate) fn check(secret: &[u8], typed: &str, now: u64, last: Option<u64>) -> Option<u64> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let present = step_at(now);
    let mut found = None;
    // All are always compared, so that the time taken reveals nothing.
    for step in present.saturating_sub(SKEW)..=present + SKEW {
        let right = format!("{:06}", code(secret, step));
        if bool::from(right.as_bytes().ct_eq(digits.as_bytes())) && last.is_none_or(|last| step > last) {
            found = Some(step);
        }
    }
    found
}

/// A secret in the form that people type.
pub(crate) fn base32(secret: &[u8]) -> String {
    BASE32_NOPAD.encode(secret)
}

/// A secret from its stored form.
pub(crate) fn from_base32(text: &str) -> Option<Vec<u8>> {
    BASE32_NOPAD.decode(text.as_bytes()).ok()
}

/// The URI in the QR code for an authenticator program.
pub(crate) fn uri(issuer: &str, login: &str, secret: &[u8]) -> String {
    let (issuer, login) = (escaped(issuer), escaped(login));
    format!(
        "otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP}",
        base32(secret)
    )
}

/// Percent-encodes everything except letters, digits and `-._~` (RFC 3986 section 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(octet));
            }
            _ => escaped.push_str(&format!("%{octet:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"12345678901234567890";

    #[test]
    fn the_rfcs_own_codes() {
        // RFC 6238 appendix B, the last six of eight digits.
        for (seconds, wanted) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(code(KEY, step_at(seconds)), wanted, "{seconds}");
        }
    }

    #[test]
    fn which_codes_are_taken() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows        typed        now            last             taken
            ("the present one",           "005924",    1_234_567_890, None,            true),
            ("with a space",              "005 924",   1_234_567_890, None,            true),
            ("a step late",               "005924",    1_234_567_920, None,            true),
            ("two steps late",            "005924",    1_234_567_950, None,            false),
            ("a step early",              "005924",    1_234_567_860, None,            true),
            ("seen already",              "005924",    1_234_567_890, Some(41_152_263), false),
            ("seen one before",           "005924",    1_234_567_890, Some(41_152_262), true),
            ("wrong",                     "005925",    1_234_567_890, None,            false),
            ("too short",                 "5924",      1_234_567_890, None,            false),
            ("other digits",              "٠٠٥٩٢٤",    1_234_567_890, None,            false),
            ("nothing",                   "",          1_234_567_890, None,            false),
        ];
        for (shows, typed, now, last, taken) in cases {
            assert_eq!(check(KEY, typed, now, last).is_some(), taken, "{shows}");
        }
    }

    #[test]
    fn what_a_program_reads() {
        assert_eq!(
            uri("mx.example.org", "anna@example.org", KEY),
            "otpauth://totp/mx.example.org:anna%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=mx.example.org&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(from_base32(&base32(KEY)).unwrap(), KEY);
    }
}
