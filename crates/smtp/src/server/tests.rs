//! The dialogue, line by line: what the client says, and what step or reply follows.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::body::BodyRules;

pub(super) fn rules() -> Rules {
    Rules {
        hostname: "challenger.example".into(),
        qualify: None,
        qualify_recipients: None,
        limits: Limits::default(),
        body: BodyRules::default(),
        extensions: Extensions::default(),
        starttls: true,
        auth: AuthRules {
            mechanisms: vec![
                OfferedMechanism { name: "LOGIN", plaintext: true },
                OfferedMechanism { name: "PLAIN", plaintext: true },
            ],
            plaintext_anywhere: false,
            required: false,
        },
        commands: CommandRules::default(),
    }
}

fn told(answer: &Answer) -> String {
    if answer.close { format!("close {}", answer.reply) } else { answer.reply.to_string() }
}

/// Runs a line through a dialogue whose driver says yes to everything; returns what follows in a word.
fn run(dialogue: &mut Dialogue, line: &str) -> String {
    match dialogue.step(line.as_bytes()) {
        Step::Answer(answer) => told(&answer),
        Step::Sender(ask) => ask.accept().to_string(),
        Step::Recipient(ask) => {
            let recipient = match ask.path() {
                postern_mail::ForwardPath::Postmaster => "postmaster@challenger.example".parse().unwrap(),
                postern_mail::ForwardPath::Mailbox { mailbox, .. } => mailbox.clone(),
            };
            ask.accept(Ground::Here, [postern_mail::Recipient::new(recipient)]).to_string()
        }
        Step::Data(ask) => {
            let _ = ask.start();
            "data".into()
        }
        Step::Chunk(chunk) => {
            if chunk.last {
                assert!(dialogue.take_transaction().is_some());
            }
            format!("chunk {} first={} last={}", chunk.size, chunk.first, chunk.last)
        }
        Step::Discard { size, reply } => format!("discard {size} {reply}"),
        Step::StartTls => {
            dialogue.tls_started();
            "tls".into()
        }
        Step::Auth(turn) => match turn.input().map(<[u8]>::to_vec) {
            None => turn.challenge(b"Username:").to_string(),
            Some(input) if input == b"acaird" => turn.challenge(b"Password:").to_string(),
            Some(input) if input == b"pass word" || input == b"\0acaird\0pass word" => turn.succeed().to_string(),
            Some(input) if input == b"down" => told(&turn.fail(AuthFailure::Unavailable)),
            Some(_) => told(&turn.fail(AuthFailure::Denied)),
        },
        Step::Verify(name) => format!("verify {name}"),
        Step::Expand(name) => format!("expand {name}"),
    }
}

/// Each case: rules, then lines with the start of what follows them.
fn check(shows: &str, rules: Rules, script: &[(&str, &str)]) {
    let mut dialogue = Dialogue::new(Arc::new(rules), "localhost [127.0.0.1]", false);
    for (line, expected) in script {
        let got = run(&mut dialogue, line);
        assert!(got.starts_with(expected), "{shows}: {line}\n got {got}\nwant {expected}");
    }
}

const A_AND_B: [(&str, &str); 3] = [
    ("EHLO c.example", "250 challenger.example Hello localhost [127.0.0.1]"),
    ("MAIL FROM:<a@a.example>", "250 2.1.0 <a@a.example>... Sender ok"),
    ("RCPT TO:<b@b.example>", "250 2.1.5 <b@b.example>... Recipient ok"),
];

#[test]
fn order_of_a_transaction() {
    check("nothing needed first", rules(), &[("MAIL FROM:<a@a.example>", "250 2.1.0"), ("QUIT", "close 221 2.0.0")]);
    check("recipient first", rules(), &[("RCPT TO:<b@b.example>", "503 5.0.0 Need MAIL before RCPT")]);
    check("data first", rules(), &[("DATA", "503 5.0.0")]);
    check("two senders", rules(), &[A_AND_B[1], ("MAIL FROM:<>", "503 5.5.0 Sender already specified")]);
    check("no recipient", rules(), &[A_AND_B[1], ("DATA", "503 5.0.0 Need RCPT")]);
    check(
        "a whole one, and the next",
        rules(),
        &[A_AND_B[1], A_AND_B[2], ("DATA", "data"), A_AND_B[1], A_AND_B[2], ("DATA", "data")],
    );
    check("reset", rules(), &[A_AND_B[1], ("RSET", "250 2.0.0"), A_AND_B[2].with("503 5.0.0")]);
    check("greeting again ends it", rules(), &[A_AND_B[1], A_AND_B[0], A_AND_B[2].with("503 5.0.0")]);
    check(
        "help, noop",
        rules(),
        &[("HELP", "214 2.0.0"), ("NOOP x", "250 2.0.0"), ("BOGUS", "500 5.5.1 Command unrecognized: \"BOGUS\"")],
    );
}

trait With<'a> {
    fn with(self, expected: &'a str) -> (&'a str, &'a str);
}

impl<'a> With<'a> for (&'a str, &'a str) {
    fn with(self, expected: &'a str) -> (&'a str, &'a str) {
        (self.0, expected)
    }
}

#[test]
fn greetings() {
    check("a bare greeting", rules(), &[("EHLO", "501 5.0.0"), ("HELO ", "501 5.0.0")]);
    check("two names", rules(), &[("EHLO a b", "501 5.0.0")]);
    check("a header in the name", rules(), &[("EHLO a(b)\"c\"", "501 5.0.0")]);
    check("a literal", rules(), &[("EHLO [IPv6:2001:db8::1]", "250 ")]);
    let any = Rules {
        commands: CommandRules { any_helo_name: true, ..CommandRules::default() },
        ..rules()
    };
    for name in ["MÜLLER-PC", "my pc", "user's-iphone", "KMBT(1)", "WIN-PC$", "[fe80::1c2:3ff:fe04:506%eth0]", "(none)"] {
        check(name, any.clone(), &[(&format!("EHLO {name}"), "250 ")]);
        check(name, rules(), &[(&format!("EHLO {name}"), "501 5.0.0")]);
    }
    check("longer than a name", any, &[(&format!("EHLO {}", "x".repeat(256)), "501 5.0.0")]);
    let mut dialogue = Dialogue::new(Arc::new(rules()), "localhost [127.0.0.1]", false);
    let before = run(&mut dialogue, "EHLO c");
    assert!(before.contains("STARTTLS") && !before.contains("AUTH"), "{before}");
    assert_eq!(run(&mut dialogue, "STARTTLS"), "tls");
    assert_eq!(dialogue.client_name(), "", "the greeting is forgotten");
    let after = run(&mut dialogue, "EHLO c");
    assert!(!after.contains("STARTTLS") && after.contains("AUTH LOGIN PLAIN"), "{after}");
}

#[test]
fn privacy() {
    let away = Rules {
        commands: CommandRules {
            mail_needs_helo: true,
            any_helo_name: false,
            vrfy_needs_helo: true,
            expn_needs_helo: true,
            vrfy_off: true,
            expn_off: true,
            verb_off: true,
            etrn_off: false,
        },
        ..rules()
    };
    check(
        "goaway",
        away.clone(),
        &[
            ("VRFY postmaster", "252 2.5.2 Cannot VRFY user; try RCPT"),
            ("EXPN staff", "502 5.7.0 Sorry, we do not allow this operation"),
            ("VERB", "502 5.7.0 Verbose unavailable"),
            ("MAIL FROM:<a@a.example>", "503 5.0.0 Polite people say HELO first"),
            ("ETRN x.example", "458"),
            ("HELO c", "250 challenger.example Hello localhost [127.0.0.1]"),
            ("MAIL FROM:<a@a.example>", "250 2.1.0"),
        ],
    );
    let commands = CommandRules { vrfy_off: false, expn_off: false, etrn_off: true, ..away.commands };
    check(
        "only the greeting is needed",
        Rules { commands, ..away },
        &[
            ("VRFY postmaster", "503 5.0.0"),
            ("EXPN staff", "503 5.0.0"),
            ("ETRN x.example", "502 5.7.0"),
            ("HELO c", "250 "),
            ("VRFY postmaster", "verify postmaster"),
            ("EXPN staff", "expand staff"),
        ],
    );
}

#[test]
fn starttls_and_what_it_forgets() {
    check("no certificate", Rules { starttls: false, ..rules() }, &[("STARTTLS", "454 4.3.3")]);
    check("with an argument", rules(), &[("STARTTLS now", "501 5.5.4")]);
    check("in a transaction", rules(), &[A_AND_B[1], ("STARTTLS", "503 5.5.0 TLS not permitted during a mail transaction")]);
    check("twice", rules(), &[("STARTTLS", "tls"), ("STARTTLS", "454 4.3.3 TLS not available after start")]);
    check(
        "so is the offer to log in",
        rules(),
        &[
            ("EHLO c", "250 "), ("STARTTLS", "tls"), ("AUTH PLAIN", "503 5.0.0"), ("EHLO c", "250 "),
            ("AUTH PLAIN AGFjYWlyZABwYXNzIHdvcmQ=", "235 2.0.0"),
        ],
    );
    let open = AuthRules { plaintext_anywhere: true, required: true, ..rules().auth };
    check(
        "a login is forgotten",
        Rules { auth: open, ..rules() },
        &[
            ("AUTH PLAIN AGFjYWlyZABwYXNzIHdvcmQ=", "235 2.0.0"),
            ("STARTTLS", "tls"),
            ("MAIL FROM:<a@a.example>", "530 5.7.0 Authentication required"),
        ],
    );
}

#[test]
fn logins() {
    let tls = |script: &[(&'static str, &'static str)]| {
        let mut all = vec![("STARTTLS", "tls"), ("EHLO c", "250 ")];
        all.extend_from_slice(script);
        all
    };
    check("in clear text", rules(), &[("auth login", "503 5.3.3 AUTH not available"), ("AUTH", "503 5.3.3")]);
    check(
        "the procedure",
        rules(),
        &tls(&[
            ("auth login", "334 VXNlcm5hbWU6"),
            ("YWNhaXJk", "334 UGFzc3dvcmQ6"),
            ("cGFzcyB3b3Jk", "235 2.0.0 OK Authenticated"),
            ("auth login", "503 5.5.0 Already Authenticated"),
        ]),
    );
    check(
        "the user name at once",
        rules(),
        &tls(&[("AUTH LOGIN YWNhaXJk", "334 UGFzc3dvcmQ6"), ("*", "501 5.0.0 AUTH aborted"), ("NOOP", "250")]),
    );
    check("no mechanism", rules(), &tls(&[("AUTH", "501 5.5.2 AUTH mechanism must be specified")]));
    check("a mechanism that is off", rules(), &tls(&[("AUTH FOO", "504 5.3.3 AUTH mechanism FOO not available")]));
    check("no Base64", rules(), &tls(&[("AUTH PLAIN !!!", "501 5.5.4 cannot BASE64 decode"), ("NOOP", "250")]));
    check("no Base64 in a response", rules(), &tls(&[("AUTH PLAIN", "334"), ("!!!", "501 5.5.4"), ("NOOP", "250")]));
    check("an empty initial response", rules(), &tls(&[("AUTH PLAIN =", "535 5.7.0"), ("NOOP", "250")]));
    check(
        "a directory that is down",
        rules(),
        &tls(&[("AUTH PLAIN ZG93bg==", "454 4.7.0"), ("AUTH PLAIN ZG93bg==", "454 4.7.0")]),
    );
    check(
        "in a transaction",
        rules(),
        &tls(&[A_AND_B[1], ("AUTH PLAIN", "503 5.5.0 AUTH not permitted during a mail transaction")]),
    );
    check(
        "a command is no response",
        rules(),
        &tls(&[("AUTH LOGIN", "334"), ("MAIL FROM:<a@a.example>", "501 5.5.4"), A_AND_B[1]]),
    );
    check(
        "guessing",
        rules(),
        &tls(&[
            ("AUTH PLAIN AGEAYg==", "535 5.7.0 authentication failed"),
            ("AUTH PLAIN AGEAYg==", "535"),
            ("AUTH PLAIN AGEAYg==", "535"),
            ("AUTH PLAIN AGEAYg==", "close 421 4.7.0"),
        ]),
    );
}

#[test]
fn chunks() {
    check(
        "in order",
        rules(),
        &[
            A_AND_B[0],
            A_AND_B[1],
            A_AND_B[2],
            ("BDAT 10", "chunk 10 first=true last=false"),
            ("BDAT 0 LAST", "chunk 0 first=false last=true"),
            ("BDAT 5 LAST", "discard 5 503 5.0.0"),
        ],
    );
    check("without a recipient", rules(), &[A_AND_B[1], ("BDAT 7 LAST", "discard 7 503 5.0.0 Need RCPT")]);
    check(
        "no other way in between",
        rules(),
        &[
            A_AND_B[1],
            A_AND_B[2],
            ("BDAT 1", "chunk"),
            ("DATA", "503 5.5.1"),
            ("MAIL FROM:<>", "503 5.5.1"),
            ("RCPT TO:<c@b.example>", "503 5.5.1"),
            ("RSET", "250"),
            ("BDAT 1", "discard 1 503"),
        ],
    );
    check("nobody knows how much follows", rules(), &[("BDAT all", "close 501 5.5.4")]);
    check(
        "binary needs chunks",
        rules(),
        &[("MAIL FROM:<> BODY=BINARYMIME", "250"), A_AND_B[2], ("DATA", "503 5.5.1"), ("BDAT 3 LAST", "chunk 3")],
    );
    let extensions = Extensions { chunking: false, ..Extensions::default() };
    check("off", Rules { extensions, ..rules() }, &[A_AND_B[1], A_AND_B[2], ("BDAT 3 LAST", "discard 3 500 5.5.1")]);
    check("binary with chunks off", Rules { extensions, ..rules() }, &[("MAIL FROM:<> BODY=BINARYMIME", "501 5.5.4")]);
}

#[test]
fn parameters_of_mail_and_rcpt() {
    #[rustfmt::skip]
    let cases = [
        ("a size",                    "SIZE=100",                    "250"),
        ("a size that fits nothing",  "SIZE=99999999999999999999",   "250"),
        ("no number",                 "SIZE=1k",                     "501 5.5.4"),
        ("no value",                  "SIZE",                        "555 5.5.4"),
        ("twice",                     "SIZE=1 size=2",               "501 5.5.4 Parameter given twice"),
        ("body kinds",                "BODY=8bitmime",               "250"),
        ("no body kind",              "BODY=9BIT",                   "501 5.5.4"),
        ("reports",                   "RET=HDRS ENVID=QQ+2B1",       "250"),
        ("neither of the two",        "RET=SOME",                    "501 5.5.4"),
        ("broken xtext",              "ENVID=+2",                    "501 5.5.4"),
        ("a name of the submitter",   "AUTH=a+2Bb@c.example",        "250"),
        ("nobody in particular",      "AUTH=<>",                     "250"),
        ("no mailbox",                "AUTH=a",                      "501 5.5.4"),
        ("utf8",                      "SMTPUTF8",                    "250"),
        ("utf8 has no value",         "SMTPUTF8=1",                  "555 5.5.4"),
        ("not offered",               "BY=120;R",                    "555 5.5.4"),
        ("not a parameter",           "=",                           "501 5.5.4"),
    ];
    for (shows, parameters, expected) in cases {
        check(shows, rules(), &[(&format!("MAIL FROM:<a@a.example> {parameters}"), expected)]);
    }
    #[rustfmt::skip]
    let cases = [
        ("never",             "NOTIFY=NEVER",                          "250"),
        ("two",               "NOTIFY=success,FAILURE",                "250"),
        ("never and more",    "NOTIFY=NEVER,DELAY",                    "501 5.5.4"),
        ("the original",      "ORCPT=rfc822;b+2Bc@b.example",          "250"),
        ("no type",           "ORCPT=b@b.example",                     "501 5.5.4"),
        ("not for rcpt",      "SIZE=1",                                "555 5.5.4"),
    ];
    for (shows, parameters, expected) in cases {
        check(shows, rules(), &[A_AND_B[1], (&format!("RCPT TO:<b@b.example> {parameters}"), expected)]);
    }
    let silent = Rules { extensions: Extensions { dsn: false, smtputf8: false, ..Extensions::default() }, ..rules() };
    check("reports are off", silent.clone(), &[("MAIL FROM:<> RET=FULL", "555 5.5.4")]);
    check("utf8 is off", silent, &[("MAIL FROM:<> SMTPUTF8", "555 5.5.4")]);
}

#[test]
fn the_submitter_is_believed_only_after_a_login() {
    for (login, expected) in [(true, Some("x@y.example".to_owned())), (false, Some(String::new()))] {
        let auth = AuthRules { plaintext_anywhere: true, ..rules().auth };
        let mut dialogue = Dialogue::new(Arc::new(Rules { auth, ..rules() }), "c", false);
        if login {
            assert!(run(&mut dialogue, "AUTH PLAIN AGFjYWlyZABwYXNzIHdvcmQ=").starts_with("235"));
        }
        assert!(run(&mut dialogue, "MAIL FROM:<a@a.example> AUTH=x@y.example").starts_with("250"));
        assert_eq!(dialogue.transaction().unwrap().envelope.auth, expected);
    }
}

#[test]
fn addresses() {
    check("utf8 without the parameter", rules(), &[("MAIL FROM:<\u{e9}@a.example>", "553 5.6.7")]);
    check("utf8 with it", rules(), &[("MAIL FROM:<\u{e9}@a.example> SMTPUTF8", "250"), ("RCPT TO:<\u{e8}@b.example>", "250")]);
    check("a quote without end", rules(), &[A_AND_B[1], ("RCPT TO:<\"b@b.example>", "553 5.0.0")]);
    check("no domain", rules(), &[("MAIL FROM:<a>", "5"), A_AND_B[1], ("RCPT TO:<b>", "5"), ("RCPT TO:<Postmaster>", "250")]);
    let domain = Some("challenger.example".parse().unwrap());
    let qualify = Rules { qualify: domain.clone(), qualify_recipients: domain, ..rules() };
    check(
        "the domain is added",
        qualify,
        &[("MAIL FROM:<a>", "250 2.1.0 <a@challenger.example>"), ("RCPT TO:<b>", "250 2.1.5 <b@challenger.example>")],
    );
}

#[test]
fn a_recipient_is_taken_once() {
    let mut dialogue = Dialogue::new(Arc::new(rules()), "c", false);
    for (line, _) in [A_AND_B[0], A_AND_B[1], A_AND_B[2], A_AND_B[2]] {
        assert!(run(&mut dialogue, line).starts_with("250"));
    }
    assert_eq!(dialogue.transaction().unwrap().envelope.recipients.len(), 1);
}

#[test]
fn patience_has_an_end() {
    let limits = Limits { mistakes_max: 2, idle_commands_max: 2, refused_recipients_max: 1, ..Limits::default() };
    let strict = Rules { limits, ..rules() };
    check("mistakes", strict.clone(), &[("A", "500"), ("B", "500"), ("C", "close 421 4.7.0")]);
    check("idling", strict.clone(), &[("NOOP", "250"), ("RSET", "250"), ("NOOP", "close 421 4.7.0")]);
    check(
        "a message makes it good",
        strict.clone(),
        &[("NOOP", "250"), A_AND_B[1], A_AND_B[2], ("DATA", "data"), ("NOOP", "250"), ("NOOP", "250")],
    );
    check("a browser", strict.clone(), &[("GET / HTTP/1.1", "close 502 5.7.0")]);
    let mut dialogue = Dialogue::new(Arc::new(strict), "c", false);
    assert!(run(&mut dialogue, A_AND_B[1].0).starts_with("250"));
    let mut refuse = |reply: Reply| {
        let Step::Recipient(ask) = dialogue.step(b"RCPT TO:<b@b.example>") else { panic!("no question") };
        ask.refuse(reply).close
    };
    assert!(!refuse(Reply::bare(450, "later")));
    assert!(!refuse(Reply::bare(550, "no")));
    assert!(!refuse(Reply::bare(450, "later")), "what may pass does not count");
    assert!(refuse(Reply::bare(550, "no")));
}

#[test]
fn lines_and_their_limits() {
    let mut dialogue = Dialogue::new(Arc::new(rules()), "c", true);
    assert!(dialogue.line_fits(b"NOOP", 2_048) && !dialogue.line_fits(b"NOOP", 2_049));
    assert!(dialogue.line_fits(b"auth PLAIN", 12_288) && !dialogue.line_fits(b"auth PLAIN", 12_289));
    assert!(run(&mut dialogue, "AUTH PLAIN").starts_with("334"));
    assert!(dialogue.line_fits(b"AAAA", 12_288));
    assert_eq!(dialogue.too_long().status, Some(postern_mail::Status(5, 5, 6)));
    assert!(!dialogue.bad_line(texts::AUTH_LINE_TOO_LONG).close);
    assert!(!dialogue.in_exchange(), "the exchange has ended");
}

proptest! {
    #[test]
    fn no_lines_break_the_dialogue(lines in proptest::collection::vec(
        prop_oneof![
            prop::sample::select(vec![
                "EHLO c", "MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA", "BDAT 3", "BDAT 3 LAST", "RSET",
                "STARTTLS", "AUTH LOGIN", "AUTH PLAIN", "*", "=", "YWNhaXJk", "VRFY x", "NOOP", "QUIT",
            ]).prop_map(str::to_owned),
            "\\PC{0,30}",
        ], 0..40,
    )) {
        let auth = AuthRules { plaintext_anywhere: true, ..rules().auth };
        let mut dialogue = Dialogue::new(Arc::new(Rules { auth, ..rules() }), "c", false);
        for line in lines {
            let told = run(&mut dialogue, &line);
            prop_assert!(!told.contains(['\r', '\0']));
            prop_assert!(!(dialogue.in_exchange() && dialogue.transaction().is_some()), "no login inside a transaction");
        }
    }
}

#[test]
fn requests_that_do_not_come_from_a_client() {
    #[rustfmt::skip]
    let recipients = [
        ("",                                    "Ok((Unspecified, None))"),
        ("NOTIFY=NEVER",                        "Ok((Never, None))"),
        (" notify=never  ORCPT=rfc822;a@b ",    "Ok((Never, Some(\"rfc822;a@b\")))"),
        ("NOTIFY=SOMETIMES",                    "Err(501)"),
        ("SIZE=1",                              "Err(555)"),
    ];
    for (text, expected) in recipients {
        let got = requests_of_recipient(text).map_err(|reply| reply.code);
        assert_eq!(format!("{got:?}"), expected, "{text}");
    }
    #[rustfmt::skip]
    let senders = [
        ("",                                    "Ok((None, None))"),
        ("RET=HDRS ENVID=x+2By",                "Ok((Some(Headers), Some(\"x+y\")))"),
        ("SIZE=1 BODY=8BITMIME SMTPUTF8 AUTH=<>", "Ok((None, None))"),
        ("RET=HDRS RET=FULL",                   "Err(501)"),
        ("HOLDFOR=1",                           "Err(555)"),
    ];
    for (text, expected) in senders {
        let got = requests_of_sender(text).map_err(|reply| reply.code);
        assert_eq!(format!("{got:?}"), expected, "{text}");
    }
}
