//! What a hostile filter sends: no panic, nothing that was not agreed, no change that breaks a message.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| postern_milter::fuzz::session(input));
