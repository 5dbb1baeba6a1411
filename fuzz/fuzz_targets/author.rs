//! The author check: who owns one address sends in no other name, as strict and as lax readers see it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::{Mailbox, lookalikes, mailbox_list};
use postern_policy::identity::{Claims, Identity, IdentityRules, SenderRule, write_as};

fuzz_target!(|value: &str| {
    let identity = Identity::new("a", ["a@x.example"]);
    let rules = IdentityRules {
        senders: SenderRule::Own,
        ..IdentityRules::default()
    };
    let claims = Claims {
        from: vec![value],
        ..Claims::default()
    };
    let nowhere = |_: &Mailbox| Vec::new();
    if write_as(&identity, &claims, &rules, &nowhere).is_ok() {
        let list = mailbox_list(value).unwrap_or_default();
        assert!(!list.is_empty() && list.iter().all(|mailbox| mailbox.key() == "a@x.example"));
        for seen in lookalikes(value).unwrap_or_default() {
            assert!(seen.trimmed().eq_ignore_ascii_case("a"), "{seen:?}");
        }
    }
});
