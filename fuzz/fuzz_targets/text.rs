//! Small texts: xtext, durations, sizes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::xtext;
use postern_policy::units;

fuzz_target!(|text: &str| {
    if let Ok(decoded) = xtext::decode(text) {
        assert_eq!(xtext::decode(&xtext::encode(&decoded)), Ok(decoded));
    }
    let _ = xtext::decode_orcpt(text);
    let _ = units::duration(text);
    let _ = units::size(text);
});
