//! Logs of mail servers, whatever they say, are read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_migrate::log::Reader;

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new();
    for line in String::from_utf8_lossy(data).lines() {
        reader.line(line);
    }
    let (decisions, _, _) = reader.finish();
    assert!(decisions.keys().all(|decision| decision.recipient.contains('@')));
});
