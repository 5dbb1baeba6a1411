//! What the client stuffs, the server unstuffs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_smtp::body::{BareLineEndings, BodyRules, DataDecoder};
use postern_smtp::client::stuff::DotStuffer;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, text) = input;
    // Only CRLF line ends reach delivery.
    let text: Vec<u8> = String::from_utf8_lossy(text).replace(['\r', '\0'], "").replace('\n', "\r\n").into_bytes();
    let (head, tail) = text.split_at(usize::from(cut) % (text.len() + 1));
    let mut wire = Vec::new();
    let mut stuffer = DotStuffer::new();
    stuffer.encode(head, &mut wire);
    stuffer.encode(tail, &mut wire);
    stuffer.finish(&mut wire);
    let mut decoder =
        DataDecoder::new(BodyRules { size_max: 1 << 30, line_max: usize::MAX, bare: BareLineEndings::Refuse });
    let (mut body, mut rest) = (Vec::new(), &wire[..]);
    loop {
        let decoded = decoder.decode(rest);
        body.extend_from_slice(decoded.text);
        rest = &rest[decoded.consumed..];
        if decoded.ended {
            break;
        }
        assert!(!rest.is_empty(), "the body does not end");
    }
    assert!(rest.is_empty() && decoder.fault().is_none());
    let mut expected = text;
    if !expected.is_empty() && !expected.ends_with(b"\r\n") {
        expected.extend_from_slice(b"\r\n");
    }
    assert_eq!(body, expected);
});
