use proptest::prelude::*;

use super::*;

/// The addresses found.
fn found(value: &str) -> Vec<String> {
    places(value.as_bytes())
        .map(|place| place.address.to_string())
        .collect()
}

/// The value with each domain in capitals, each bare name with a domain.
fn marked(value: &[u8]) -> Vec<u8> {
    let changes: Vec<_> = places(value)
        .map(|place| match &place.address {
            Written::Bare(local) => (place.range, format!("{local}@ORIGIN")),
            Written::Full(mailbox) => (
                place.range,
                format!("{}@NEW.{}", mailbox.local(), mailbox.domain()),
            ),
        })
        .collect();
    replaced(value, &changes)
}

#[test]
fn what_is_found_and_what_stays() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str)] = &[
        // what the case shows              value                                        with other addresses
        ("an address",                      "a@x.example",                               "a@NEW.x.example"),
        ("a name",                          " Ann <a@x.example>",                        " Ann <a@NEW.x.example>"),
        ("a quoted name with a comma",      "\"Keller, A.\" <a@x.example>",              "\"Keller, A.\" <a@NEW.x.example>"),
        ("a name with dots",                "A. B. Caird <a@x.example>",                 "A. B. Caird <a@NEW.x.example>"),
        ("a name that looks like one",      "boss@y.example <a@x.example>",              "boss@y.example <a@NEW.x.example>"),
        ("an encoded word",                 "=?utf-8?q?A=2C_b=40c?= <a@x.example>",      "=?utf-8?q?A=2C_b=40c?= <a@NEW.x.example>"),
        ("a name in UTF-8",                 "Jürgen <j@x.example>",                      "Jürgen <j@NEW.x.example>"),
        ("comments",                        "a@x.example (b@c, (d)) (\\))",              "a@NEW.x.example (b@c, (d)) (\\))"),
        ("a comment within",                "a (x) @ (y) x . example (z)",               "a@NEW.x.example (z)"),
        ("several, over lines",             "a@x.example,\r\n\tB <b@y.example>",         "a@NEW.x.example,\r\n\tB <b@NEW.y.example>"),
        ("empty places",                    ", a@x.example, ,",                          ", a@NEW.x.example, ,"),
        ("a group",                         "Us: a@x.example, B <b@y.example>; c@z",     "Us: a@NEW.x.example, B <b@NEW.y.example>; c@NEW.z"),
        ("an empty group",                  "Undisclosed recipients:;",                  "Undisclosed recipients:;"),
        ("a quoted local part",             "<\"a \\\"b\"@x.example>",                   "<\"a \\\"b\"@NEW.x.example>"),
        ("a bare name",                     "cron",                                      "cron@ORIGIN"),
        ("a bare name in brackets",         "Cron <cron>",                               "Cron <cron@ORIGIN>"),
        ("a bare name with a comment",      "root (Cron Daemon)",                        "root@ORIGIN (Cron Daemon)"),
        ("two words are no address",        "Ann Keller",                                "Ann Keller"),
        ("no address",                      "<>",                                        "<>"),
        ("nothing",                         "",                                          ""),
        ("a route",                         "<@r.example:a@x.example>",                  "<@r.example:a@NEW.x.example>"),
        ("a literal",                       "a@[192.0.2.1]",                             "a@NEW.[192.0.2.1]"),
        ("text behind an address",          "<a@x.example> b, c@y",                      "<a@x.example> b, c@NEW.y"),
        ("two addresses without a comma",   "a@x.example b@y.example, c@y",              "a@x.example b@y.example, c@NEW.y"),
        ("two pairs of brackets",           "<a@x.example><b@y.example>",                "<a@x.example><b@y.example>"),
        ("a quote without an end",          "c@y, \"a <a@x.example>",                    "c@NEW.y, \"a <a@x.example>"),
        ("a bracket without an end",        "A <a@x.example",                            "A <a@x.example"),
        ("a comment without an end",        "a@x.example (",                             "a@x.example ("),
        ("a double dot",                    "a..b@x.example",                            "a..b@x.example"),
        ("two signs",                       "a@b@x.example",                             "a@b@x.example"),
        ("an address beyond ASCII",         "Jü <jü@x.example>",                         "Jü <jü@NEW.x.example>"),
    ];
    for (shows, value, expected) in cases {
        assert_eq!(
            String::from_utf8(marked(value.as_bytes())).unwrap(),
            *expected,
            "{shows}"
        );
    }
}

#[test]
fn octets_that_are_no_text_stay() {
    let value = b"J\xfcrgen <j@x.example>, \xff\xfe@y.example";
    assert_eq!(marked(value), b"J\xfcrgen <j@NEW.x.example>, \xff\xfe@y.example");
}

#[test]
fn addresses_are_bounded() {
    let many = "a@b,".repeat(100_000);
    assert_eq!(places(many.as_bytes()).count(), 100_000, "as many as there are");
    assert_eq!(
        found(&format!("{}@x.example", "a".repeat(2_000))),
        Vec::<String>::new()
    );
    assert_eq!(found("A@X.Example"), ["A@x.example"]);
}

proptest! {
    /// For any value: positions are in order and within it, the text between them is kept, and a second pass finds as many.
    #[test]
    fn nothing_but_addresses_changes(value in prop_oneof![
        "[ab@.<>,;:()\\[\\]\\\\\" \t]{0,60}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..80),
        "((\"[a-c,]*\"|[a-c]{1,3}|=\\?u\\?q\\?[a-c]\\?=)? ?<[a-c]{1,3}(@[a-c]{1,3}\\.test)?>|[a-c]{1,3}@[a-c]\\.test|g:|;|\\(x,y\\))(, ?(\r\n )?|)"
            .prop_map(String::into_bytes),
    ]) {
        let before: Vec<Place> = places(&value).collect();
        let mut end = 0;
        for place in &before {
            prop_assert!(place.range.start >= end && place.range.start < place.range.end && place.range.end <= value.len());
            end = place.range.end;
        }
        let same: Vec<_> = before.iter().map(|place| (place.range.clone(), place.address.to_string())).collect();
        let once = replaced(&value, &same);
        let again: Vec<Place> = places(&once).collect();
        let addresses = |places: &[Place]| places.iter().map(|place| place.address.clone()).collect::<Vec<_>>();
        prop_assert_eq!(addresses(&again), addresses(&before), "the same are there");
        let outside = |value: &[u8], places: &[Place]| {
            let cut: Vec<_> = places.iter().map(|place| (place.range.clone(), String::new())).collect();
            replaced(value, &cut)
        };
        prop_assert_eq!(outside(&once, &again), outside(&value, &before), "the rest stays to the octet");
        let same: Vec<_> = again.iter().map(|place| (place.range.clone(), place.address.to_string())).collect();
        prop_assert_eq!(replaced(&once, &same), once, "done twice is done once");
    }
}
