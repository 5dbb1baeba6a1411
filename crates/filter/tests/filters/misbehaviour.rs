//! A filter that is down, hangs, dies, sends garbage, too large a packet, the wrong answer or the wrong version, at each stage:
//! only that message fails, with a type that says what happened; the next message passes.

use std::time::Duration;

use postern_filter::{Cause, During, EndError, Filter};
use postern_milter::frame::FrameError;
use postern_milter::outage::Kind;
use postern_milter::{Actions, Command, Event, NegotiationError, Reply, Steps, Verdict};

use crate::support::{Act, PEER, Raw, choose, content, deliver, event, greet, message, say, service};

const STAGES: [Event; 10] = [
    Event::Connect,
    Event::Helo,
    Event::Unknown,
    Event::Mail,
    Event::Rcpt,
    Event::Data,
    Event::Header,
    Event::EndOfHeader,
    Event::Body,
    Event::End,
];

#[derive(Clone, Copy, Debug)]
enum Fault {
    Dies,
    DiesInsideOfAPacket,
    SendsGarbage,
    SendsText,
    SendsAnEmptyPacket,
    SendsTooMuch,
    AnswersOutOfTurn,
    AnswersTwice,
    Hangs,
}

impl Fault {
    fn act(self) -> Act {
        match self {
            Self::Dies => Act::Die(Vec::new()),
            Self::DiesInsideOfAPacket => Act::Die(b"\0\0\0\x09hX".to_vec()),
            Self::SendsGarbage => Act::Say(b"\0\0\0\x01z".to_vec()),
            Self::SendsText => Act::Say(b"220 mail.example ESMTP\r\n".to_vec()),
            Self::SendsAnEmptyPacket => Act::Say(b"\0\0\0\0".to_vec()),
            Self::SendsTooMuch => Act::Say(b"\0\x10\0\x01b".to_vec()),
            Self::AnswersOutOfTurn => Act::Say(say(&[choose(6, Actions::NONE, Steps::NONE)])),
            Self::AnswersTwice => Act::Say(say(&[Reply::Continue, Reply::Continue])),
            Self::Hangs => Act::Hang,
        }
    }

    fn is(self, cause: &Cause) -> bool {
        match self {
            Self::Dies | Self::DiesInsideOfAPacket => matches!(cause, Cause::Closed),
            Self::SendsGarbage => matches!(cause, Cause::Reply(_)),
            Self::SendsText | Self::SendsTooMuch => {
                matches!(cause, Cause::Frame(FrameError::TooLarge { .. }))
            }
            Self::SendsAnEmptyPacket => matches!(cause, Cause::Frame(FrameError::Empty)),
            Self::AnswersOutOfTurn => matches!(cause, Cause::Fault(_)),
            Self::AnswersTwice => matches!(cause, Cause::Unasked(_)),
            Self::Hangs => matches!(cause, Cause::TimedOut(_)),
        }
    }
}

/// A filter that misbehaves at `stage` on its first connection, and accepts everything on all later ones.
async fn misbehaves(stage: Event, fault: Fault) {
    let shows = format!("{fault:?} at {stage}");
    let raw = Raw::start(move |connection, command| match event(command) {
        Some(event) if event == stage && connection == 1 => fault.act(),
        _ => content(command),
    });
    let mut filter = raw.filter();
    if matches!(fault, Fault::Hangs) {
        filter.timeouts.command = Duration::from_secs(5);
        filter.timeouts.end_of_message = Duration::from_secs(5);
    }
    let (service, notices) = service(filter);
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    let came = message(&mut session, b"body\r\n", &()).await;
    if stage.in_message() {
        let failure = came.failure();
        // A second answer is noticed when the next question is asked.
        if !matches!(fault, Fault::AnswersTwice) {
            assert_eq!(failure.during, During::Step(stage), "{shows}");
        }
        assert!(fault.is(&failure.cause), "{shows}: {failure:?}");
        assert_eq!(failure.kind(), Some(Kind::Misbehaved), "{shows}");
    } else {
        assert_eq!(
            came.end().0.verdict,
            Verdict::Continue,
            "{shows}: asked again at MAIL"
        );
    }
    let came = message(&mut session, b"body\r\n", &()).await;
    assert_eq!(
        came.end().0.verdict,
        Verdict::Continue,
        "{shows}: the next message"
    );
    assert_eq!(raw.connections(), 2, "{shows}: on a new connection");
    let heard = raw.heard();
    let second = heard.iter().rposition(|line| line == "O").expect("a negotiation");
    let second: Vec<_> = heard[second..].iter().filter(|line| *line != "D").collect();
    assert!(
        second[1].starts_with('C') && second[2] == "H",
        "{shows}: told anew who the client is"
    );
    assert!(
        second.iter().any(|line| *line == "E"),
        "{shows}: and all of the message"
    );
    session.quit().await;
    let notices = notices.lock().expect("a lock").clone();
    let whole = notices.len() == 2 && notices[0].contains("down") && notices[1].contains("up");
    assert!(whole, "{shows}: told once each: {notices:?}");
}

#[tokio::test]
async fn at_each_stage() {
    use Fault::*;
    for stage in STAGES {
        for fault in [
            Dies,
            DiesInsideOfAPacket,
            SendsGarbage,
            SendsText,
            SendsAnEmptyPacket,
            SendsTooMuch,
            AnswersOutOfTurn,
            AnswersTwice,
        ] {
            misbehaves(stage, fault).await;
        }
    }
}

#[tokio::test]
async fn hanging_at_each_stage() {
    let tests = STAGES.map(|stage| tokio::spawn(misbehaves(stage, Fault::Hangs)));
    for test in tests {
        test.await.unwrap();
    }
}

/// A filter that answers where it agreed not to. Its answer would be taken for that to the next question.
#[tokio::test]
async fn answers_where_silence_was_agreed() {
    for steps in [Steps::QUIET_MAIL, Steps::QUIET_HEADER] {
        let raw = Raw::start(move |_, command| match command {
            Command::Negotiate(_) => Act::Say(say(&[choose(6, Actions::ALL, steps)])),
            Command::End => Act::Say(say(&[Reply::Reject])),
            _ => content(command),
        });
        let (service, _) = service(raw.filter());
        let mut session = service.session();
        session.connect("mx.example", PEER, &()).await.unwrap();
        session.mail("<>", &[], &()).await.unwrap();
        let failure = if steps == Steps::QUIET_MAIL {
            // To the negotiation, to the connection, and an unsolicited one.
            raw.wait_for_answers(3);
            session.rcpt("<a@example.org>", &[], true, &()).await.unwrap_err()
        } else {
            session.rcpt("<a@example.org>", &[], true, &()).await.unwrap();
            session.data(&()).await.unwrap();
            session.header(b"From", b" x").await.unwrap();
            session.eoh(&()).await.unwrap();
            raw.wait_for_answers(7);
            match session.end(&(), &mut Vec::new()).await.unwrap_err() {
                EndError::Filter(failure) => failure,
                EndError::NewBody(error) => panic!("{error}"),
            }
        };
        assert!(matches!(failure.cause, Cause::Unasked(_)), "{steps}: {failure:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_agreed() {
    let wrong = |got| move |cause: &Cause| matches!(cause, Cause::Negotiation(NegotiationError::WrongVersion { got: version, .. }) if *version == got);
    type Is = Box<dyn Fn(&Cause) -> bool>;
    #[rustfmt::skip]
    let cases: Vec<(&str, Vec<u8>, Is)> = vec![
        ("too old",                 say(&[choose(1, Actions::NONE, Steps::NONE)]), Box::new(wrong(1))),
        ("too new",                 say(&[choose(7, Actions::NONE, Steps::NONE)]), Box::new(wrong(7))),
        ("actions not offered",     say(&[choose(6, Actions::from_bits(0x400), Steps::NONE)]), Box::new(|cause| matches!(cause, Cause::Negotiation(NegotiationError::Actions(_))))),
        ("steps not offered",       say(&[choose(6, Actions::NONE, Steps::DATA_1_MIB)]), Box::new(|cause| matches!(cause, Cause::Negotiation(NegotiationError::Steps(_))))),
        ("an answer instead",       say(&[Reply::Continue]), Box::new(|cause| matches!(cause, Cause::Unasked(_)))),
        ("garbage",                 b"\0\0\0\x01z".to_vec(), Box::new(|cause| matches!(cause, Cause::Reply(_)))),
        ("another protocol",        b"HTTP/1.1 400\r\n".to_vec(), Box::new(|cause| matches!(cause, Cause::Frame(_)))),
    ];
    for (shows, octets, is) in cases {
        let raw = Raw::start(move |_, _| Act::Say(octets.clone()));
        let (service, notices) = service(raw.filter());
        let failure = service.negotiate().await.unwrap_err();
        assert_eq!(failure.during, During::Negotiation, "{shows}");
        assert!(is(&failure.cause), "{shows}: {failure:?}");
        let failure = deliver(&service, b"").await.failure();
        assert!(
            matches!(failure.cause, Cause::Paused(_)),
            "{shows}: asked once at connect, then there is a pause"
        );
        assert_eq!(notices.lock().unwrap().len(), 1, "{shows}");
    }
}

#[tokio::test]
async fn nobody_there() {
    let folder = tempfile::TempDir::new().unwrap();
    let address = format!("unix:{}", folder.path().join("none").display())
        .parse()
        .unwrap();
    let mut filter = Filter::new("none", address);
    for address in [
        None,
        Some(format!(
            "inet:127.0.0.1:{}",
            postern_testkit::process::free_port()
        )),
    ] {
        if let Some(address) = address {
            filter.address = address.parse().unwrap();
        }
        let (service, notices) = service(filter.clone());
        let failure = service.negotiate().await.unwrap_err();
        assert!(matches!(failure.cause, Cause::Unreachable(_)), "{failure:?}");
        let mut session = service.session();
        let failure = session.connect("mx.example", PEER, &()).await.unwrap_err();
        assert_eq!(
            (failure.during, failure.kind()),
            (During::Opening, Some(Kind::Unreachable))
        );
        for _ in 0..3 {
            let failure = message(&mut session, b"", &()).await.failure();
            assert!(
                matches!(failure.cause, Cause::Paused(_) | Cause::Unreachable(_)),
                "{failure:?}"
            );
        }
        assert!(service.is_down());
        assert_eq!(
            notices.lock().unwrap().len(),
            1,
            "told once, however many messages meet it"
        );
    }
}

#[tokio::test]
async fn the_rest_of_a_message_fails_with_it() {
    let raw = Raw::start(|connection, command| match event(command) {
        Some(Event::Mail) if connection == 1 => Act::Die(Vec::new()),
        _ => content(command),
    });
    let (service, _) = service(raw.filter());
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    session.mail("<>", &[], &()).await.unwrap_err();
    for _ in 0..2 {
        let failure = session.rcpt("<a@example.org>", &[], true, &()).await.unwrap_err();
        assert!(matches!(failure.cause, Cause::FailedBefore), "{failure:?}");
    }
    let failure = session.body(b"x").await.unwrap_err();
    assert!(matches!(failure.cause, Cause::FailedBefore), "{failure:?}");
    session.end(&(), &mut Vec::new()).await.unwrap_err();
    assert_eq!(raw.connections(), 1);
}

/// A caller that gives up in the middle of a step leaves no connection behind on which an answer is still due.
#[tokio::test]
async fn a_step_dropped_half_way() {
    let raw = Raw::start(|connection, command| match event(command) {
        Some(Event::Rcpt) if connection == 1 => Act::Hang,
        _ => content(command),
    });
    let (service, _) = service(raw.filter());
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    session.mail("<>", &[], &()).await.unwrap();
    let step = session.rcpt("<a@example.org>", &[], true, &());
    tokio::time::timeout(Duration::from_millis(20), step)
        .await
        .unwrap_err();
    let failure = session.data(&()).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Closed), "{failure:?}");
    let (end, _) = message(&mut session, b"", &()).await.end();
    assert_eq!(end.verdict, Verdict::Continue);
    assert_eq!(raw.connections(), 2);
}
