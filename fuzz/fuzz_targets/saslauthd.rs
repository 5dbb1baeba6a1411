//! Questions to saslauthd: no panic, no more than the limit taken, and never a question from a part of one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_authwire::saslauthd::{FIELD_MAX, QUESTION_MAX, Question, verdict};
use secrecy::ExposeSecret;

fuzz_target!(|input: &[u8]| {
    let _ = verdict(input);
    if let Ok(Some(question)) = Question::parse(input) {
        let fields = [&question.login, &question.service, &question.realm];
        assert!(fields.iter().all(|field| field.len() <= FIELD_MAX && !field.contains('\0')));
        let len = 8 + fields.iter().map(|field| field.len()).sum::<usize>() + question.password.expose_secret().len();
        assert!(len <= QUESTION_MAX && len <= input.len());
        assert!(matches!(Question::parse(&input[..len - 1]), Ok(None)));
    }
});
