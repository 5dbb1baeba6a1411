//! PROXY headers of both versions: no panic, and never a byte beyond the header.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = postern_net::proxy::parse(input);
});
