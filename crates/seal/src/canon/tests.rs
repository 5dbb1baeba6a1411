//! The examples of RFC 6376 section 3.4, and that splitting the input changes nothing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

use super::*;
use crate::BodyHasher;

fn body(form: Form, pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut canon = BodyCanon::new(form);
    for piece in pieces {
        canon.feed(piece, &mut |text| out.extend_from_slice(text));
    }
    canon.finish(&mut |text| out.extend_from_slice(text));
    out
}

#[test]
fn bodies() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows             body                         simple                       relaxed
        ("RFC 6376 section 3.4.5",         " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n",         " C\r\nD E\r\n"),
        ("nothing",                        "",                          "\r\n",                      ""),
        ("an empty line",                  "\r\n",                      "\r\n",                      ""),
        ("empty lines",                    "\r\n\r\n\r\n",              "\r\n",                      ""),
        ("blanks alone",                   "  \t",                      "  \t\r\n",                  ""),
        ("lines of blanks",                " \r\n\t\r\n",               " \r\n\t\r\n",               ""),
        ("no last line end",               "a",                         "a\r\n",                     "a\r\n"),
        ("blanks and no last line end",    "a  ",                       "a  \r\n",                   "a\r\n"),
        ("empty lines within",             "a\r\n\r\n\r\nb\r\n",        "a\r\n\r\n\r\nb\r\n",        "a\r\n\r\n\r\nb\r\n"),
        ("empty lines at the beginning",   "\r\n\r\na\r\n\r\n",         "\r\n\r\na\r\n",             "\r\n\r\na\r\n"),
        ("lines of blanks within",         "a\r\n \t\r\nb",             "a\r\n \t\r\nb\r\n",         "a\r\n\r\nb\r\n"),
        ("blanks at the beginning stay",   "\t\ta\r\n",                 "\t\ta\r\n",                 " a\r\n"),
        ("a CR alone is an octet",         "a\rb\r\r\n",                "a\rb\r\r\n",                "a\rb\r\r\n"),
        ("a LF alone is an octet",         "a\nb\n",                    "a\nb\n\r\n",                "a\nb\n\r\n"),
        ("a CR at the end",                "a\r",                       "a\r\r\n",                   "a\r\r\n"),
        ("a blank before a CR alone",      "a \rb",                     "a \rb\r\n",                 "a \rb\r\n"),
        ("CR after an empty line",         "\r\n\r",                    "\r\n\r\r\n",                "\r\n\r\r\n"),
    ];
    for (shows, text, simple, relaxed) in cases {
        for cut in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            let told = format!("{shows}, cut at {cut}");
            assert_eq!(
                body(Form::Simple, &[head, tail]),
                simple.as_bytes(),
                "{told}, simple"
            );
            assert_eq!(
                body(Form::Relaxed, &[head, tail]),
                relaxed.as_bytes(),
                "{told}, relaxed"
            );
        }
    }
}

#[test]
fn many_empty_lines_are_counted_not_kept() {
    let text = format!("a\r\n{}b\r\n", "\r\n".repeat(5_000));
    assert_eq!(body(Form::Relaxed, &[text.as_bytes()]), text.as_bytes());
    assert_eq!(body(Form::Simple, &[text.as_bytes()]), text.as_bytes());
}

#[test]
fn fields() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows         field                           simple                          relaxed
        ("RFC 6376 section 3.4.5, A",  "A: X\r\n",                     "A: X\r\n",                     "a:X\r\n"),
        ("RFC 6376 section 3.4.5, B",  "B : Y\t\r\n\tZ  \r\n",         "B : Y\t\r\n\tZ  \r\n",         "b:Y Z\r\n"),
        ("no blank behind the colon",  "Subject:a\r\n",                "Subject:a\r\n",                "subject:a\r\n"),
        ("an empty value",             "To:\r\n",                      "To:\r\n",                      "to:\r\n"),
        ("a value of blanks",          "To: \r\n \r\n",                "To: \r\n \r\n",                "to:\r\n"),
        ("blanks and folds within",    "X: a \t b\r\n  c\r\n",         "X: a \t b\r\n  c\r\n",         "x:a b c\r\n"),
        ("colons in the value",        "X: a: b\r\n",                  "X: a: b\r\n",                  "x:a: b\r\n"),
        ("no line end",                "X: a",                         "X: a\r\n",                     "x:a\r\n"),
        ("beyond ASCII",               "X: \u{e4}\r\n",                "X: \u{e4}\r\n",                "x:\u{e4}\r\n"),
    ];
    for (shows, raw, simple, relaxed) in cases {
        for (form, want) in [(Form::Simple, simple), (Form::Relaxed, relaxed)] {
            let mut out = Vec::new();
            field(form, raw.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), want, "{shows}, {form}");
            let mut unended = Vec::new();
            field_unended(form, raw.as_bytes(), &mut unended);
            assert_eq!([&*unended, b"\r\n"].concat(), out, "{shows}, {form}, unended");
        }
    }
}

#[test]
fn hashes_of_empty_bodies() {
    // RFC 6376 sections 3.4.3 and 3.4.4.
    for (form, want) in [
        (Form::Simple, "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="),
        (Form::Relaxed, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ] {
        let hash = BodyHasher::new(form, None).finish();
        assert_eq!(BASE64_STANDARD.encode(hash.sha256), want, "{form}");
    }
}

#[test]
fn how_far_a_limit_reaches() {
    let text = b"one \r\ntwo\r\n\r\n";
    #[rustfmt::skip]
    let cases = [
        // what the case shows   l=          hashed  like
        ("no limit",             None,       10,     "one\r\ntwo\r\n"),
        ("the whole",            Some(10),   10,     "one\r\ntwo\r\n"),
        ("more than there is",   Some(99),   10,     "one\r\ntwo\r\n"),
        ("within a line",        Some(2),    2,      "on"),
        ("nothing",              Some(0),    0,      ""),
    ];
    for (shows, limit, hashed, like) in cases {
        let mut hasher = BodyHasher::new(Form::Relaxed, limit);
        hasher.feed(text);
        let hash = hasher.finish();
        assert_eq!((hash.hashed, hash.length), (hashed, 10), "{shows}");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, like.as_bytes());
        assert_eq!(hash.sha256, digest.as_ref(), "{shows}");
    }
}

#[test]
fn names_of_forms() {
    for (text, want) in [
        ("relaxed/relaxed", Some("relaxed/relaxed")),
        ("relaxed", Some("relaxed/simple")),
        ("simple/relaxed", Some("simple/relaxed")),
        ("nowsp", None),
        ("relaxed/", None),
        ("", None),
    ] {
        let read = text
            .parse::<Canonicalization>()
            .ok()
            .map(|forms| forms.to_string());
        assert_eq!(read.as_deref(), want, "{text:?}");
    }
}

/// The canonical form as the RFC describes it, over a whole body at once.
fn relaxed_by_the_book(text: &str) -> String {
    let mut lines: Vec<String> = text
        .split("\r\n")
        .map(|line| {
            let mut kept = String::new();
            for octet in line.chars() {
                match octet {
                    ' ' | '\t' if kept.ends_with(' ') => {}
                    ' ' | '\t' => kept.push(' '),
                    other => kept.push(other),
                }
            }
            kept.strip_suffix(' ').unwrap_or(&kept).to_owned()
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(
        words in proptest::collection::vec("(\r\n|\r|\n| |\t|a|b|\u{e4}){0,4}", 0..40),
        cuts in proptest::collection::vec(0_usize..200, 0..6),
    ) {
        let text = words.concat();
        let octets = text.as_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(octets.len())).collect();
        cuts.sort_unstable();
        for form in [Form::Simple, Form::Relaxed] {
            let whole = body(form, &[octets]);
            let (mut pieces, mut from) = (Vec::new(), 0);
            for &cut in &cuts {
                pieces.push(&octets[from..cut]);
                from = cut;
            }
            pieces.push(&octets[from..]);
            prop_assert_eq!(&body(form, &pieces), &whole);
            // Canonicalizing twice changes nothing; a host on the way may already have done it.
            if !whole.is_empty() {
                prop_assert_eq!(&body(form, &[&whole]), &whole);
            }
            let mut hasher = BodyHasher::new(form, None);
            pieces.iter().for_each(|piece| hasher.feed(piece));
            let hash = hasher.finish();
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &whole);
            prop_assert_eq!(&hash.sha256, digest.as_ref());
            prop_assert_eq!(hash.length, whole.len() as u64);
        }
        let relaxed = body(Form::Relaxed, &[octets]);
        prop_assert_eq!(String::from_utf8(relaxed).unwrap(), relaxed_by_the_book(&text));
    }
}
