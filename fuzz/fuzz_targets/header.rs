//! The header scan: cutting the input elsewhere changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::header::HeaderScan;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, text) = input;
    let (head, tail) = text.split_at(usize::from(cut) % (text.len() + 1));
    let mut whole = HeaderScan::new();
    whole.feed(text);
    whole.finish();
    let mut parts = HeaderScan::new();
    parts.feed(head);
    parts.feed(tail);
    parts.finish();
    assert_eq!(whole.received_count(), parts.received_count());
    assert_eq!(whole.has_date(), parts.has_date());
    assert_eq!(whole.message_id(), parts.message_id());
    assert_eq!(whole.header_len(), parts.header_len());
});
