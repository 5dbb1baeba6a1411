//! A header is sent as a whole: many fields are sent before the first answer is read.

use postern_filter::Cause;
use postern_milter::{Command, Event, Reply, Verdict};

use crate::support::{Act, Raw, content, deliver, greet, message, say, service};

/// Fields are sent together, and their answers are read after them: otherwise this filter, which is silent until the end of the
/// header, would never get that.
#[tokio::test]
async fn fields_are_told_together() {
    let raw = Raw::start(|_, command| match command {
        Command::Header { .. } => Act::Say(Vec::new()),
        Command::EndOfHeader => Act::Say(say(&[
            Reply::Continue,
            Reply::Continue,
            Reply::Continue,
            Reply::Continue,
            Reply::Continue,
        ])),
        _ => content(command),
    });
    let (service, _) = service(raw.filter());
    let came = deliver(&service, b"body\r\n").await;
    assert_eq!(came.end().0.verdict, Verdict::Continue);
    assert_eq!(raw.connections(), 1);
}

/// A filter that decides on a field has already been sent later ones: its connection is closed, its answer counts for its field,
/// and from then on it is sent one field at a time, on a connection that stays open.
#[tokio::test]
async fn who_decides_on_a_field_is_told_one_at_a_time_from_then_on() {
    for answer in [Reply::Reject, Reply::Accept, Reply::Discard, Reply::Tempfail] {
        let (verdict, decides) = (expected(&answer), answer.clone());
        let raw = Raw::start(move |_, command| match command {
            Command::Header { name: b"Subject", .. } => Act::Say(say(std::slice::from_ref(&decides))),
            _ => content(command),
        });
        let (service, notices) = service(raw.filter());
        let mut session = service.session();
        greet(&mut session, "mx.example", "client.example", &()).await;
        for (number, connections) in [(1, 1), (2, 2), (3, 2)] {
            let came = message(&mut session, b"body\r\n", &()).await;
            assert_eq!(
                came.verdict(),
                (Event::Header, verdict.clone()),
                "message {number}"
            );
            assert_eq!(raw.connections(), connections, "message {number}");
        }
        session.quit().await;
        let heard = raw.heard();
        let behind = heard.iter().filter(|line| line.starts_with("L X-Gone")).count();
        assert!(behind <= 1, "told ahead once: {heard:?}");
        assert!(notices.lock().unwrap().is_empty(), "that is no failure");
    }
}

/// So is one that gets out of step when it is sent more than one thing at a time: one message fails, and the next ones pass.
#[tokio::test]
async fn who_fails_in_a_header_is_told_one_at_a_time_from_then_on() {
    let raw = Raw::start(|connection, command| match command {
        Command::Header { name: b"Subject", .. } if connection == 1 => Act::Die(Vec::new()),
        _ => content(command),
    });
    let (service, _) = service(raw.filter());
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    let failure = message(&mut session, b"body\r\n", &()).await.failure();
    assert!(matches!(failure.cause, Cause::Closed), "{failure:?}");
    for _ in 0..2 {
        let came = message(&mut session, b"body\r\n", &()).await;
        assert_eq!(came.end().0.verdict, Verdict::Continue);
    }
    assert_eq!(raw.connections(), 2);
}

fn expected(reply: &Reply<'_>) -> Verdict {
    match reply {
        Reply::Reject => Verdict::Reject,
        Reply::Accept => Verdict::Accept,
        Reply::Discard => Verdict::Discard,
        _ => Verdict::Tempfail,
    }
}
