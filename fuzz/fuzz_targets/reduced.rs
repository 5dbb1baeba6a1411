//! Plainer forms of a report: in ASCII, and they come to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::report::reduced;

fuzz_target!(|text: &[u8]| {
    let mut form = text.to_vec();
    for _ in 0..4 {
        match reduced(&form) {
            Some(next) => {
                assert!(next.is_ascii());
                form = next;
            }
            None => return,
        }
    }
    panic!("it goes on and on");
});
