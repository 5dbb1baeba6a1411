//! Encoded words (RFC 2047), read as the most lenient reader does: anywhere, of any length.

/// Charsets whose octets below 128 are ASCII, so that an `@` in them is an `@` and nothing else is. Given as prefixes.
const LIKE_ASCII: &[&str] = &[
    "ansi_x3.4",
    "ascii",
    "big5",
    "cp125",
    "cp437",
    "cp85",
    "cp86",
    "cp874",
    "euc-",
    "gb18030",
    "gb2312",
    "gbk",
    "ibm8",
    "iso-8859-",
    "iso8859",
    "iso_8859",
    "koi8-",
    "ks_c_5601",
    "latin",
    "macintosh",
    "shift_jis",
    "shift-jis",
    "sjis",
    "tis-620",
    "us-ascii",
    "utf-8",
    "utf8",
    "windows-",
    "x-mac-",
    "x-sjis",
];

/// Decodes all encoded words. `None` if one has a charset that is not known to be like ASCII.
pub(super) fn decoded(value: &str) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let Some((word, behind)) = Word::at(&rest[start..]) else {
            out.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            after_word = false;
            continue;
        };
        let between = &rest[..start];
        // Blanks between two encoded words are not shown.
        if !(after_word && between.trim().is_empty()) {
            out.push_str(between);
        }
        out.push_str(&word.text()?);
        rest = behind;
        after_word = true;
    }
    out.push_str(rest);
    Some(out)
}

struct Word<'a> {
    charset: &'a str,
    base64: bool,
    encoded: &'a str,
}

impl<'a> Word<'a> {
    /// The encoded word at the beginning of the text, and what follows it.
    fn at(text: &'a str) -> Option<(Self, &'a str)> {
        let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
        let (encoding, rest) = rest.split_once('?')?;
        let base64 = match encoding {
            "b" | "B" => true,
            "q" | "Q" => false,
            _ => return None,
        };
        let (encoded, behind) = rest.split_once("?=")?;
        // The language after an asterisk (RFC 2231 section 5).
        let charset = charset.split('*').next().unwrap_or_default().trim();
        let word = Self {
            charset,
            base64,
            encoded,
        };
        Some((word, behind))
    }

    fn text(&self) -> Option<String> {
        let octets = if self.base64 {
            base64(self.encoded)
        } else {
            quoted(self.encoded)
        };
        let charset = self.charset.to_ascii_lowercase();
        if charset.starts_with("iso-2022-") {
            return Some(without_escapes(&octets));
        }
        let is_like_ascii = LIKE_ASCII.iter().any(|known| charset.starts_with(known));
        is_like_ascii.then(|| String::from_utf8_lossy(&octets).into_owned())
    }
}

/// The Q encoding (RFC 2047 section 4.2).
fn quoted(text: &str) -> Vec<u8> {
    let octets = text.as_bytes();
    let digit = |at: usize| octets.get(at).and_then(|&octet| char::from(octet).to_digit(16));
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        match (octet, digit(at + 1), digit(at + 2)) {
            (b'=', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'_', ..) => out.push(b' '),
            _ => out.push(octet),
        }
        at += 1;
    }
    out
}

/// Base64, ignoring all other characters.
fn base64(text: &str) -> Vec<u8> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut out = Vec::with_capacity(text.len());
    for octet in text.bytes() {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                // What follows is decoded separately, as when two pieces were concatenated.
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// The one-octet letters of a text in ISO 2022; two-octet letters are not ASCII, whatever their octets look like.
fn without_escapes(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut double = false;
    let mut rest = octets.iter();
    while let Some(&octet) = rest.next() {
        if octet == 0x1b {
            double = false;
            for &part in rest.by_ref() {
                double |= part == b'$';
                if !(0x20..0x30).contains(&part) {
                    break;
                }
            }
        } else if !double {
            text.push(char::from(octet));
        }
    }
    text
}
