//! Whole sessions, whole and octet by octet: the replies do not depend on how the client cuts its packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| postern_smtp::fuzz::dialogue(input));
