//! The header as raw fields: any text comes back, an edit leaves all other octets, and a new field never becomes two or ends the
//! header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::{Header, NewField};

fuzz_target!(|input: (&[u8], &str, &[u8], u8, u8)| {
    let (text, name, value, at, what) = input;
    let (head, body) = Header::split(text);
    assert!(head.len() <= body);
    let mut header = Header::parse(head.to_vec());
    assert_eq!(header.clone().into_text(), head);
    let before: Vec<Vec<u8>> = header.fields().map(|field| field.raw().to_vec()).collect();
    for field in header.fields() {
        assert!(field.unfolded().len() <= field.raw().len());
    }
    let Ok(field) = NewField::new(name, value) else {
        return;
    };
    let alone = Header::parse(field.raw().to_vec());
    assert_eq!(alone.len(), 1);
    assert!(alone.get(0).is_some_and(|field| field.is_named(name)));
    assert_eq!(Header::split(field.raw()).0, field.raw());

    let at = usize::from(at);
    let mut expected = before.clone();
    match what % 4 {
        0 => {
            header.insert(at, &field).unwrap();
            if at > 0
                && let Some(above) = expected.get_mut(at.min(before.len()).wrapping_sub(1))
                && above.last() != Some(&b'\n')
            {
                above.extend_from_slice(b"\r\n");
            }
            expected.insert(at.min(before.len()), field.raw().to_vec());
        }
        1 => {
            if header.replace(at, &field).unwrap() {
                expected[at] = field.raw().to_vec();
            }
        }
        2 => {
            if header.remove(at) {
                expected.remove(at);
            }
        }
        _ => {
            header.retain(|field| !field.is_named(name));
            expected.retain(|raw| {
                !Header::parse(raw.clone())
                    .get(0)
                    .is_some_and(|field| field.is_named(name))
            });
        }
    }
    let after: Vec<Vec<u8>> = header.fields().map(|field| field.raw().to_vec()).collect();
    assert_eq!(after, expected);
    assert_eq!(header.into_text(), expected.concat());
});
