//! Results of access tables and answers of policy services: no panic, and whatever refuses can be said.
#![no_main]

use postern_policy::access::written::{self, Context};
use postern_policy::access::{Action, Words, delegation};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = delegation::end_of_answer(input);
    let Ok(text) = delegation::action(input).or_else(|_| std::str::from_utf8(input)) else {
        return;
    };
    let context = Context {
        class: &|name| (name == "greylist").then_some(0),
        relay: true,
    };
    for read in [written::postfix(text, context), written::sendmail(text, context)] {
        if let Ok(Action::Refuse(words) | Action::RefuseAtEnd(words)) = read {
            assert_eq!(Words::new(words.code, words.status, &words.text), Ok(words));
        }
    }
});
