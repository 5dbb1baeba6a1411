//! Headers, case by case and at every cut.

use proptest::prelude::*;

use super::*;
use crate::header::HeaderScan;

const SUBMISSION: HeadRules = HeadRules {
    submission: true,
    utf8: false,
    every_from: false,
};

/// What a message becomes, and its fault.
fn filtered(rules: HeadRules, pieces: &[&[u8]]) -> (Vec<u8>, Option<HeadFault>) {
    let mut filter = HeadFilter::new(rules);
    let mut out = Ordered::default();
    for piece in pieces {
        let taken = filter.feed(piece, &mut out);
        assert!(taken == piece.len() || filter.is_complete());
        if filter.fault().is_none() {
            out.text.extend_from_slice(&piece[taken..]);
        }
    }
    filter.finish(&mut out);
    (out.to_vec(), filter.fault())
}

fn is(rules: HeadRules, shows: &str, message: &str, expected: &str) {
    for cut in 0..=message.len() {
        let (first, second) = message.as_bytes().split_at(cut);
        let (got, fault) = filtered(rules, &[first, second]);
        assert_eq!(fault, None, "{shows}");
        assert_eq!(String::from_utf8_lossy(&got), expected, "{shows}, cut at {cut}");
    }
}

#[test]
fn heads_of_all_mail() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows            message                                                        what goes on
        ("a message",                     "A: b\r\nC: d\r\n e\r\n\r\nbody\r\n",                           "A: b\r\nC: d\r\n e\r\n\r\nbody\r\n"),
        ("nothing",                       "",                                                            ""),
        ("no head",                       "\r\nbody\r\n",                                                 "\r\nbody\r\n"),
        ("a head alone",                  "A: b\r\n",                                                     "A: b\r\n"),
        ("without its line end",          "A: b",                                                        "A: b\r\n"),
        ("fields in the body",            "A: b\r\n\r\nFrom root\r\nTo: x\r\n",                           "A: b\r\n\r\nFrom root\r\nTo: x\r\n"),
        ("a mailbox separator",           "From root Sun Nov 22 10:00:00 2026\r\nTo: b\r\n\r\nx\r\n",     "Mailbox-Line: From root Sun Nov 22 10:00:00 2026\r\nTo: b\r\n\r\nx\r\n"),
        ("a quoted one",                  ">From a@b Sun Nov 22 10:00:00 2026 remote from x\r\nTo: b\r\n\r\n", "Mailbox-Line: >From a@b Sun Nov 22 10:00:00 2026 remote from x\r\nTo: b\r\n\r\n"),
        ("one without a date",            "From root\r\nTo: b\r\n\r\n",                                   "Mailbox-Line: From root\r\nTo: b\r\n\r\n"),
        ("one before an unknown field",   "From root Sun Nov 22 10:00:00 2026\r\nFoo: b\r\n\r\n",         "Mailbox-Line: From root Sun Nov 22 10:00:00 2026\r\nFoo: b\r\n\r\n"),
        ("one and nothing",               "From root Sun Nov 22 10:00:00 2026\r\n\r\nx\r\n",              "Mailbox-Line: From root Sun Nov 22 10:00:00 2026\r\n\r\nx\r\n"),
        ("one behind trace fields",       "Received: x\r\n>From a@b Sun Nov 22 10:00:00 2026\r\nTo: b\r\n\r\n", "Received: x\r\nMailbox-Line: >From a@b Sun Nov 22 10:00:00 2026\r\nTo: b\r\n\r\n"),
        ("a sentence",                    "From now on it works.\r\nBye\r\n",                             "\r\nFrom now on it works.\r\nBye\r\n"),
        ("a stray line among fields",     "To: b\r\nno field here\r\nSubject: c\r\n\r\nx\r\n",            "To: b\r\nX-Stray-Line: no field here\r\nSubject: c\r\n\r\nx\r\n"),
        ("two of them",                   "To: b\r\none\r\ntwo\r\n three\r\nSubject: c\r\n\r\n",          "To: b\r\nX-Stray-Line: one\r\nX-Stray-Line: two\r\n three\r\nSubject: c\r\n\r\n"),
        ("a fold that is not indented",   "Content-Type: text/plain;\r\ncharset=utf-8\r\nTo: b\r\n\r\n",  "Content-Type: text/plain;\r\nX-Stray-Line: charset=utf-8\r\nTo: b\r\n\r\n"),
        ("one at the top",                "no field\r\nSubject: c\r\n\r\nx\r\n",                          "X-Stray-Line: no field\r\nSubject: c\r\n\r\nx\r\n"),
        ("a form feed in a name",         "To: b\r\nFrom \x0c:c\r\nSubject: d\r\n\r\n",                 "To: b\r\nMailbox-Line: From \x0c:c\r\nSubject: d\r\n\r\n"),
        ("a fold at the top",             " folded\r\nSubject: c\r\n\r\nx\r\n",                           "X-Stray-Line:  folded\r\nSubject: c\r\n\r\nx\r\n"),
        ("blanks at the top",             " \t\r\nSubject: c\r\n\r\nx\r\n",                               "Subject: c\r\n\r\nx\r\n"),
        ("UTF-8 in a name",               "Söbject: x\r\nTo: b\r\n\r\n",                                  "X-Stray-Line: Söbject: x\r\nTo: b\r\n\r\n"),
        ("no name",                       ": x\r\nTo: b\r\n\r\n",                                         "X-Stray-Line: : x\r\nTo: b\r\n\r\n"),
        ("a name with a blank in it",     "My Field: x\r\nTo: b\r\n\r\n",                                 "X-Stray-Line: My Field: x\r\nTo: b\r\n\r\n"),
        ("an unknown field between",      "stray\r\nFoo: x\r\nTo: b\r\n\r\n",                             "X-Stray-Line: stray\r\nFoo: x\r\nTo: b\r\n\r\n"),
        ("text follows at once",          "Subject: c\r\nHello,\r\n\r\nhow are you?\r\n",                 "Subject: c\r\n\r\nHello,\r\n\r\nhow are you?\r\n"),
        ("text like fields",              "Subject: c\r\nHello\r\nPS: one\r\nhttp://x.example\r\n\r\n",   "Subject: c\r\n\r\nHello\r\nPS: one\r\nhttp://x.example\r\n\r\n"),
        ("text to the end",               "Subject: c\r\nHello\r\n",                                      "Subject: c\r\n\r\nHello\r\n"),
        ("text alone",                    "Hello, world\r\n",                                             "\r\nHello, world\r\n"),
        ("a blank before the colon",      "From : a@b\r\nTo: b\r\n\r\n",                                  "From : a@b\r\nTo: b\r\n\r\n"),
        ("a line of blanks",              "A: b\r\n \r\nTo: b\r\n\r\n",                                   "A: b\r\n \r\nTo: b\r\n\r\n"),
        ("a stranger's fields stay",      "Date: x\r\nDate:\r\nFrom:\r\nMessage-ID: y\r\n\r\n",           "Date: x\r\nDate:\r\nFrom:\r\nMessage-ID: y\r\n\r\n"),
    ];
    for (shows, message, expected) in cases {
        is(HeadRules::default(), shows, message, expected);
    }
}

#[test]
fn where_the_body_begins() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows   message                                 fields                  empty line  text
        ("a message",            "A: b\r\n\r\nbody\r\n",               "A: b\r\n",             true,       ""),
        ("a header alone",       "A: b\r\n",                             "A: b\r\n",             false,      ""),
        ("nothing",              "",                                     "",                     false,      ""),
        ("no header",            "\r\nbody\r\n",                         "",                     true,       ""),
        ("text at once",         "A: b\r\nHello,\r\n\r\nyou\r\n",      "A: b\r\n",             true,       "Hello,\r\n\r\n"),
        ("text to the end",      "A: b\r\nHello\r\n",                    "A: b\r\n",             true,       "Hello\r\n"),
        ("a stray line",         "stray\r\nTo: b\r\n\r\n",              "X-Stray-Line: stray\r\nTo: b\r\n", true, ""),
    ];
    for (shows, message, fields, separated, text) in cases {
        let mut filter = HeadFilter::new(HeadRules::default());
        let mut out = Ordered::default();
        filter.feed(message.as_bytes(), &mut out);
        filter.finish(&mut out);
        let found = (out.fields.as_slice(), out.separated, out.text.as_slice());
        assert_eq!(found, (fields.as_bytes(), separated, text.as_bytes()), "{shows}");
    }
}

#[test]
fn heads_of_submissions() {
    let date = "Date: Sun, 22 Nov 2026 09:30:20 +0000\r\n";
    let twice = format!("{date}{date}\r\n");
    let folded = "Date: Sun, 22 Nov 2026\r\n 09:30:20 +0000\r\n\r\n";
    let once = format!("{date}\r\n");
    let long_id = format!("Message-ID: <{}@b>\r\nTo: c\r\n\r\n", "x".repeat(990));
    #[rustfmt::skip]
    let cases = [
        // what the case shows          message                                              what goes on
        ("all is well",                 "Date: 1 Jan 26 1:02 EST\r\nFrom: a@b.c\r\nMessage-Id: <a@b>\r\n\r\n", "Date: 1 Jan 26 1:02 EST\r\nFrom: a@b.c\r\nMessage-Id: <a@b>\r\n\r\n"),
        ("an odd date",                 "Date: yesterday\r\nTo: b\r\n\r\n",                 "To: b\r\n\r\n"),
        ("no date in it",               "Date:\r\nTo: b\r\n\r\n",                           "To: b\r\n\r\n"),
        ("two dates",                   twice.as_str(),                                      once.as_str()),
        ("the second is one",           "Date: x\r\nDate: 1 Jan 26 1:02 EST\r\n\r\n",       "Date: 1 Jan 26 1:02 EST\r\n\r\n"),
        ("a folded date",               folded,                                              folded),
        ("a fold goes with its field",  "Date: x\r\n y\r\n\tz\r\nTo: b\r\n c\r\n\r\n",      "To: b\r\n c\r\n\r\n"),
        ("no message id",               "Message-ID: abc\r\nTo: b\r\n\r\n",                 "To: b\r\n\r\n"),
        ("two in one",                  "Message-ID: <a@b> <c@d>\r\nTo: b\r\n\r\n",         "To: b\r\n\r\n"),
        ("one beyond ASCII",            "Message-ID: <ä@b>\r\nTo: b\r\n\r\n",               "To: b\r\n\r\n"),
        ("one that fits no line",       long_id.as_str(),                                    "To: c\r\n\r\n"),
        ("no author",                   "From: Scanner\r\nTo: b\r\n\r\n",                   "To: b\r\n\r\n"),
        ("an empty one",                "From: \r\nTo: b\r\n\r\n",                          "To: b\r\n\r\n"),
        ("an author by a group",        "From: Us: a@b.c;\r\n\r\n",                         "From: Us: a@b.c;\r\n\r\n"),
        ("two authors",                 "From: a@b.c\r\nFrom: d@e.f\r\n\r\n",               "From: a@b.c\r\n\r\n"),
        ("a blank before the colon",    "From\t : a@b.c\r\nTo : b\r\n\r\n",                 "From: a@b.c\r\nTo: b\r\n\r\n"),
        ("a line of blanks",            "From: a@b.c\r\n \t\r\nTo: b\r\n  \r\n\r\n",        "From: a@b.c\r\nTo: b\r\n\r\n"),
        ("the last field",              "To: b\r\nDate: x",                                  "To: b\r\n"),
        ("in the body",                 "To: b\r\n\r\nDate: x\r\n",                         "To: b\r\n\r\nDate: x\r\n"),
        ("before text",                 "Date: x\r\nHello\r\n",                             "\r\nHello\r\n"),
    ];
    for (shows, message, expected) in cases {
        is(SUBMISSION, shows, message, expected);
    }
    let every = HeadRules {
        every_from: true,
        ..SUBMISSION
    };
    let two = "From: a@b.c\r\nFrom: nobody\r\n\r\n";
    is(every, "somebody judges them", two, two);
    is(every, "an empty one", "From: \r\nTo: b\r\n\r\n", "To: b\r\n\r\n");
    let utf8 = HeadRules {
        utf8: true,
        ..SUBMISSION
    };
    let id = "Message-ID: <ä@b>\r\n\r\n";
    is(utf8, "beyond ASCII where that was said", id, id);
}

#[test]
fn what_no_head_may_hold() {
    use HeadFault::*;
    #[rustfmt::skip]
    let cases: &[(&str, &[u8], Option<HeadFault>)] = &[
        ("bare CR",                   b"X: y\rFrom: boss@x.example\r\n\r\n",  Some(BareLineEnding)),
        ("bare CR at a line's start", b"X: y\r\n\rFrom: b\r\n\r\n",           Some(BareLineEnding)),
        ("two CR",                    b"X: y\r\r\n\r\n",                      Some(BareLineEnding)),
        ("bare LF",                   b"X: y\nFrom: boss@x.example\r\n\r\n",  Some(BareLineEnding)),
        ("bare LF as empty line",     b"X: y\r\n\nFrom: b\r\n",               Some(BareLineEnding)),
        ("CR at the very end",        b"X: y\r",                              Some(BareLineEnding)),
        ("NUL",                       b"X: y\0\r\n\r\n",                      Some(Nul)),
        ("NUL in a name",             b"Fr\0om: y\r\n\r\n",                   Some(Nul)),
        ("all that in the body",      b"X: y\r\n\r\n\r\0\n\n",                None),
        ("nothing of it",             b"X: y\r\n\r\n",                        None),
    ];
    for &(shows, message, fault) in cases {
        for cut in 0..=message.len() {
            let (first, second) = message.split_at(cut);
            assert_eq!(
                filtered(HeadRules::default(), &[first, second]).1,
                fault,
                "{shows}, cut at {cut}"
            );
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_head() {
    let mut filter = HeadFilter::new(SUBMISSION);
    let mut out = Ordered::default();
    for (begin, more) in [
        ("X: y", "x".repeat(1_000)),
        ("\r\nDate: ", "x".repeat(1_000)),
        ("\r\nFrom: a@b.c", "\r\n ,".repeat(300)),
        ("\r\nMessage-ID: ", "\r\n x".repeat(300)),
    ] {
        filter.feed(begin.as_bytes(), &mut out);
        for _ in 0..100 {
            out.fields.clear();
            filter.feed(more.as_bytes(), &mut out);
            let kept = filter.line.capacity() + filter.held.capacity() + filter.stray.capacity();
            assert!(kept < 64 << 10, "{begin}: {kept}");
        }
    }
    let long = format!("{}\r\nTo: b\r\n\r\n", "x".repeat(20_000));
    let (out, _) = filtered(HeadRules::default(), &[long.as_bytes()]);
    assert!(out.starts_with(b"\r\nxxx"), "too long to be a stray line: text");
}

#[test]
fn stray_lines_do_not_outgrow_a_line() {
    let long = "x".repeat(996);
    let (out, _) = filtered(
        HeadRules::default(),
        &[format!("{long}\r\nTo: b\r\n\r\n").as_bytes()],
    );
    assert_eq!(
        String::from_utf8_lossy(&out),
        format!("X-Stray-Line:\r\n {long}\r\nTo: b\r\n\r\n")
    );
}

#[test]
fn values() {
    #[rustfmt::skip]
    let dates = [
        ("Sun, 22 Nov 2026 09:30:20 +0000",          true),
        ("sun,22 nov 2026 09:30 -0500 (EST)",         true),
        ("22 Nov 26 9:30:20 GMT",                     true),
        ("1 Jan 99 00:00:60 Z",                       true),
        ("29 Feb 2028 00:00 +0000",                   true),
        ("29 Feb 2027 00:00 +0000",                   false),
        ("22 Nov 2026 09:30:20",                      false),
        ("22 Nov 2026 24:30:20 +0000",                false),
        ("22 Nov 2026 09:30:20 +000",                 false),
        ("22 Nov 2026 09:30:20 +0090",                false),
        ("Foo, 22 Nov 2026 09:30:20 +0000",           false),
        ("2026-11-22T09:30:20Z",                      false),
        ("Sun Nov 22 09:30:20 2026",                  false),
        ("22 Nov 2026 09:30:20 +0000 (",              false),
        ("22 Nov 2026 09:30:20 +0000 x",              false),
        ("22 Növ 2026 09:30:20 +0000",                false),
        ("yesterday",                                 false),
        ("",                                          false),
    ];
    for (value, valid) in dates {
        assert_eq!(is_date(value), valid, "{value:?}");
    }
    #[rustfmt::skip]
    let ids = [
        ("<a@b.example>",          true),
        (" <a@b> (comment)",       true),
        ("<\"a b\"@c>",            false),
        ("<\"a@x\"@c>",            true),
        ("<a$1@[192.0.2.1]>",      true),
        ("<a>",                    false),
        ("<@b>",                   false),
        ("<a@>",                   false),
        ("<a@b@c>",                false),
        ("<a b@c>",                false),
        ("<a@b> <c@d>",            false),
        ("a@b",                    false),
        ("<>",                     false),
        ("",                       false),
    ];
    for (value, valid) in ids {
        assert_eq!(is_message_id(value, false), valid, "{value:?}");
    }
    #[rustfmt::skip]
    let authors = [
        ("a@b.example",                 true),
        ("A <a@b.example>, c@d.example", true),
        ("Us: a@b.example, c@d.example;", true),
        ("Undisclosed:;",               true),
        ("Scanner",                     false),
        ("A <a>",                       false),
        ("<>",                          false),
        ("",                            false),
    ];
    for (value, valid) in authors {
        assert_eq!(is_author(value), valid, "{value:?}");
    }
}

proptest! {
    /// Cuts change nothing, and a second pass changes nothing either.
    #[test]
    fn cuts_and_repeats(
        lines in proptest::collection::vec("(From|Date|To|X|Message-ID|From a|) ?[: ] ?[a-c@<>\u{e4}]{0,7}(\r\n)?", 0..8),
        cut in 0_usize..80,
        submission: bool,
    ) {
        let rules = HeadRules { submission, ..HeadRules::default() };
        let message = lines.concat().into_bytes();
        let (whole, fault) = filtered(rules, &[&message]);
        let (first, second) = message.split_at(cut.min(message.len()));
        prop_assert_eq!(&filtered(rules, &[first, second]).0, &whole);
        prop_assert_eq!(fault, None);
        prop_assert_eq!(&filtered(rules, &[&whole]).0, &whole, "again");
        // A reader that ends the header at the first line that is not a field sees all of it.
        let mut scan = HeaderScan::new();
        scan.feed(&whole);
        scan.finish();
        prop_assert!(!scan.lacks_separator() || scan.header_len() == 0, "{:?}", String::from_utf8_lossy(&whole));
    }
}
