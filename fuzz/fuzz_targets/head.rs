//! The head filter: cuts change nothing, it changes nothing twice, and no reader finds another end of the head.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::head::{HeadFilter, HeadRules, Ordered};
use postern_mail::header::HeaderScan;

fn filtered(rules: HeadRules, pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let mut filter = HeadFilter::new(rules);
    let mut out = Ordered::default();
    for piece in pieces {
        let taken = filter.feed(piece, &mut out);
        out.text.extend_from_slice(&piece[taken..]);
    }
    filter.finish(&mut out);
    filter.fault().is_none().then(|| out.to_vec())
}

fuzz_target!(|input: (u16, bool, &[u8])| {
    let (cut, submission, text) = input;
    let rules = HeadRules {
        submission,
        ..HeadRules::default()
    };
    let (first, second) = text.split_at(usize::from(cut) % (text.len() + 1));
    let whole = filtered(rules, &[text]);
    assert_eq!(whole, filtered(rules, &[first, second]));
    if let Some(whole) = whole {
        let mut scan = HeaderScan::new();
        scan.feed(&whole);
        scan.finish();
        assert!(!scan.lacks_separator() || scan.header_len() == 0);
        assert_eq!(filtered(rules, &[&whole]).as_ref(), Some(&whole));
    }
});
