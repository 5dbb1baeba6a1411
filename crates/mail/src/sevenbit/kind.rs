//! What the header of a part says about its content.

/// What the content of a part is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Lines, for people or programs.
    Text,
    /// Octets.
    Octets,
    /// A message, which is converted itself.
    Message,
    /// Parts between delimiters.
    Parts {
        boundary: Vec<u8>,
        /// Whether parts are messages unless they say otherwise (RFC 2046 section 5.1.5).
        digest: bool,
        /// Whether a signature covers the octets of the parts.
        signed: bool,
    },
    /// Parts that cannot be separated.
    Muddle,
}

/// How the content of a part is encoded, by its header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Encoding {
    /// It says nothing, or `7bit`.
    #[default]
    None,
    /// `8bit` or `binary`.
    Declared,
    /// `quoted-printable`, `base64`, or an unknown one.
    Encoded,
}

/// Longest boundary (RFC 2046 section 5.1.1 says 70); some are longer.
const BOUNDARY_MAX: usize = 200;

impl Kind {
    /// From the value of `Content-Type`, or the default where it is missing.
    pub(super) fn of(value: Option<&[u8]>, in_digest: bool) -> Self {
        let Some(value) = value else {
            return if in_digest { Self::Message } else { Self::Text };
        };
        let value = without_comments(value);
        let (kind, parameters) = split_at(&value, b';');
        let kind = kind.trim_ascii().to_ascii_lowercase();
        match kind.as_slice() {
            b"message/rfc822" => Self::Message,
            kind if kind.starts_with(b"multipart/") => match parameter(parameters, b"boundary") {
                Some(boundary) if is_boundary(&boundary) => Self::Parts {
                    boundary,
                    digest: kind == b"multipart/digest",
                    signed: kind == b"multipart/signed",
                },
                _ => Self::Muddle,
            },
            // Content that must not be encoded (RFC 2046 sections 5.2.2 and 5.2.3).
            b"message/partial" | b"message/external-body" => Self::Muddle,
            kind if kind.starts_with(b"text/") || kind.starts_with(b"message/") || kind.is_empty() => {
                Self::Text
            }
            _ => Self::Octets,
        }
    }
}

impl Encoding {
    /// From the value of `Content-Transfer-Encoding`.
    pub(super) fn of(value: &[u8]) -> Self {
        let value = without_comments(value);
        let name = split_at(&value, b';').0.trim_ascii().to_ascii_lowercase();
        match name.as_slice() {
            b"" | b"7bit" => Self::None,
            b"8bit" | b"binary" => Self::Declared,
            _ => Self::Encoded,
        }
    }
}

fn is_boundary(boundary: &[u8]) -> bool {
    !boundary.is_empty()
        && boundary.len() <= BOUNDARY_MAX
        && boundary.iter().all(|octet| matches!(octet, b' '..=b'~'))
}

fn split_at(value: &[u8], octet: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(octet, value) {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, b""),
    }
}

/// A value without its comments (RFC 5322 section 3.2.2) and line ends.
fn without_comments(value: &[u8]) -> Vec<u8> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut text = Vec::with_capacity(value.len());
    for &octet in value {
        let plain = std::mem::take(&mut escaped);
        match octet {
            b'\r' | b'\n' => continue,
            _ if plain => {}
            b'\\' if quoted || depth > 0 => escaped = true,
            b'(' if !quoted => {
                depth += 1;
                continue;
            }
            b')' if !quoted && depth > 0 => {
                depth -= 1;
                continue;
            }
            b'"' if depth == 0 => quoted = !quoted,
            _ => {}
        }
        if depth == 0 {
            text.push(octet);
        }
    }
    text
}

/// The value of the first parameter of this name (in lower case), without its quotes.
fn parameter(mut rest: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    while !rest.is_empty() {
        let name_end = rest.iter().position(|octet| matches!(octet, b'=' | b';'))?;
        let name = rest[..name_end].trim_ascii().to_ascii_lowercase();
        let is_bare = rest[name_end] == b';';
        rest = &rest[name_end + 1..];
        if is_bare {
            continue;
        }
        let (value, behind) = parameter_value(rest);
        if name == wanted {
            return Some(value);
        }
        rest = split_at(behind, b';').1;
    }
    None
}

/// A value at the beginning of the text, and what follows it.
fn parameter_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let text = text.trim_ascii_start();
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|octet| *octet == b';').unwrap_or(text.len());
        return (text[..end].trim_ascii().to_vec(), &text[end..]);
    };
    let mut value = Vec::new();
    let mut octets = quoted.iter().enumerate();
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'"' => return (trim_end(value), &quoted[at + 1..]),
            b'\\' => value.extend(octets.next().map(|(_, octet)| *octet)),
            _ => value.push(octet),
        }
    }
    (trim_end(value), b"")
}

/// A boundary does not end with a blank (RFC 2046 section 5.1.1).
fn trim_end(mut value: Vec<u8>) -> Vec<u8> {
    value.truncate(value.trim_ascii_end().len());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let parts = |boundary: &str| Kind::Parts {
            boundary: boundary.as_bytes().to_vec(),
            digest: false,
            signed: false,
        };
        #[rustfmt::skip]
        let cases = [
            // Content-Type                                                     what it is
            ("text/plain",                                                      Kind::Text),
            (" TEXT/html; charset=utf-8",                                       Kind::Text),
            ("",                                                                Kind::Text),
            ("message/delivery-status",                                         Kind::Text),
            ("message/global",                                                  Kind::Text),
            ("message/rfc822",                                                  Kind::Message),
            ("Message/RFC822 ; x=y",                                            Kind::Message),
            ("message/partial; id=1",                                           Kind::Muddle),
            ("application/pdf",                                                 Kind::Octets),
            ("nonsense",                                                        Kind::Octets),
            ("multipart/mixed; boundary=b",                                     parts("b")),
            ("multipart/mixed;\r\n\tboundary=\"b c\"",                          parts("b c")),
            ("multipart/mixed; boundary=\"a;b\\\"c\" ; x=y",                    parts("a;b\"c")),
            ("multipart/mixed; x=\"boundary=no\"; Boundary = b ; boundary=c",   parts("b")),
            ("multipart/mixed (a (b) c); (x) boundary=b (y)",                   parts("b")),
            ("multipart/mixed; flag; boundary=b",                               parts("b")),
            ("multipart/mixed; boundary=\"b  \"",                               parts("b")),
            ("multipart/mixed; boundary=\"b",                                   parts("b")),
            ("multipart/mixed; boundary=\"\"",                                  Kind::Muddle),
            ("multipart/mixed; boundary=",                                      Kind::Muddle),
            ("multipart/mixed; boundary=\"\u{e4}\"",                            Kind::Muddle),
            ("multipart/mixed",                                                 Kind::Muddle),
            ("multipart/signed; micalg=x; boundary=b",                          Kind::Parts { boundary: b"b".to_vec(), digest: false, signed: true }),
            ("multipart/digest; boundary=b",                                    Kind::Parts { boundary: b"b".to_vec(), digest: true, signed: false }),
        ];
        for (value, expected) in cases {
            assert_eq!(Kind::of(Some(value.as_bytes()), false), expected, "{value}");
        }
        assert_eq!(Kind::of(None, false), Kind::Text);
        assert_eq!(Kind::of(None, true), Kind::Message);
    }

    #[test]
    fn encodings() {
        #[rustfmt::skip]
        let cases = [
            ("",                    Encoding::None),
            (" 7bit ",              Encoding::None),
            ("8BIT",                Encoding::Declared),
            ("binary (really)",     Encoding::Declared),
            ("8bit;",               Encoding::Declared),
            ("Base64",              Encoding::Encoded),
            ("quoted-printable",    Encoding::Encoded),
            ("x-uuencode",          Encoding::Encoded),
        ];
        for (value, expected) in cases {
            assert_eq!(Encoding::of(value.as_bytes()), expected, "{value}");
        }
    }
}
