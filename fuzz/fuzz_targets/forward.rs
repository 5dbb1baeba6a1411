//! A user's `.forward`, and what comes over the helper's socket: no panic, and nothing that is more than a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mda::forward::{Entry, parse};
use postern_mda::{Reply, Request};

fuzz_target!(|input: &[u8]| {
    if let Some(request) = Request::decode(input) {
        assert!(!request.user.contains(['\n', '\0']) && !request.queue.contains('/'));
    }
    if let Some(reply) = Reply::decode(input) {
        assert_eq!(Reply::decode(&reply.encode()), Some(reply));
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    for entry in parse(text, "ann") {
        let words = match entry {
            Entry::Keep => continue,
            Entry::Address(text) | Entry::Program(text) | Entry::File(text) | Entry::Include(text) | Entry::Unknown(text) => text,
        };
        assert!(!words.is_empty() && !words.contains('\n'));
    }
});
