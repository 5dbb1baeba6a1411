//! Quoted-printable (RFC 2045 section 6.7), for what must be sent as 7-bit text.

/// Octets of a line with its soft line break.
const LINE_MAX: usize = 76;

/// Encodes a text whose lines end in CRLF. Line ends are kept.
pub(crate) fn encode(text: &[u8], out: &mut Vec<u8>) {
    for line in text.split_inclusive(|&octet| octet == b'\n') {
        let (body, end) = match line {
            [body @ .., b'\r', b'\n'] | [body @ .., b'\n'] => (body, &b"\r\n"[..]),
            body => (body, &b""[..]),
        };
        encode_line(body, out);
        out.extend_from_slice(end);
    }
}

/// Writes one octet as `=` and its number.
pub(crate) fn put_octet(octet: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[
        b'=',
        DIGITS[usize::from(octet >> 4)],
        DIGITS[usize::from(octet & 15)],
    ]);
}

fn encode_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (at, &octet) in line.iter().enumerate() {
        let last = at + 1 == line.len();
        let plain = match octet {
            b'=' => false,
            b' ' | b'\t' => !last,
            _ => octet.is_ascii_graphic(),
        };
        let width = if plain { 1 } else { 3 };
        if column + width + usize::from(!last) > LINE_MAX {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            out.push(octet);
        } else {
            put_octet(octet, out);
        }
        column += width;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &[u8]) -> String {
        let mut out = Vec::new();
        encode(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn decoded(text: &str) -> Vec<u8> {
        let joined = text.replace("=\r\n", "");
        let mut out = Vec::new();
        let mut rest = joined.as_bytes();
        while let Some((&octet, behind)) = rest.split_first() {
            if octet == b'=' {
                let digits = std::str::from_utf8(&behind[..2]).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &behind[2..];
            } else {
                out.push(octet);
                rest = behind;
            }
        }
        out
    }

    #[test]
    fn texts() {
        for (shows, text, expected) in [
            ("plain", "a b\r\n", "a b\r\n"),
            ("beyond ASCII", "ä\r\n", "=C3=A4\r\n"),
            ("an equals sign", "a=b", "a=3Db"),
            ("a blank at the end", "a \r\n", "a=20\r\n"),
            ("nothing", "", ""),
        ] {
            assert_eq!(encoded(text.as_bytes()), expected, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn it_comes_back(text in "(\\PC{0,90}(\r\n)?){0,4}") {
            let encoded = encoded(text.as_bytes());
            prop_assert!(encoded.is_ascii());
            prop_assert!(encoded.split("\r\n").all(|line| line.len() <= LINE_MAX));
            prop_assert_eq!(decoded(&encoded), text.as_bytes());
        }
    }
}
