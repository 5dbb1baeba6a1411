//! Addresses and logins as clients write them: no panic, and what was accepted is read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::address::ParseOptions;
use postern_mail::{ForwardPath, Mailbox, ReversePath, normal_login};

fuzz_target!(|text: &str| {
    for utf8 in [false, true] {
        let options = ParseOptions { utf8, ..ParseOptions::default() };
        if let Ok(mailbox) = Mailbox::parse(text, &options) {
            assert_eq!(Mailbox::parse(&mailbox.to_string(), &options).as_ref(), Ok(&mailbox));
            assert!(!mailbox.to_string().contains(['\r', '\n', '\0']));
        }
        let _ = ForwardPath::parse(text, &options);
        let _ = ReversePath::parse(text, &options);
    }
    if let Ok(login) = normal_login(text) {
        assert_eq!(normal_login(&login).as_ref(), Ok(&login));
    }
});
