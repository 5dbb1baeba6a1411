//! Conversion to 7 bits: cuts change nothing, what comes out is ASCII in short lines, and converting it again changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::sevenbit::{Converter, Plan, Survey};

fn planned(pieces: &[&[u8]]) -> Option<Plan> {
    let mut survey = Survey::new();
    for piece in pieces {
        survey.feed(piece);
    }
    survey.finish().ok()
}

fn converted(plan: &Plan, pieces: &[&[u8]]) -> Vec<u8> {
    let mut converter = Converter::new(plan);
    let mut out = Vec::new();
    for piece in pieces {
        converter.feed(piece, &mut out);
    }
    converter.finish(&mut out);
    out
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, text) = input;
    let (first, second) = text.split_at(usize::from(cut) % (text.len() + 1));
    let plan = planned(&[text]);
    assert_eq!(plan, planned(&[first, second]));
    let Some(plan) = plan else { return };
    let whole = converted(&plan, &[text]);
    assert_eq!(whole, converted(&plan, &[first, second]));
    assert!(whole.is_ascii());
    let again = planned(&[&whole]).expect("what was converted can be");
    assert_eq!(converted(&again, &[&whole]), whole);
});
