//! Texts of tables, references to tables, and what is looked up in them: no panic, and nothing found that does not stand there.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| postern_table::fuzz::table(input));
