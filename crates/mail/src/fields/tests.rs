//! Fields, look-ups and edits, case by case, and against a list of plain octets.

use proptest::prelude::*;

use super::*;

fn header(text: &str) -> Header {
    Header::parse(text.as_bytes().to_vec())
}

fn text(header: &Header) -> String {
    let mut out = Vec::new();
    header.write(&mut out);
    assert_eq!(out.len(), header.octets());
    assert_eq!(out, header.clone().into_text());
    String::from_utf8(out).unwrap()
}

fn new(name: &str, value: &str) -> NewField {
    NewField::new(name, value.as_bytes()).unwrap()
}

#[test]
fn another_value() {
    type Cases = &'static [(&'static str, &'static str, &'static str, Option<&'static str>)];
    #[rustfmt::skip]
    let cases: Cases = &[
        // what the case shows      header                  value             what comes out
        ("usual",                   "A: b\r\nC: d\r\n",     " x",             Some("A: x\r\nC: d\r\n")),
        ("blanks before the colon", "A \t: b\r\n",          "x",              Some("A \t:x\r\n")),
        ("over lines",              "A: b\r\n",            " x\r\n\ty",      Some("A: x\r\n\ty\r\n")),
        ("no last line end",        "A: b",                " x",             Some("A: x")),
        ("a field of its own",      "A: b\r\n",            " x\r\nB: y",     None),
        ("the end of the header",   "A: b\r\n",            " x\r\n\r\ny",    None),
        ("a bare CR",               "A: b\r\n",            " x\ry",          None),
    ];
    for (shows, before, value, after) in cases {
        let mut made = header(before);
        let done = made.set_value(0, value.as_bytes());
        assert_eq!(done.is_ok(), after.is_some(), "{shows}");
        assert_eq!(text(&made), after.unwrap_or(before), "{shows}");
    }
    let mut long = header("A: b\r\n");
    assert_eq!(
        long.set_value(0, "x".repeat(1_000).as_bytes()),
        Err(FieldError::Line)
    );
    assert_eq!(long.set_value(1, b" x"), Ok(false));
}

#[test]
fn what_is_a_field() {
    type Parts = &'static [(&'static str, &'static str, &'static str)];
    #[rustfmt::skip]
    let cases: &[(&str, &str, Parts)] = &[
        // what the case shows          header                               name, value, unfolded
        ("nothing",                     "",                                  &[]),
        ("a field",                     "A: b\r\n",                          &[("A", " b", "b")]),
        ("two of them",                 "A: b\r\nC:d\r\n",                   &[("A", " b", "b"), ("C", "d", "d")]),
        ("folds",                       "A: b\r\n\tc\r\n  d \r\nE: f\r\n",   &[("A", " b\r\n\tc\r\n  d ", "b\tc  d"), ("E", " f", "f")]),
        ("a fold at once",              "A:\r\n b\r\n",                      &[("A", "\r\n b", "b")]),
        ("a fold of blanks",            "A: b\r\n \r\nC: d\r\n",             &[("A", " b\r\n ", "b"), ("C", " d", "d")]),
        ("a blank before the colon",    "A \t: b\r\n",                       &[("A", " b", "b")]),
        ("colons in a value",           "A: b: c\r\n",                       &[("A", " b: c", "b: c")]),
        ("nothing in it",               "A:\r\n",                            &[("A", "", "")]),
        ("no line end",                 "A: b",                              &[("A", " b", "b")]),
        ("bare LF",                     "A: b\n c\nD: e\n",                  &[("A", " b\n c", "b c"), ("D", " e", "e")]),
        ("no field",                    "no field\r\nA: b\r\n",              &[("", "no field", "no field"), ("A", " b", "b")]),
        ("a name with a blank in it",   "My Field: x\r\n",                   &[("", "My Field: x", "My Field: x")]),
        ("no name",                     ": x\r\n",                           &[("", ": x", ": x")]),
        ("a fold of nothing",           " x: y\r\nA: b\r\n",                 &[("", " x: y", "x: y"), ("A", " b", "b")]),
        ("a colon in the fold",         "A\r\n b: c\r\n",                    &[("", "A\r\n b: c", "A b: c")]),
        ("UTF-8",                       "Subject: ä\r\n ö\r\n",              &[("Subject", " ä\r\n ö", "ä ö")]),
    ];
    for (shows, whole, expected) in cases {
        let header = header(whole);
        let found: Vec<_> = header
            .fields()
            .map(|field| {
                [field.name(), field.value(), &field.unfolded()]
                    .map(|part| String::from_utf8(part.to_vec()).unwrap())
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(name, value, line)| [name, value, line].map(str::to_owned))
            .collect();
        assert_eq!(found, expected, "{shows}");
        assert_eq!(text(&header), *whole, "{shows}");
        assert!(header.pieces().count() <= 1, "{shows}");
    }
}

#[test]
fn where_a_body_begins() {
    #[rustfmt::skip]
    let cases = [
        ("a message",          "A: b\r\n\r\nbody",     "A: b\r\n", "body"),
        ("no header",          "\r\nbody",             "",         "body"),
        ("no body",            "A: b\r\n",             "A: b\r\n", ""),
        ("an empty body",      "A: b\r\n\r\n",         "A: b\r\n", ""),
        ("nothing",            "",                     "",         ""),
        ("bare LF",            "A: b\n\nbody",         "A: b\n",   "body"),
        ("a line of blanks",   "A: b\r\n \r\nC: d",    "A: b\r\n \r\nC: d", ""),
    ];
    for (shows, content, head, body) in cases {
        let (found, at) = Header::split(content.as_bytes());
        assert_eq!((found, &content[at..]), (head.as_bytes(), body), "{shows}");
    }
}

#[test]
fn look_ups() {
    let header =
        header("Received: 1\r\nFrom: a\r\nreceived : 2\r\nReceived-SPF: x\r\nRECEIVED: 3\r\nnone\r\n");
    let places: Vec<_> = header.named("Received").map(|(place, _)| place).collect();
    assert_eq!(places, [0, 2, 4]);
    assert_eq!(header.place("received", 1), Some(2));
    assert_eq!(header.place("received", 3), None);
    assert_eq!(header.place("", 0), None, "what has no name is not found by it");
    assert_eq!(header.get(1).map(Field::raw), Some(b"From: a\r\n".as_slice()));
    assert_eq!(header.get(6), None);
    assert_eq!((header.len(), header.is_empty()), (6, false));
}

#[test]
fn edits() {
    type Edit = fn(&mut Header);
    let whole = "A: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\n";
    #[rustfmt::skip]
    let cases: &[(&str, Edit, &str)] = &[
        ("nothing",                  |_| (),                                                     "A: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\n"),
        ("add below",                |h| h.push(&new("X", "y")).unwrap(),                        "A: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\nX: y\r\n"),
        ("insert at the top",        |h| h.insert(0, &new("X", "y")).unwrap(),                   "X: y\r\nA: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\n"),
        ("insert within",            |h| h.insert(2, &new("X", "y")).unwrap(),                   "A: 1\r\nB: 2\r\n\tfolded \r\nX: y\r\na:3\r\nC : 4\r\n"),
        ("insert beyond the end",    |h| h.insert(99, &new("X", "y")).unwrap(),                  "A: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\nX: y\r\n"),
        ("change one",               |h| assert!(h.replace(1, &new("B", "z")).unwrap()),         "A: 1\r\nB: z\r\na:3\r\nC : 4\r\n"),
        ("change none",              |h| assert!(!h.replace(4, &new("B", "z")).unwrap()),        "A: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\n"),
        ("change the second A",      |h| h.replace_nth(1, &new("A", "z")).unwrap(),              "A: 1\r\nB: 2\r\n\tfolded \r\nA: z\r\nC : 4\r\n"),
        ("change a third A",         |h| h.replace_nth(2, &new("A", "z")).unwrap(),              "A: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\nA: z\r\n"),
        ("delete one",               |h| assert!(h.remove(1)),                                   "A: 1\r\na:3\r\nC : 4\r\n"),
        ("delete the second A",      |h| assert!(h.remove_nth("A", 1)),                          "A: 1\r\nB: 2\r\n\tfolded \r\nC : 4\r\n"),
        ("delete a third A",         |h| assert!(!h.remove_nth("A", 2)),                         "A: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\n"),
        ("delete all A",             |h| assert_eq!(h.retain(|f| !f.is_named("a")), 2),          "B: 2\r\n\tfolded \r\nC : 4\r\n"),
        ("delete all",               |h| assert_eq!(h.retain(|_| false), 4),                     ""),
        ("change what was added",    |h| { h.push(&new("X", "y")).unwrap(); h.replace_nth(0, &new("x", "z")).unwrap(); },
                                                                                                 "A: 1\r\nB: 2\r\n\tfolded \r\na:3\r\nC : 4\r\nx: z\r\n"),
    ];
    for (shows, edit, expected) in cases {
        let mut header = header(whole);
        edit(&mut header);
        assert_eq!(text(&header), *expected, "{shows}");
    }
    let mut unended = header("A: 1");
    unended.push(&new("B", "2")).unwrap();
    assert_eq!(
        text(&unended),
        "A: 1\r\nB: 2\r\n",
        "a message that ended within its header"
    );
}

#[test]
fn edits_are_bounded() {
    let mut header = header("A: b\r\n");
    let field = new("X", &"y ".repeat(30_000));
    let added = (0..)
        .take_while(|_| header.replace_nth(0, &field).is_ok())
        .count();
    assert_eq!(
        added,
        (1 << 20) / field.raw().len(),
        "what was replaced counts too"
    );
    assert_eq!(header.push(&field), Err(FieldError::TooMuchAdded));
    assert_eq!(header.len(), 2);
}

#[test]
fn new_fields() {
    let word = "x".repeat(600);
    let two_words = format!("{word} {word}");
    let folded = format!("A: {word}\r\n {word}\r\n");
    let fits = "x".repeat(995);
    let fitting = format!("A: {fits}\r\n");
    let long = "x".repeat(996);
    let blanks = format!("{} \t", "x".repeat(994));
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str, Result<&str, FieldError>)] = &[
        ("a field",                   "A",    "b",                   Ok("A: b\r\n")),
        ("nothing in it",             "A",    "",                    Ok("A: \r\n")),
        ("a fold",                    "A",    "b\r\n c",             Ok("A: b\r\n c\r\n")),
        ("a fold with LF",            "A",    "b\n\tc",              Ok("A: b\r\n\tc\r\n")),
        ("a line end alone",          "A",    "b\r\nBcc: c",         Ok("A: b\r\n Bcc: c\r\n")),
        ("an empty line",             "A",    "b\r\n\r\nbody",       Ok("A: b\r\n body\r\n")),
        ("a line of blanks",          "A",    "b\n \n c",            Ok("A: b\r\n c\r\n")),
        ("line ends at the end",      "A",    "b\r\n\n",             Ok("A: b\r\n")),
        ("UTF-8",                     "A",    "ä",                   Ok("A: ä\r\n")),
        ("the longest line",          "A",    &fits,                 Ok(&fitting)),
        ("a line to be folded",       "A",    &two_words,            Ok(&folded)),
        ("one that cannot be",        "A",    &long,                 Err(FieldError::Line)),
        ("for the blanks at its end", "A",    &blanks,               Err(FieldError::Line)),
        ("a bare CR",                 "A",    "b\rc",                Err(FieldError::Value)),
        ("CR CR LF",                  "A",    "b\r\r\n c",           Err(FieldError::Value)),
        ("a NUL",                     "A",    "b\0",                 Err(FieldError::Value)),
        ("no name",                   "",     "b",                   Err(FieldError::Name)),
        ("a colon in the name",       "A:",   "b",                   Err(FieldError::Name)),
        ("a blank in the name",       "A B",  "b",                   Err(FieldError::Name)),
        ("a line end in the name",    "A\r\n", "b",                  Err(FieldError::Name)),
        ("a name beyond ASCII",       "Ä",    "b",                   Err(FieldError::Name)),
    ];
    for (shows, name, value, expected) in cases {
        let made = NewField::new(name, value.as_bytes());
        let made = made.map(|field| String::from_utf8(field.raw().to_vec()).unwrap());
        assert_eq!(made, expected.map(str::to_owned), "{shows}");
    }
    let verbatim = NewField::verbatim("A", b"\tb").unwrap();
    assert_eq!((verbatim.raw(), verbatim.name()), (b"A:\tb\r\n".as_slice(), "A"));
}

/// Edits as a filter makes them.
#[derive(Clone, Debug)]
enum Edit {
    Push(String),
    Insert(usize, String),
    Replace(usize, String),
    Remove(usize),
    ReplaceNth(usize, String),
    RemoveNth(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let value = "[a-c \r\n]{0,8}";
    prop_oneof![
        value.prop_map(Edit::Push),
        (0_usize..8, value).prop_map(|(at, value)| Edit::Insert(at, value)),
        (0_usize..8, value).prop_map(|(at, value)| Edit::Replace(at, value)),
        (0_usize..8).prop_map(Edit::Remove),
        (0_usize..4, value).prop_map(|(nth, value)| Edit::ReplaceNth(nth, value)),
        (0_usize..4).prop_map(Edit::RemoveNth),
    ]
}

fn field_edit() -> impl Strategy<Value = FieldEdit> {
    let field = || "[a-c]{0,3}".prop_map(|value| new("N", &value));
    prop_oneof![
        Just(FieldEdit::Keep),
        Just(FieldEdit::Remove),
        field().prop_map(FieldEdit::Replace),
        field().prop_map(FieldEdit::Before),
    ]
}

#[test]
fn more_than_may_be_added() {
    let mut header = header(&"A: b\r\n".repeat(3_000));
    let long = new("N", &"x".repeat(900));
    let left = header.edit(0..4_000, |_| FieldEdit::Before(long.clone()));
    assert_eq!((left, header.len()), (left, left));
    assert_eq!(header.named("A").count(), 3_000, "what was there stays");
    assert_eq!(header.named("N").count(), (1 << 20) / long.raw().len());
    assert_eq!(header.edit(0..left, |_| FieldEdit::Replace(long.clone())), left);
}

proptest! {
    #[test]
    fn any_text_comes_back(text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), any::<u8>()], 0..80)) {
        let header = Header::parse(text.clone());
        let joined: Vec<u8> = header.fields().flat_map(|field| field.raw().to_vec()).collect();
        prop_assert_eq!(&joined, &text);
        prop_assert_eq!(header.into_text(), text);
    }

    #[test]
    fn an_edit_leaves_all_other_octets(
        lines in proptest::collection::vec("(A|b|Received):[ a-c]{0,4}\r\n(\t[a-c]{0,3}\r\n)?", 0..6),
        edits in proptest::collection::vec(edit(), 0..12),
    ) {
        let mut header = Header::parse(lines.concat().into_bytes());
        let mut model: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        let nth = |model: &[Vec<u8>], n: usize| {
            (0..model.len()).filter(|&at| model[at][..2].eq_ignore_ascii_case(b"a:")).nth(n)
        };
        for edit in edits {
            let field = |value: &str| NewField::new("A", value.as_bytes());
            match edit {
                Edit::Push(value) => if let Ok(field) = field(&value) {
                    header.push(&field).unwrap();
                    model.push(field.raw().to_vec());
                },
                Edit::Insert(at, value) => if let Ok(field) = field(&value) {
                    header.insert(at, &field).unwrap();
                    model.insert(at.min(model.len()), field.raw().to_vec());
                },
                Edit::Replace(at, value) => if let Ok(field) = field(&value) {
                    prop_assert_eq!(header.replace(at, &field).unwrap(), at < model.len());
                    if at < model.len() {
                        model[at] = field.raw().to_vec();
                    }
                },
                Edit::Remove(at) => {
                    prop_assert_eq!(header.remove(at), at < model.len());
                    if at < model.len() {
                        model.remove(at);
                    }
                },
                Edit::ReplaceNth(n, value) => if let Ok(field) = field(&value) {
                    header.replace_nth(n, &field).unwrap();
                    match nth(&model, n) {
                        Some(at) => model[at] = field.raw().to_vec(),
                        None => model.push(field.raw().to_vec()),
                    }
                },
                Edit::RemoveNth(n) => {
                    let at = nth(&model, n);
                    prop_assert_eq!(header.remove_nth("a", n), at.is_some());
                    if let Some(at) = at {
                        model.remove(at);
                    }
                },
            }
            let fields: Vec<Vec<u8>> = header.fields().map(|field| field.raw().to_vec()).collect();
            prop_assert_eq!(&fields, &model);
        }
        let whole = model.concat();
        prop_assert_eq!(header.octets(), whole.len());
        // A reader finds the same fields.
        prop_assert_eq!(Header::parse(whole.clone()).len(), header.len());
        prop_assert_eq!(header.into_text(), whole);
    }

    #[test]
    fn one_pass_is_what_single_edits_are(
        lines in proptest::collection::vec("(A|b|Received):[ a-c]{0,4}\r\n(\t[a-c]{0,3}\r\n)?", 0..6),
        unended: bool,
        range in (0..7_usize, 0..8_usize),
        edits in proptest::collection::vec(field_edit(), 7),
    ) {
        let mut text = lines.concat();
        if unended {
            text.truncate(text.trim_end().len());
        }
        let (mut once, mut singly) = (Header::parse(text.clone().into_bytes()), Header::parse(text.into_bytes()));
        let mut seen = Vec::new();
        let mut next = edits.iter().cloned();
        let left = once.edit(range.0..range.1, |field| {
            seen.push(field.raw().to_vec());
            next.next().unwrap_or_default()
        });
        let end = range.1.min(singly.len());
        let begin = range.0.min(end);
        let before: Vec<_> = singly.fields().skip(begin).take(end - begin).map(|field| field.raw().to_vec()).collect();
        prop_assert_eq!(seen, before);
        let mut at = begin;
        for edit in edits.iter().take(end - begin) {
            match edit {
                FieldEdit::Keep => at += 1,
                FieldEdit::Remove => prop_assert!(singly.remove(at)),
                FieldEdit::Replace(field) => {
                    prop_assert!(singly.replace(at, field).unwrap());
                    at += 1;
                }
                FieldEdit::Before(field) => {
                    singly.insert(at, field).unwrap();
                    at += 2;
                }
            }
        }
        prop_assert_eq!(left, at - begin);
        prop_assert_eq!(once.len(), singly.len());
        prop_assert_eq!(once.into_text(), singly.into_text());
    }

    #[test]
    fn a_new_field_is_one_field(name in "[!-9;-~]{1,4}", value in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), any::<u8>()], 0..40)) {
        if let Ok(field) = NewField::new(&name, &value) {
            let header = Header::parse(field.raw().to_vec());
            prop_assert_eq!(header.len(), 1);
            prop_assert!(header.get(0).unwrap().is_named(&name));
            let (head, body) = Header::split(field.raw());
            prop_assert_eq!((head, body), (field.raw(), field.raw().len()));
        }
    }
}
