//! Connections that serve one session after the other.

use std::time::Duration;

use postern_filter::Cause;
use postern_milter::{Command, Event, Reply, Verdict};
use postern_testkit::milter::PythonMilter;

use crate::support::{Act, Raw, content, deliver, event, say, service};

#[tokio::test]
async fn a_real_filter_serves_the_next_session() {
    let filter = PythonMilter::start("class Filter(Recorder): pass");
    let settings = postern_filter::Filter::new("python", filter.address().parse().unwrap());
    let (service, _) = service(settings);
    for session in 1..=3 {
        let (end, _) = deliver(&service, b"body\r\n").await.end();
        assert_eq!(end.verdict, Verdict::Continue);
        assert_eq!(service.idle(), 1, "session {session} leaves one behind");
        filter.wait_for("'close'", session);
    }
    // One negotiation, three sessions: libmilter shows it by taking all on one connection.
    let notes = filter.notes();
    let told = |what: &str| notes.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!((told("'connect'"), told("'eom'"), told("'abort'")), (3, 3, 0));
}

/// libmilter accepts the command only after "continue" at the end of a message, and would wait for ever elsewhere.
#[tokio::test]
async fn a_real_filter_that_accepts_gets_a_connection_for_each_session() {
    let class =
        "class Filter(Recorder):\n    def eom(self):\n        self.note('eom')\n        return Milter.ACCEPT";
    let filter = PythonMilter::start(class);
    let settings = postern_filter::Filter::new("python", filter.address().parse().unwrap());
    let (service, _) = service(settings);
    for session in 1..=2 {
        let (end, _) = deliver(&service, b"").await.end();
        assert_eq!(end.verdict, Verdict::Accept);
        assert_eq!(service.idle(), 0);
        filter.wait_for("'close'", session);
    }
}

#[tokio::test]
async fn one_connection_for_all() {
    let raw = Raw::start(|_, command| content(command));
    let (service, _) = service(raw.filter());
    for _ in 0..3 {
        deliver(&service, b"").await.end();
    }
    assert_eq!(raw.connections(), 1);
    assert_eq!(raw.heard().iter().filter(|line| *line == "O").count(), 1);
}

#[tokio::test]
async fn kept_none_where_the_settings_say_so() {
    let raw = Raw::start(|_, command| content(command));
    let mut filter = raw.filter();
    filter.idle_max = 0;
    let (service, _) = service(filter);
    for _ in 0..2 {
        deliver(&service, b"").await.end();
    }
    assert_eq!(raw.connections(), 2);
    raw.wait_for_commands('Q', 2);
}

#[tokio::test]
async fn not_longer_than_the_settings_say() {
    let raw = Raw::start(|_, command| content(command));
    let mut filter = raw.filter();
    filter.idle_time = Duration::ZERO;
    let (service, _) = service(filter);
    deliver(&service, b"").await.end();
    assert_eq!(service.idle(), 1);
    service.close_idle();
    assert_eq!(service.idle(), 0);
    deliver(&service, b"").await.end();
    assert_eq!(raw.connections(), 2);
}

/// A filter that was restarted meanwhile only costs another connection.
#[tokio::test]
async fn closed_meanwhile() {
    let raw = Raw::start(|_, command| match command {
        Command::QuitNewConnection => Act::Die(Vec::new()),
        _ => content(command),
    });
    let (service, notices) = service(raw.filter());
    for _ in 0..3 {
        assert_eq!(
            deliver(&service, b"").await.verdict(),
            (Event::End, Verdict::Continue)
        );
    }
    assert_eq!(raw.connections(), 3);
    assert!(notices.lock().unwrap().is_empty(), "nothing has failed");
}

/// A filter that knows the command but then waits for something else is detected once.
#[tokio::test]
async fn refused_by_silence() {
    let raw = Raw::start(|_, command| match command {
        Command::QuitNewConnection => Act::Hang,
        _ => content(command),
    });
    let mut filter = raw.filter();
    filter.timeouts.command = Duration::from_secs(3);
    let (service, notices) = service(filter);
    for _ in 0..3 {
        assert_eq!(
            deliver(&service, b"").await.verdict(),
            (Event::End, Verdict::Continue)
        );
    }
    assert_eq!(raw.connections(), 3, "a new one each");
    assert_eq!(
        raw.heard().iter().filter(|line| *line == "K").count(),
        1,
        "tried once"
    );
    assert!(notices.lock().unwrap().is_empty(), "nothing has failed");
}

/// What a filter sends between two sessions belongs to neither.
#[tokio::test]
async fn an_answer_between_two_sessions() {
    let raw = Raw::start(|_, command| match command {
        Command::QuitNewConnection => Act::Say(say(&[Reply::Accept])),
        _ => content(command),
    });
    let (service, _) = service(raw.filter());
    for session in 1..=3 {
        let (end, _) = deliver(&service, b"").await.end();
        assert_eq!(end.verdict, Verdict::Continue, "never the stray one");
        raw.wait_for_answers(session * 14);
    }
}

/// A connection that the filter closes between two messages of a session is reopened.
#[tokio::test]
async fn closed_between_two_messages() {
    let raw = Raw::start(|_, command| match event(command) {
        Some(Event::End) => Act::Die(say(&[Reply::Continue])),
        _ => content(command),
    });
    let (service, notices) = service(raw.filter());
    let mut session = service.session();
    crate::support::greet(&mut session, "mx.example", "client.example", &()).await;
    for _ in 0..3 {
        let (end, _) = crate::support::message(&mut session, b"", &()).await.end();
        assert_eq!(end.verdict, Verdict::Continue);
    }
    assert_eq!(raw.connections(), 3);
    assert!(notices.lock().unwrap().is_empty());
}

/// A refusal at connect holds for the whole session, whatever happens to the connection.
#[tokio::test]
async fn a_refused_session_stays_refused() {
    let raw = Raw::start(|_, command| match event(command) {
        Some(Event::Connect) => Act::Say(say(&[Reply::Reject])),
        _ => content(command),
    });
    let (service, _) = service(raw.filter());
    let mut session = service.session();
    assert_eq!(
        session
            .connect("mx.example", crate::support::PEER, &())
            .await
            .unwrap(),
        Verdict::Reject
    );
    for _ in 0..2 {
        assert_eq!(session.mail("<>", &[], &()).await.unwrap(), Verdict::Reject);
    }
    assert_eq!(raw.connections(), 1);
    let failure = Cause::Paused(Duration::from_secs(2)).to_string();
    assert_eq!(failure, "it is down, and will be asked again in 2 s");
}
