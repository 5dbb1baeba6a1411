//! What both sendmail and Postfix do wrong, and Postern does not.

use postern_filter::Cause;
use postern_milter::{Actions, Change, ChangeError, Command, DataSize, Event, Fault, Reply, Steps, Verdict};

use crate::support::{Act, Raw, choose, content, deliver, event, greet, message, say, service};

/// A filter that sends this at the end of each message, and chooses these actions.
fn at_the_end(actions: Actions, replies: &'static [Reply<'static>]) -> Raw {
    Raw::start(move |_, command| match command {
        Command::Negotiate(_) => Act::Say(say(&[choose(6, actions, Steps::NONE)])),
        Command::End => Act::Say(say(replies)),
        _ => content(command),
    })
}

/// Theirs: a filter that failed stays failed for the session, and later mail is refused, or passes unfiltered.
#[tokio::test]
async fn the_next_message_of_a_session_is_filtered_again() {
    let raw = Raw::start(|connection, command| match event(command) {
        Some(Event::Body) if connection < 3 => Act::Die(Vec::new()),
        Some(Event::End) => Act::Say(say(&[Reply::Reject])),
        _ => content(command),
    });
    let (service, notices) = service(raw.filter());
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    message(&mut session, b"virus\r\n", &()).await.failure();
    message(&mut session, b"virus\r\n", &()).await.failure();
    let came = message(&mut session, b"virus\r\n", &()).await;
    assert_eq!(came.verdict(), (Event::End, Verdict::Reject), "seen, and refused");
    assert_eq!(
        *notices.lock().unwrap(),
        ["raw down: failed at body", "raw up after 2"]
    );
}

/// Theirs: changes that came before the filter died are made; sendmail delivers half a body.
#[tokio::test]
async fn changes_count_only_with_the_answer() {
    let raw = Raw::start(|_, command| match command {
        Command::End => Act::Die(say(&[
            Reply::AddHeader {
                name: b"X-Half",
                value: b"done",
            },
            Reply::ReplaceBody(b"half a bo"),
        ])),
        _ => content(command),
    });
    let (service, _) = service(raw.filter());
    let failure = deliver(&service, b"whole body\r\n").await.failure();
    assert!(
        matches!(failure.cause, Cause::Closed),
        "and no changes with it: {failure:?}"
    );

    static REFUSED: [Reply<'_>; 3] = [
        Reply::AddHeader {
            name: b"X",
            value: b"x",
        },
        Reply::ReplaceBody(b"x"),
        Reply::Tempfail,
    ];
    let raw = at_the_end(Actions::ALL, &REFUSED);
    let (service, _) = crate::support::service(raw.filter());
    let (end, _) = deliver(&service, b"").await.end();
    assert_eq!(
        (end.verdict, end.changes, end.body_replaced),
        (Verdict::Tempfail, vec![], false)
    );
}

/// Theirs: changes whose action was not agreed are made.
#[tokio::test]
async fn changes_that_were_not_agreed() {
    static CHANGES: [(&[Reply<'_>], Actions); 4] = [
        (
            &[
                Reply::AddHeader {
                    name: b"X",
                    value: b"x",
                },
                Reply::Continue,
            ],
            Actions::ADD_HEADER,
        ),
        (
            &[Reply::AddRecipient(b"<x@example.org>"), Reply::Continue],
            Actions::ADD_RECIPIENT,
        ),
        (
            &[Reply::ReplaceBody(b"x"), Reply::Continue],
            Actions::REPLACE_BODY,
        ),
        (&[Reply::Quarantine(b"x"), Reply::Continue], Actions::QUARANTINE),
    ];
    for (replies, action) in CHANGES {
        let raw = at_the_end(Actions::ALL.without(action), replies);
        let (service, _) = service(raw.filter());
        let failure = deliver(&service, b"").await.failure();
        assert!(
            matches!(failure.cause, Cause::Fault(Fault::NotAgreed { .. })),
            "{action}: {failure:?}"
        );
        let raw = at_the_end(action, replies);
        let (service, _) = crate::support::service(raw.filter());
        assert_eq!(
            deliver(&service, b"").await.verdict(),
            (Event::End, Verdict::Continue),
            "{action}"
        );
    }
}

/// Theirs: after three continues at `MAIL` the reject at the end comes too late, and the message is accepted.
#[tokio::test]
async fn answers_too_many_never_let_a_message_through() {
    for stage in [Event::Mail, Event::Header, Event::Body, Event::End] {
        let raw = Raw::start(move |_, command| match event(command) {
            Some(event) if event == stage => {
                Act::Say(say(&[Reply::Continue, Reply::Continue, Reply::Continue]))
            }
            Some(Event::End) => Act::Say(say(&[Reply::Reject])),
            _ => content(command),
        });
        let (service, _) = service(raw.filter());
        let failure = deliver(&service, b"body\r\n").await.failure();
        assert!(matches!(failure.cause, Cause::Unasked(_)), "{stage}: {failure:?}");
    }
}

/// Theirs: skip counts as continue if it was not agreed.
#[tokio::test]
async fn skip_that_was_not_agreed() {
    for (steps, agreed) in [(Steps::NONE, false), (Steps::SKIP, true)] {
        let raw = Raw::start(move |_, command| match command {
            Command::Negotiate(_) => Act::Say(say(&[choose(6, Actions::NONE, steps)])),
            Command::Body(_) => Act::Say(say(&[Reply::Skip])),
            _ => content(command),
        });
        let (service, _) = service(raw.filter());
        let came = deliver(&service, &[b'x'; 200_000]).await;
        let pieces = raw.heard().iter().filter(|line| line.starts_with('B')).count();
        assert_eq!(pieces, 1, "no more after the first");
        if agreed {
            assert_eq!(came.verdict(), (Event::End, Verdict::Continue));
        } else {
            assert!(matches!(
                came.failure().cause,
                Cause::Fault(Fault::NotAgreed { answer: "skip" })
            ));
        }
    }
}

/// Theirs: a CRLF fold in an added field, a line end in a name and a bare CR in a body leave the message broken.
#[tokio::test]
async fn nothing_leaves_broken() {
    static BROKEN: [Reply<'_>; 6] = [
        Reply::AddHeader {
            name: b"X-Crlf",
            value: b"a\r\n b",
        },
        Reply::AddHeader {
            name: b"X-Lf",
            value: b"a\n b",
        },
        Reply::InsertHeader {
            index: 0,
            name: b"X-Smuggled",
            value: b"a\r\nBcc: x@example.org",
        },
        Reply::ReplaceBody(b"a\rb\r"),
        Reply::ReplaceBody(b"\nc\nd"),
        Reply::Accept,
    ];
    let raw = at_the_end(Actions::ALL, &BROKEN);
    let (service, _) = service(raw.filter());
    let (end, body) = deliver(&service, b"").await.end();
    let values: Vec<_> = end
        .changes
        .iter()
        .map(|change| match change {
            Change::AddField { value, .. } | Change::InsertField { value, .. } => {
                String::from_utf8_lossy(value)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(values, [" a\r\n b", " a\r\n b", " a\r\n\tBcc: x@example.org"]);
    assert!(end.body_replaced);
    assert_eq!(
        body, b"a\r\nb\r\nc\r\nd\r\n",
        "the pair that was cut in two is one line end"
    );

    static NAME: [Reply<'_>; 2] = [
        Reply::AddHeader {
            name: b"X\r\nBcc",
            value: b"x",
        },
        Reply::Continue,
    ];
    let raw = at_the_end(Actions::ALL, &NAME);
    let (service, _) = crate::support::service(raw.filter());
    let failure = deliver(&service, b"").await.failure();
    assert!(
        matches!(
            failure.cause,
            Cause::Fault(Fault::Change(ChangeError::FieldName(_)))
        ),
        "{failure:?}"
    );
}

/// As in both: exactly one blank is removed if leading blanks were not agreed, folds are LF, pieces have at most 65,535 octets.
/// Unlike in both, larger ones are sent if the filter agrees.
#[tokio::test]
async fn values_and_pieces() {
    let lines = |heard: &[String], letter: char| -> Vec<String> {
        heard
            .iter()
            .filter(|line| line.starts_with(letter))
            .map(|line| line[2..].to_owned())
            .collect()
    };
    #[rustfmt::skip]
    let cases = [
        (Steps::NONE,           DataSize::Usual,    ["From:a@example.org", "Subject: two blanks\n\tfolded", "X-Gone:\ttab"],    vec!["65535", "65535", "18930"]),
        (Steps::LEADING_BLANKS, DataSize::Usual,    ["From: a@example.org", "Subject:  two blanks\n\tfolded", "X-Gone:\ttab"],  vec!["65535", "65535", "18930"]),
        (Steps::NONE,           DataSize::Large,    ["From:a@example.org", "Subject: two blanks\n\tfolded", "X-Gone:\ttab"],    vec!["150000"]),
    ];
    for (steps, size, header, pieces) in cases {
        let raw = Raw::start(move |_, command| match command {
            Command::Negotiate(_) => Act::Say(say(&[choose(6, Actions::NONE, steps | size.step())])),
            _ => content(command),
        });
        let mut filter = raw.filter();
        filter.data_size = size;
        let (service, _) = service(filter);
        deliver(&service, &[b'x'; 150_000]).await.end();
        assert_eq!(lines(&raw.heard(), 'L')[..3], header, "{steps}");
        assert_eq!(lines(&raw.heard(), 'B'), pieces, "{size:?}");
    }
}

/// An unknown command is sent with its arguments, and giving up is only sent inside a message.
#[tokio::test]
async fn commands_and_aborts() {
    let raw = Raw::start(|_, command| content(command));
    let (service, _) = service(raw.filter());
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    session.abort().await;
    session.mail("<>", &[], &()).await.unwrap();
    session.abort().await;
    session.abort().await;
    message(&mut session, b"", &()).await.end();
    session.quit().await;
    raw.wait_for_commands('K', 1);
    let heard: String = raw.heard().iter().map(|line| &line[..1]).collect();
    assert_eq!(heard, "OCHUMAMRTLLLLNEK");
    assert!(raw.heard().contains(&"U XYZZY a b".to_owned()));
}

/// A field too long for the agreed packets would make libmilter drop the connection: the filter sees its beginning.
#[tokio::test]
async fn a_field_that_does_not_fit() {
    let raw = Raw::start(|_, command| content(command));
    let (service, _) = service(raw.filter());
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    session.mail("<>", &[], &()).await.unwrap();
    session.rcpt("<a@example.org>", &[], true, &()).await.unwrap();
    session.data(&()).await.unwrap();
    for octets in [65_531, 65_532, 200_000] {
        let answer = session.header(b"To", &vec![b'x'; octets]).await;
        assert_eq!(answer.unwrap(), Verdict::Continue, "{octets}");
    }
    let heard = raw.heard();
    let fields = heard.iter().filter(|line| line.starts_with("L To:"));
    let lengths: Vec<usize> = fields.map(|line| line.matches('x').count()).collect();
    assert_eq!(lengths, [65_531; 3]);
}

/// What a filter can make grow has a limit.
#[tokio::test]
async fn too_many_changes() {
    static CHANGES: [Reply<'_>; 4] = [
        Reply::AddHeader {
            name: b"X",
            value: &[b'x'; 600],
        },
        Reply::AddHeader {
            name: b"X",
            value: &[b'x'; 600],
        },
        Reply::ReplaceBody(&[b'x'; 3_000]),
        Reply::Continue,
    ];
    for (changes, body, what) in [
        (1_000, 5_000, "changes"),
        (5_000, 2_999, "body"),
        (5_000, 3_000, ""),
    ] {
        let raw = at_the_end(Actions::ALL, &CHANGES);
        let mut filter = raw.filter();
        (filter.changes_size_max, filter.body_size_max) = (changes, body);
        let (service, _) = service(filter);
        match deliver(&service, b"").await {
            crate::support::Came::Failed(failure) => {
                let is = matches!(failure.cause, Cause::TooMuch { what: found, .. } if found == what);
                assert!(is, "{failure:?}");
            }
            came => assert_eq!((came.end().0.verdict, what), (Verdict::Continue, "")),
        }
    }
}
