//! The little of DER (ITU-T X.690) that is needed to take certificates apart without judging them.

use pkcs8::der::{AnyRef, Decode as _, Reader as _, SliceReader, Tag};

/// One element and what follows it.
pub(super) struct Element<'a> {
    /// Its content.
    pub(super) content: &'a [u8],
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
    /// The input behind it.
    pub(super) rest: &'a [u8],
}

/// Splits the first element off. `None` when it is truncated, not DER, or has another tag.
pub(super) fn expect(input: &[u8], tag: Tag) -> Option<Element<'_>> {
    let whole = SliceReader::new(input).ok()?.tlv_bytes().ok()?;
    let element = AnyRef::from_der(whole).ok()?;
    let rest = input.get(whole.len()..)?;
    let content = element.value();
    (pkcs8::der::Tagged::tag(&element) == tag).then_some(Element { content, whole, rest })
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
        let mut long = vec![0x30, 0x81, 0x80];
        long.extend([7; 130]);
        #[rustfmt::skip]
        let cases = [
            // what the case shows        input                              content and rest length
            ("short form",                &[0x30, 2, 1, 2, 9][..],           Some((2, 1))),
            ("long form",                 &long[..],                         Some((128, 2))),
            ("empty content",             &[0x30, 0][..],                    Some((0, 0))),
            ("another tag",               &[0x05, 0][..],                    None),
            ("nothing at all",            &[][..],                           None),
            ("content cut short",         &[0x30, 2, 1][..],                 None),
            ("length cut short",          &[0x30, 0x82, 1][..],              None),
            ("a length too long is BER",  &[0x30, 0x81, 1, 7][..],           None),
            ("indefinite length is BER",  &[0x30, 0x80, 0, 0][..],           None),
        ];
        for (shows, input, expected) in cases {
            let got = expect(input, Tag::Sequence).map(|e| (e.content.len(), e.rest.len()));
            assert_eq!(got, expected, "{shows}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_reads_beyond_its_input(input: Vec<u8>) {
            let tag = input.first().and_then(|octet| Tag::try_from(*octet).ok());
            if let Some(e) = tag.and_then(|tag| expect(&input, tag)) {
                proptest::prop_assert_eq!(e.whole.len() + e.rest.len(), input.len());
                proptest::prop_assert!(e.whole.ends_with(e.content));
            }
        }
    }
}
