//! The output of `db_dump` for sasldb2.

use zeroize::Zeroizing;

use super::super::line::{Line, Problem};
use super::record::{Record, of_record};

/// Key and value are on separate lines, each after a blank; the key is `user NUL realm NUL property`.
pub(super) fn read(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut hexadecimal = true;
    let mut key: Option<(usize, &str)> = None;
    for (index, text) in text.lines().enumerate() {
        let Some(record) = text.strip_prefix(' ') else {
            if let Some(format) = text.strip_prefix("format=") {
                hexadecimal = format != "print";
            }
            continue;
        };
        match key.take() {
            None => key = Some((index + 1, record)),
            Some((number, key)) => {
                lines.extend(of_record(Record {
                    number,
                    key: undump(key, hexadecimal),
                    value: undump(record, hexadecimal).map(Zeroizing::new),
                }));
            }
        }
    }
    if let Some((number, _)) = key {
        lines.push(Line {
            number,
            name: String::new(),
            entry: Err(Problem::Form("is a key without a value: the dump is cut off")),
        });
    }
    lines
}

/// A record's octets: hexadecimal digits, or letters with `\xx` for the others.
fn undump(record: &str, hexadecimal: bool) -> Option<Vec<u8>> {
    let octets = record.as_bytes();
    let digits = |at: usize| {
        let digit = |at: usize| octets.get(at).and_then(|octet| char::from(*octet).to_digit(16));
        u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok()
    };
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        let (octet, taken) = match octets[at] {
            _ if hexadecimal => (digits(at)?, 2),
            b'\\' if octets.get(at + 1) == Some(&b'\\') => (b'\\', 2),
            b'\\' => (digits(at + 1)?, 3),
            octet => (octet, 1),
        };
        out.push(octet);
        at += taken;
    }
    Some(out)
}
