//! Command lines: no panic on whatever a client sends.
#![no_main]

libfuzzer_sys::fuzz_target!(|line: &[u8]| postern_smtp::fuzz::command(line));
