//! DKIM: canonical forms do not depend on cuts and are their own canonical forms, records are read back as they are written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::Header;
use postern_seal::canon::{self, BodyCanon, Form};
use postern_seal::{BodyHasher, KeyRecord, Published, TagList, Algorithm, txt_strings, zone_line};

fn body(form: Form, pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut canon = BodyCanon::new(form);
    for piece in pieces {
        canon.feed(piece, &mut |text| out.extend_from_slice(text));
    }
    canon.finish(&mut |text| out.extend_from_slice(text));
    out
}

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (cut, limit, text) = input;
    let (first, second) = text.split_at(usize::from(cut) % (text.len() + 1));
    for form in [Form::Simple, Form::Relaxed] {
        let whole = body(form, &[text]);
        assert_eq!(whole, body(form, &[first, second]));
        if !whole.is_empty() {
            assert!(whole.ends_with(b"\r\n"));
            assert_eq!(whole, body(form, &[&whole]));
        }
        let mut hasher = BodyHasher::new(form, Some(u64::from(limit)));
        hasher.feed(first);
        hasher.feed(second);
        let hash = hasher.finish();
        assert_eq!(hash.length, whole.len() as u64);
        assert_eq!(hash.hashed, hash.length.min(u64::from(limit)));
        for field in Header::parse(text.to_vec()).fields() {
            let mut once = Vec::new();
            canon::field(form, field.raw(), &mut once);
            if form == Form::Relaxed {
                let mut twice = Vec::new();
                canon::field(form, &once, &mut twice);
                assert_eq!(once, twice);
            }
        }
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    let _ = TagList::parse(text);
    assert_eq!(txt_strings(text).concat(), text);
    assert!(txt_strings(text).iter().all(|string| string.len() <= 255));
    let _ = zone_line("a.example", text);
    let _ = Published::compare(Algorithm::RsaSha256, b"key", &[text]);
    if let Ok(record) = KeyRecord::parse(text) {
        let written = record.to_string();
        if let Ok(again) = KeyRecord::parse(&written) {
            assert_eq!((again.public, again.testing, again.strict), (record.public, record.testing, record.strict));
        }
    }
});
