//! Replies of next hops: no panic, and no memory beyond the limits.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use postern_smtp::client::parser::ReplyParser;

fuzz_target!(|input: &[u8]| {
    let mut parser = ReplyParser::default();
    let mut buffer = BytesMut::from(input);
    while let Ok(Some(reply)) = parser.next(&mut buffer) {
        for line in reply.lines() {
            assert!(!line.contains(['\r', '\n', '\0']));
        }
    }
});
