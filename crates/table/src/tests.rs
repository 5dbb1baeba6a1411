//! Tables as in files.

use proptest::prelude::*;

use super::*;

fn found(text: &str, format: Format, key: &str) -> Option<(String, usize)> {
    let parsed = parse(text.as_bytes(), format).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
    let found = parsed.table.get(key);
    found.map(|found| (found.value.into_owned(), found.line))
}

#[test]
fn look_ups() {
    use Format::{List, Postfix, Sendmail};
    let postfix =
        "# c\nKey One\tvalue one  \n\"quo ted\"@x  v2\n  cont\n   # between\n\n more\nkey3\n\tlead\n";
    let sendmail = "# c\nFrom:x.example\tERROR:\"550 no\"\t\n@y.example %1@z.example\n\n";
    let list = "# domains\nexample.org, example.com # both\n*.example.net\tExample.INFO\na#b\n";
    #[rustfmt::skip]
    let cases = [
        (postfix,  Postfix,  "KEY",              Some(("One\tvalue one", 2)),      "case does not matter"),
        (postfix,  Postfix,  "\"quo ted\"@x",    Some(("v2  cont more", 3)),       "a quoted key, and lines that go on"),
        (postfix,  Postfix,  "key3",             Some(("lead", 8)),                "the value on the next line"),
        (postfix,  Postfix,  "one",              None,                             "a value is no key"),
        (sendmail, Sendmail, "from:X.example",   Some(("ERROR:\"550 no\"", 2)),    "quotes belong to the value"),
        (sendmail, Sendmail, "@y.example",       Some(("%1@z.example", 3)),        "places are filled by who asks"),
        (list,     List,     "example.com",      Some(("example.com", 2)),         "a list"),
        (list,     List,     "both",             None,                             "a comment"),
        (list,     List,     "example.info",     Some(("Example.INFO", 3)),        "as it is written"),
        (list,     List,     "a#b",              Some(("a#b", 4)),                 "no comment"),
    ];
    for (text, format, key, want, shows) in cases {
        let want = want.map(|(value, line): (&str, usize)| (value.to_owned(), line));
        assert_eq!(found(text, format, key), want, "{shows}");
    }
}

#[test]
fn mistakes_and_warnings() {
    use Format::{Postfix, Sendmail};
    #[rustfmt::skip]
    let cases = [
        (Postfix,  " a b",            "line 1: continues the line before"),
        (Postfix,  "a b\nc",          "line 2: \"c\" has no value"),
        (Postfix,  "a b\n\"c d",      "line 2: has a `\"`"),
        (Sendmail, " a b",            "line 1: begins with a blank"),
        (Sendmail, "a b\nc\t",        "line 2: \"c\" has no value"),
    ];
    for (format, text, want) in cases {
        let mistakes = parse(text.as_bytes(), format).unwrap_err();
        assert!(mistakes[0].to_string().starts_with(want), "{text}: {mistakes:?}");
    }
    #[rustfmt::skip]
    let warned = [
        (Postfix,  "a b\nA c",        "line 2: \"A\" is there already, at line 1"),
        (Postfix,  "root: me",        "line 1: \"root:\" ends with a colon"),
        (Sendmail, "a b\na c",        "line 2: \"a\" is there already"),
    ];
    for (format, text, want) in warned {
        let parsed = parse(text.as_bytes(), format).unwrap();
        assert!(
            parsed.warnings[0].to_string().starts_with(want),
            "{text}: {:?}",
            parsed.warnings
        );
    }
    let many = "x\n".repeat(1_000);
    let mistakes = parse(many.as_bytes(), Postfix).unwrap_err();
    assert_eq!(mistakes.len(), MISTAKES_MAX + 1);
    assert!(mistakes[MISTAKES_MAX].message.contains("950 more"));
}

#[test]
fn parameters() {
    let text = "# who\nhosts = a, b\n  c\nuser=me\npassword = se=cret \nempty =\n";
    let parameters = read_parameters(text).unwrap();
    assert_eq!(parameters.words("hosts"), ["a", "b", "c"]);
    assert_eq!((parameters.get("user"), parameters.line("user")), (Some("me"), 4));
    assert_eq!(parameters.get("password"), Some("se=cret"));
    assert_eq!((parameters.get("empty"), parameters.get("none")), (None, None));
    assert!(
        !format!("{parameters:?}").contains("cret"),
        "a secret is not shown"
    );
    assert_eq!(read_parameters("hosts a").unwrap_err()[0].line, 1);
}

proptest! {
    /// No text makes the readers panic.
    #[test]
    fn nothing_panics(lines in prop::collection::vec("[ !#/(){}\\[\\]\\\\a-c0-9.:|?*+$%=@\"-]{0,12}", 0..8)) {
        fuzz::table(lines.join("\n").as_bytes());
    }

    /// What is written is found.
    #[test]
    fn what_is_written_is_found(keys in prop::collection::hash_set("[a-z0-9.@+-]{1,12}", 1..40)) {
        let text: String = keys.iter().map(|key| format!("{key} value of {key}\n")).collect();
        for format in [Format::Postfix, Format::Sendmail] {
            let parsed = parse(text.as_bytes(), format).unwrap();
            for key in &keys {
                let found = parsed.table.get(key);
                prop_assert_eq!(found.map(|found| found.value.into_owned()), Some(format!("value of {key}")));
            }
            prop_assert_eq!(parsed.table.len(), keys.len());
        }
    }
}
