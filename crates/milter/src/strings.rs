//! Strings on the wire: each ends with a NUL.

use bytes::{BufMut as _, BytesMut};

/// Appends a string with its NUL. NULs inside are left out: the text after one would be taken for the next string.
pub(crate) fn put(out: &mut BytesMut, text: &[u8]) {
    if text.contains(&0) {
        out.extend(text.iter().filter(|&&octet| octet != 0));
    } else {
        out.extend_from_slice(text);
    }
    out.put_u8(0);
}

/// All strings of `data`; `None` unless the last one has its NUL.
pub(crate) fn all(data: &[u8]) -> Option<Vec<&[u8]>> {
    let data = match data {
        [] => return Some(Vec::new()),
        [data @ .., 0] => data,
        _ => return None,
    };
    Some(data.split(|&octet| octet == 0).collect())
}

/// The single string in `data`; `None` if there is none, or several.
pub(crate) fn one(data: &[u8]) -> Option<&[u8]> {
    let [text @ .., 0] = data else { return None };
    (!text.contains(&0)).then_some(text)
}

/// The two strings in `data`.
pub(crate) fn two(data: &[u8]) -> Option<[&[u8]; 2]> {
    let [text @ .., 0] = data else { return None };
    let end = text.iter().position(|&octet| octet == 0)?;
    let (first, second) = (&text[..end], &text[end + 1..]);
    (!second.contains(&0)).then_some([first, second])
}

/// A number of four octets and what follows it.
pub(crate) fn number(data: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = data.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// As text for a log line: what is not printable ASCII becomes `?`, cut at 100 octets.
pub(crate) fn shown(octets: &[u8]) -> String {
    octets
        .iter()
        .take(100)
        .map(|&octet| match octet {
            b' '..=b'~' => char::from(octet),
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (
        &'static str,
        &'static [u8],
        Option<usize>,
        Option<&'static [u8]>,
        Option<[&'static [u8]; 2]>,
    );

    #[test]
    fn strings() {
        let mut out = BytesMut::new();
        put(&mut out, b"a\0b");
        assert_eq!(&out[..], b"ab\0", "never two strings");
        #[rustfmt::skip]
        let cases: [Case; 7] = [
            // what the case shows  data        how many        the one         the two
            ("nothing",         b"",            Some(0),    None,           None),
            ("an empty one",    b"\0",          Some(1),    Some(b""),      None),
            ("one",             b"a\0",         Some(1),    Some(b"a"),     None),
            ("no end",          b"a",           None,       None,           None),
            ("two",             b"a\0b\0",      Some(2),    None,           Some([b"a", b"b"])),
            ("two empty ones",  b"\0\0",        Some(2),    None,           Some([b"", b""])),
            ("three",           b"a\0b\0c\0",   Some(3),    None,           None),
        ];
        for (shows, data, count, single, pair) in cases {
            assert_eq!(all(data).map(|strings| strings.len()), count, "{shows}");
            assert_eq!(one(data), single, "{shows}");
            assert_eq!(two(data), pair, "{shows}");
        }
    }
}
