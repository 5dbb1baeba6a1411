//! Variable-length numbers: seven bits per octet, lowest first.

/// Writes one.
pub(crate) fn put(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number as u8) | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Reads one; `None` if there is none.
pub(crate) fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (index, octet) in from.iter().take(10).enumerate() {
        number |= u64::from(octet & 0x7f) << (7 * index);
        if octet & 0x80 == 0 {
            *from = &from[index + 1..];
            return Some(number);
        }
    }
    None
}

/// A signed number as an unsigned one, small if it is near zero (zigzag).
pub(crate) fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The signed number again.
pub(crate) fn unfolded(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut octets = Vec::new();
            put(number, &mut octets);
            assert_eq!(take(&mut &octets[..]), Some(number));
            assert_eq!(take(&mut &octets[..octets.len() - 1]), None);
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unfolded(folded(number)), number);
        }
        assert_eq!(folded(-1), 1);
    }
}
