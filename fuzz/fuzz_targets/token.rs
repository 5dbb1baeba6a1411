#![no_main]

use libfuzzer_sys::fuzz_target;

// A token, a set of keys and a set of claims, with line ends between.
fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |octet| *octet == b'\n');
    let Ok(token) = std::str::from_utf8(parts.next().unwrap_or_default()) else {
        return;
    };
    let (keys, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    postern_oauth::verify::fuzz::token(token, keys, claims);
});
