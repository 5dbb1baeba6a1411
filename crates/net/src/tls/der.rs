//! The little of DER (ITU-T X.690) that is needed to take certificates apart without judging them.

/// Tag of a SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// Tag of an OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
/// Tag of a BIT STRING.
pub(super) const BIT_STRING: u8 = 0x03;

/// One element and what follows it.
pub(super) struct Element<'a> {
    /// Its first octet.
    pub(super) tag: u8,
    /// Its content.
    pub(super) content: &'a [u8],
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
    /// The input behind it.
    pub(super) rest: &'a [u8],
}

/// Splits the first element off. `None` when it is cut short, or has a tag or a length that no certificate
/// needs.
pub(super) fn element(input: &[u8]) -> Option<Element<'_>> {
    let (&tag, after_tag) = input.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, after_first) = after_tag.split_first()?;
    let (length, body) = if first < 0x80 {
        (usize::from(first), after_first)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 3 {
            return None;
        }
        let (octets, body) = after_first.split_at_checked(count)?;
        (
            octets
                .iter()
                .fold(0, |length, &octet| length << 8 | usize::from(octet)),
            body,
        )
    };
    let (content, rest) = body.split_at_checked(length)?;
    let (whole, _) = input.split_at_checked(input.len() - rest.len())?;
    Some(Element {
        tag,
        content,
        whole,
        rest,
    })
}

/// Like [`element`], for one with a certain tag.
pub(super) fn expect(input: &[u8], tag: u8) -> Option<Element<'_>> {
    element(input).filter(|element| element.tag == tag)
}

/// The octets of a BIT STRING without unused bits.
pub(super) fn bits(content: &[u8]) -> Option<&[u8]> {
    content.strip_prefix(&[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows        input                              content and rest length
            ("short form",                &[0x30, 2, 1, 2, 9][..],           Some((2, 1))),
            ("long form",                 &[0x30, 0x81, 1, 7][..],           Some((1, 0))),
            ("two length octets",         &[0x30, 0x82, 0, 1, 7, 8][..],     Some((1, 1))),
            ("empty content",             &[0x05, 0][..],                    Some((0, 0))),
            ("nothing at all",            &[][..],                           None),
            ("content cut short",         &[0x30, 2, 1][..],                 None),
            ("length cut short",          &[0x30, 0x82, 1][..],              None),
            ("indefinite length is BER",  &[0x30, 0x80, 0, 0][..],           None),
            ("long tag",                  &[0x1f, 0x81, 1, 0][..],           None),
        ];
        for (shows, input, expected) in cases {
            let got = element(input).map(|e| (e.content.len(), e.rest.len()));
            assert_eq!(got, expected, "{shows}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_reads_beyond_its_input(input: Vec<u8>) {
            if let Some(e) = element(&input) {
                proptest::prop_assert_eq!(e.whole.len() + e.rest.len(), input.len());
                proptest::prop_assert!(e.whole.ends_with(e.content));
            }
        }
    }
}
