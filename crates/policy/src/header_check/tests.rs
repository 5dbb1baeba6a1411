//! Checks on headers and bodies, case by case.

use postern_mail::Header;
use postern_mail::content::ContentEditor;
use postern_table::{Format, Table, parse};

use super::*;
use crate::access::Words;

#[derive(Debug)]
struct Patterns(Table);

impl Texts for Patterns {
    fn find(&self, text: &str) -> Option<String> {
        self.0.get(text).map(|found| found.value.into_owned())
    }
}

fn table(text: &str) -> By {
    By::Table(Arc::new(Patterns(
        parse(text.as_bytes(), Format::Regexp).unwrap().table,
    )))
}

fn own(fields: &[&str], pattern: Option<(&str, &str)>, verdict: Verdict) -> By {
    By::Own(Own {
        fields: fields.iter().map(|name| (*name).into()).collect(),
        pattern: pattern.map(|(pattern, value)| Pattern::new(pattern, value).unwrap()),
        verdict,
    })
}

fn check(name: &str, parts: &[Part], by: By) -> Check {
    Check {
        name: name.into(),
        when: When::In,
        whose: Whose::everybody(),
        listeners: Vec::new(),
        parts: parts.iter().copied().collect(),
        by,
    }
}

fn checked(checks: &[Check], text: &str) -> (String, Findings) {
    let chosen = coming_in(checks, &Client::default(), "mx").unwrap();
    let (mut made, mut findings) = (Header::parse(text.into()), Findings::default());
    let all = made.len();
    let left = header(&chosen, &mut made, 0..all, &mut findings);
    assert_eq!(left, made.len());
    (String::from_utf8(made.into_text()).unwrap(), findings)
}

#[test]
fn the_office() {
    // The header_checks of a small company.
    let patterns = "/^Subject:.*\\[TEST MAIL\\]/\tDISCARD test mail\n/^X-Priority: 1/\tIGNORE\n/^Subject: Undelivered.*Re: \
                    Invoice/\tREJECT loop of the ticket system\n/^(To|Cc):.*all-staff@havelock\\.example/\tREDIRECT \
                    moderator@havelock.example\n/^User-Agent: (.*)/\tREPLACE X-Client: hidden $1\n/^List-Id:/ PREPEND X-Bulk: yes\n/^X-Odd:/ \
                    REPLACE no field\n/^X-Bcc/ BCC a@b.example\n/^X-Hold/ HOLD odd\n";
    let checks = [check("office", &[Part::Header], table(patterns))];
    #[rustfmt::skip]
    let edits = [
        ("removed",           "A: b\r\nX-Priority: 1\r\nC: d\r\n",     "A: b\r\nC: d\r\n"),
        ("another value",     "X-Priority: 2\r\n",                     "X-Priority: 2\r\n"),
        ("replaced",          "user-agent: Foo/1\r\nC: d\r\n",         "X-Client: hidden Foo/1\r\nC: d\r\n"),
        ("put before",        "A: b\r\nList-Id: <x>\r\n",              "A: b\r\nX-Bulk: yes\r\nList-Id: <x>\r\n"),
        ("no field",          "X-Odd: 1\r\n",                          "X-Odd: 1\r\n"),
        ("two in a row",      "X-Priority: 1\r\nX-Priority: 1\r\nE: f\r\n", "E: f\r\n"),
    ];
    for (shows, text, expected) in edits {
        let (made, findings) = checked(&checks, text);
        assert_eq!(made, expected, "{shows}");
        assert_eq!(findings.edited, text != expected, "{shows}");
    }
    let found = |text: &str| checked(&checks, text).1;
    assert!(
        found("Subject: my\r\n [TEST MAIL]\r\n").discarded.is_some(),
        "over a fold"
    );
    assert_eq!(
        &*found("Subject: Undelivered: Re: Invoice 4\r\n")
            .refused
            .unwrap()
            .1
            .text,
        "loop of the ticket system"
    );
    assert_eq!(
        found("Cc: x, ALL-staff@havelock.example\r\n")
            .redirected
            .unwrap()
            .1
            .to_string(),
        "moderator@havelock.example"
    );
    assert_eq!(found("X-Bcc: 1\r\nX-Bcc: 2\r\n").copies.len(), 1);
    assert!(found("X-Hold: 1\r\n").held.is_some());
    assert_eq!(found("A: b\r\n"), Findings::default());
}

/// Characters that could represent CR, LF and NUL.
const PRIVATE: &str = "\u{ff00d}\u{ff00a}\u{ff000}";

#[test]
fn no_line_end_comes_of_what_is_filled_in() {
    let patterns = "/^X-Old:(.*)/\tREPLACE X-New:$1\n/^X-Two:(.*)/\tPREPEND X-One:$1\n/^line (.*)/\tREPLACE $1\n/^more (.*)/\tPREPEND \
                    $1\n";
    let checks = [check("fill", &[Part::Header, Part::Body], table(patterns))];
    #[rustfmt::skip]
    let fields = [
        ("replaced",     format!("X-Old: a{PRIVATE}b\r\n"), format!("X-New: a{PRIVATE}b\r\n")),
        ("put before",   format!("X-Two: a{PRIVATE}b\r\n"), format!("X-One: a{PRIVATE}b\r\nX-Two: a{PRIVATE}b\r\n")),
        ("folded",       "X-Old: a\r\n\tb\r\n".to_owned(), "X-New: a\r\n\tb\r\n".to_owned()),
        ("NUL in it",    "X-Old: a\0b\r\n".to_owned(),      "X-Old: a\0b\r\n".to_owned()),
    ];
    for (shows, text, expected) in fields {
        assert_eq!(checked(&checks, &text).0, expected, "{shows}");
    }
    let chosen = coming_in(&checks, &Client::default(), "mx").unwrap();
    let mut findings = Findings::default();
    let mut looking = Body {
        chosen: &chosen,
        findings: &mut findings,
    };
    let mut editor = ContentEditor::new(b"A: b\r\n");
    let mut out = Vec::new();
    let body = format!("line a{PRIVATE}b\r\nmore a{PRIVATE}b\r\nline c\0d\re\r\n");
    editor.feed(body.as_bytes(), &mut looking, &mut out);
    editor.finish(&mut looking, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("a{PRIVATE}b\r\na{PRIVATE}b\r\nmore a{PRIVATE}b\r\nc d e\r\n")
    );
}

#[test]
fn own_words() {
    let refuse = Verdict::Refuse(Words::fixed(Verdict::USUAL));
    let checks = [
        check(
            "keep",
            &[Part::Header],
            own(&["Received"], Some(("by mx2", "")), Verdict::Keep),
        ),
        check(
            "trace",
            &[Part::Header],
            own(&["received", "User-Agent"], None, Verdict::Remove),
        ),
        check(
            "swap",
            &[Part::Header],
            own(
                &["X-Old"],
                Some(("^(.)(.)$", "X-New: $2$1")),
                Verdict::Replace("".into()),
            ),
        ),
        check(
            "exe",
            &[Part::Mime],
            own(&["Content-Type"], Some(("name=.*\\.exe", "")), refuse),
        ),
        check(
            "far",
            &[Part::Body],
            own(&[], Some(("lottery", "")), Verdict::Hold("luck".into())),
        ),
    ];
    #[rustfmt::skip]
    let cases = [
        ("Received: by mx2\r\nReceived: by mx1\r\n",  "Received: by mx2\r\n"),
        ("USER-AGENT: x\r\nA: b\r\n",                 "A: b\r\n"),
        ("X-Old: ab\r\nX-Old: abc\r\n",               "X-New: ba\r\nX-Old: abc\r\n"),
    ];
    for (text, expected) in cases {
        assert_eq!(checked(&checks, text).0, expected);
    }
    let typed = "Content-Type: application/x;\r\n name=a.exe\r\n";
    assert!(
        checked(&checks, typed).1.refused.is_some(),
        "a field of MIME in the message's own header"
    );
    let chosen = coming_in(&checks, &Client::default(), "mx").unwrap();
    assert!(chosen.look_at_body() && !chosen.may_edit_body());
    let mut findings = Findings::default();
    let mut editor = ContentEditor::new(b"Content-Type: multipart/mixed; boundary=b\r\n");
    let mut out = Vec::new();
    let body = format!("--b\r\n\r\nlottery\r\n--b\r\n{typed}\r\nx\r\n--b--\r\n");
    let mut looking = Body {
        chosen: &chosen,
        findings: &mut findings,
    };
    editor.feed(body.as_bytes(), &mut looking, &mut out);
    editor.finish(&mut looking, &mut out);
    assert_eq!(out, body.as_bytes());
    assert!(findings.held.is_some() && findings.refused.is_some());
}

#[test]
fn whose_and_where() {
    let mut one = check("one", &[Part::Header], own(&["A"], None, Verdict::Remove));
    one.listeners = vec!["submission".into()];
    one.whose = Whose {
        logins: true,
        ..Whose::default()
    };
    let checks = [one];
    let login = Client {
        login: true,
        ..Client::default()
    };
    assert!(coming_in(&checks, &login, "submission").is_some());
    assert!(coming_in(&checks, &login, "mx").is_none());
    assert!(coming_in(&checks, &Client::default(), "submission").is_none());
    assert!(going_out(&checks).is_none());
}

#[test]
fn checks_make_a_header_only_so_much_longer() {
    let text = format!("B: {}", "x".repeat(900));
    let room = 256 * 1024 / text.len();
    let by = own(&["A"], None, Verdict::Prepend(text.into()));
    let checks = [check("grows", &[Part::Header], by)];
    let (made, findings) = checked(&checks, &"A: 1\r\n".repeat(room + 100));
    assert_eq!(made.matches("B: ").count(), room);
    assert_eq!(made.matches("A: ").count(), room + 100);
    let is_told = |told: &Told| told.reason.contains("256 KiB longer");
    assert!(findings.told.iter().any(is_told), "{:?}", findings.told);
}
