//! What patterns match, and what they cannot do.

use super::*;

fn of(dialect: Dialect, text: &str) -> Result<Patterns, String> {
    let mut notes = Notes::default();
    let patterns = Patterns::read(text, dialect, &mut notes);
    match notes.mistakes.first() {
        None => Ok(patterns),
        Some(mistake) => Err(mistake.to_string()),
    }
}

#[test]
fn what_matches() {
    use Dialect::{Perl, Posix};
    #[rustfmt::skip]
    let cases = [
        (Perl,  "/A/ x",                        "a",             Some("x"),        "case does not matter"),
        (Perl,  "/A/i x",                       "a",             None,             "`i` makes it matter"),
        (Perl,  "/A/ii x",                      "a",             Some("x"),        "twice is as before"),
        (Perl,  "/a.b/ x",                      "a\nb",          Some("x"),        "a dot matches a line end"),
        (Perl,  "/a.b/s x",                     "a\nb",          None,             "`s` switches that off"),
        (Perl,  "/^b/ x",                       "a\nb",          None,             "`^` is the beginning"),
        (Perl,  "/^b/m x",                      "a\nb",          Some("x"),        "with `m` of a line"),
        (Perl,  "/b/A x",                       "ab",            None,             "`A` anchors"),
        (Perl,  "/ a b /x x",                   "ab",            Some("x"),        "`x` skips blanks"),
        (Perl,  "/(a+)(b)?/ $1-${2}-$(1)-$$",   "aa",            Some("aa--aa-$"), "what is captured"),
        (Perl,  "/(a+)/U $1",                   "aa",            Some("a"),        "`U` swaps greed"),
        (Perl,  "!/a/ x",                       "b",             Some("x"),        "the opposite"),
        (Perl,  "! /a/ x",                      "a",             None,             "the opposite does not hold"),
        (Perl,  "if /^a/\n/b/ x\nendif\n/b/ y", "ab",            Some("x"),        "a condition"),
        (Perl,  "if /^a/\n/b/ x\nendif\n/b/ y", "b",             Some("y"),        "that does not hold"),
        (Perl,  "if !/^a/\n/b/ x\nendif",       "b",             Some("x"),        "its opposite"),
        (Perl,  "|a/b| x",                      "a/b",           Some("x"),        "another delimiter"),
        (Perl,  r"/a\/b/ x",                    "a/b",           Some("x"),        "the delimiter within"),
        (Perl,  r"/^\<a\>$/ x",                 "<a>",           Some("x"),        "`\\<` is itself with Perl"),
        (Posix, r"/\<a\>/ x",                   "b a c",         Some("x"),        "and a border of words with POSIX"),
        (Posix, r"/\<a\>/ x",                   "bac",           None,             "within a word"),
        (Perl,  "/a{/ x",                       "a{",            Some("x"),        "a brace that counts nothing"),
        (Perl,  "/a{x,}/ x",                    "a{x,}",         Some("x"),        "nor this one"),
        (Perl,  "/^a{2,}$/ x",                  "aaa",           Some("x"),        "one that counts"),
        (Perl,  "/^[[a]+$/ x",                  "[a",            Some("x"),        "a bracket within brackets"),
        (Perl,  "/^[]a]+$/ x",                  "]a",            Some("x"),        "a closing one at the first place"),
        (Perl,  "/^[a&&b~~-]+$/ x",             "&a~b-",         Some("x"),        "no operators within"),
        (Perl,  r"/^[\w.-]+@[\d]+$/ x",         "a-b.c_d@12",    Some("x"),        "short classes within"),
        (Perl,  r"/^[^\s]+$/ x",                "a b",           None,             "its opposite"),
        (Perl,  r"/^[[:alpha:]]+\d$/ x",        "abc1",          Some("x"),        "named classes"),
        (Posix, r"/^[\.]+$/ x",                 r".\",           Some("x"),        "a backslash in POSIX's brackets is one"),
        (Perl,  r"/^[\.]+$/ x",                 r".\",           None,             "and not in Perl's"),
        (Perl,  r"/\d/ x",                      "\u{0663}",      None,             "digits are of ASCII"),
        (Perl,  r"/^\w+$/ x",                   "ä",             None,             "and so are letters"),
        (Perl,  r"/^Ä$/ x",                     "ä",             Some("x"),        "case beyond ASCII"),
        (Perl,  r"/^a\x40b\t$/ x",              "a@b\t",         Some("x"),        "characters by number"),
        (Perl,  r"/^\Qa.b\E.$/ x",              "a.bc",          Some("x"),        "quoted"),
        (Perl,  r"/^\Qa.b\E.$/ x",              "axbc",          None,             "quoted is literal"),
        (Perl,  "/^(?:a|b)(?i:C)$/i x",         "bc",            Some("x"),        "groups with flags"),
        (Perl,  "/a(?#b)c/ x",                  "ac",            Some("x"),        "a comment"),
        (Perl,  "/(?<n>a)/ $1",                 "a",             Some("a"),        "a name"),
        (Perl,  "/(a)?/ $1",                    "b",             None,             "an empty value is none"),
        (Posix, "/^(a|ab)$/ $1",                "ab",            Some("ab"),       "alternatives"),
        (Posix, "/a.b/m x",                     "a\nb",          None,             "`m` of POSIX means lines"),
        (Posix, "/^[a-c]{2}$/ x",               "ab",            Some("x"),        "a range"),
    ];
    for (dialect, text, key, want, shows) in cases {
        let patterns = of(dialect, text).unwrap_or_else(|error| panic!("{shows}: {error}"));
        let found = patterns.find(key);
        assert_eq!(found.as_ref().map(|(value, _)| value.as_ref()), want, "{shows}");
    }
}

#[test]
fn what_cannot_be_done() {
    use Dialect::{Perl, Posix};
    #[rustfmt::skip]
    let cases = [
        (Perl,  "/a(?=b)/ x",          "looks around"),
        (Perl,  "/a(?!b)/ x",          "looks around"),
        (Perl,  "/(?<=a)b/ x",         "looks around"),
        (Perl,  "/(?<!a)b/ x",         "looks around"),
        (Perl,  r"/(a)\1/ x",          "reference back"),
        (Posix, r"/(a)\1/ x",          "reference back"),
        (Perl,  "/(?P<n>a)(?P=n)/ x",  "reference to another group"),
        (Perl,  "/(?>a)/ x",           "atomic"),
        (Perl,  "/a*+b/ x",            "possessive"),
        (Perl,  "/(?(1)a)/ x",         "condition"),
        (Perl,  r"/\((?R)?\)/ x",      "call of a group"),
        (Perl,  "/(*SKIP)a/ x",        "verb"),
        (Perl,  r"/a\Kb/ x",           r"`\K`"),
        (Perl,  r"/\y/ x",             "unknown escape"),
        (Perl,  "/a/q x",              "unknown flag `q`"),
        (Posix, "/a/x x",              "extended one"),
        (Posix, "/[[.hyphen.]]/ x",    "depends on the language"),
        (Perl,  "/[[:foo:]]/ x",       "unknown class"),
        (Perl,  "/[z-a]/ x",           "wrong way round"),
        (Perl,  "/[a/ x",              "without its `]`"),
        (Perl,  "/(a/ x",              "cannot be read"),
        (Perl,  "/a x",                "no second `/`"),
        (Perl,  "abc x",               "does not begin with a pattern"),
        (Perl,  "/a/",                 "no value"),
        (Perl,  "/(a)/ $2",            "captures 1"),
        (Perl,  "/(a)/ $0",            "captures 1"),
        (Perl,  "/(a)/ $x",            "neither `$1`"),
        (Perl,  "!/(a)/ $1",           "captures nothing"),
        (Perl,  "/((a{1000}){1000}){10}/ x", "too much memory"),
        (Perl,  "if /a/\n/b/ x",       "without `endif`"),
    ];
    for (dialect, text, want) in cases {
        match of(dialect, text) {
            Ok(_) => panic!("{text} was taken"),
            Err(told) => assert!(told.contains(want), "{text}: {told}"),
        }
    }
}
