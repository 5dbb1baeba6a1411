//! The base64 form of an exchange in SMTP (RFC 4954 section 4, RFC 4648 section 4).
//!
//! Strict: only the standard alphabet, with padding, zero bits after the last octet, and no blank or line break inside.
//! Anything that two readers could decode differently is refused. A lone `*`, with which the client cancels, is not
//! base64 either: check for it first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Longest line of an exchange, in octets without CRLF: what RFC 4954 section 4 lets a client send, 12,288 with it.
pub const LINE_MAX: usize = 12_288 - 2;

/// A response that cannot be decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WireError {
    /// Not base64: reply `501 5.5.2` (sendmail says `501 5.5.4`).
    #[error("not base64")]
    NotBase64,
    /// Over [`LINE_MAX`]: reply `500 5.5.6`.
    #[error("line over {LINE_MAX} octets")]
    TooLong,
}

/// Writes a challenge, without CRLF.
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// Writes a response of a client, without CRLF; it may hold a password, and is wiped when dropped.
#[must_use]
pub fn encode_secret(octets: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(octets))
}

/// Reads a response line without its CRLF. An empty line is an empty response. The result is wiped when dropped.
///
/// # Errors
///
/// See [`WireError`].
pub fn decode(line: &[u8]) -> Result<Zeroizing<Vec<u8>>, WireError> {
    if line.len() > LINE_MAX {
        return Err(WireError::TooLong);
    }
    STANDARD
        .decode(line)
        .map(Zeroizing::new)
        .map_err(|_| WireError::NotBase64)
}

/// Reads the second argument of `AUTH`, the initial response. A lone `=` is an empty one (RFC 4954 section 4); an empty
/// text is not an initial response.
///
/// # Errors
///
/// See [`WireError`].
pub fn decode_initial(argument: &[u8]) -> Result<Zeroizing<Vec<u8>>, WireError> {
    match argument {
        b"=" => Ok(Zeroizing::new(Vec::new())),
        b"" => Err(WireError::NotBase64),
        other => decode(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Case = (&'static str, &'static [u8], Result<&'static [u8], WireError>);

    #[test]
    fn lines() {
        let cases: [Case; 14] = [
            ("the procedure's user name", b"YWNhaXJk", Ok(b"acaird")),
            ("one octet of padding", b"YWJjZGU=", Ok(b"abcde")),
            ("two", b"YWJjZA==", Ok(b"abcd")),
            ("an empty response", b"", Ok(b"")),
            ("every value of six bits", b"+/+/", Ok(b"\xfb\xff\xbf")),
            ("padding left out", b"YWJjZA", Err(WireError::NotBase64)),
            ("too much padding", b"YWJjZA===", Err(WireError::NotBase64)),
            ("padding alone", b"=", Err(WireError::NotBase64)),
            ("padding inside", b"YW==YWJj", Err(WireError::NotBase64)),
            (
                "bits behind the last octet",
                b"YWJjZB==",
                Err(WireError::NotBase64),
            ),
            ("the URL alphabet", b"-_-_", Err(WireError::NotBase64)),
            ("a blank at the end", b"YWNhaXJk ", Err(WireError::NotBase64)),
            ("sendmail's example", b"!!!", Err(WireError::NotBase64)),
            ("giving up is not base64", b"*", Err(WireError::NotBase64)),
        ];
        for (shows, line, want) in cases {
            assert_eq!(
                decode(line).as_deref().map(Vec::as_slice),
                want.as_ref().map(|w| *w),
                "{shows}"
            );
        }
    }

    #[test]
    fn initial_responses() {
        assert_eq!(
            decode_initial(b"=").unwrap().as_slice(),
            b"",
            "RFC 4954 section 4"
        );
        assert_eq!(decode_initial(b"YWNhaXJk").unwrap().as_slice(), b"acaird");
        assert_eq!(
            decode_initial(b""),
            Err(WireError::NotBase64),
            "the argument is missing or not"
        );
        assert_eq!(decode_initial(b"=="), Err(WireError::NotBase64));
    }

    #[test]
    fn long_lines() {
        let longest = vec![b'A'; LINE_MAX - LINE_MAX % 4];
        assert!(decode(&longest).is_ok());
        assert_eq!(decode(&vec![b'A'; LINE_MAX + 1]), Err(WireError::TooLong));
        assert_eq!(decode_initial(&vec![b'A'; LINE_MAX + 1]), Err(WireError::TooLong));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let line = encode(&octets);
            let decoded = decode(line.as_bytes()).unwrap();
            prop_assert_eq!(decoded.as_slice(), octets.as_slice());
            let secret = encode_secret(&octets);
            prop_assert_eq!(secret.as_str(), line);
        }

        /// An octet string has exactly one encoding: nothing else decodes to it.
        #[test]
        fn what_decodes_is_encoded_the_same(line in "[A-D+/=* \\r\\n]{0,12}") {
            if let Ok(octets) = decode(line.as_bytes()) {
                prop_assert_eq!(encode(&octets), line);
            }
        }
    }
}
