//! Bodies by DATA and BDAT: cutting the input elsewhere changes nothing, and no bare CR or LF is handed on.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| postern_smtp::fuzz::body(input));
