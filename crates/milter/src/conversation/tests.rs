//! Tables of what may be sent where, and of which answers are legal.

use super::*;
use crate::bits::Actions;
use crate::macros::MacroLists;
use crate::negotiation::{Offer, Options, agree};

fn conversation(actions: Actions, steps: Steps) -> Conversation {
    let options = Options {
        version: 6,
        actions,
        steps,
        lists: Vec::new(),
    };
    Conversation::new(agree(Offer::default(), &options, &[]).unwrap())
}

fn plain() -> Conversation {
    conversation(Actions::ALL, Steps::SKIP)
}

/// The events before one, so that it is allowed.
fn before(event: Event) -> &'static [Event] {
    const WHOLE: [Event; 8] = [
        Event::Connect,
        Event::Helo,
        Event::Mail,
        Event::Rcpt,
        Event::Data,
        Event::Header,
        Event::EndOfHeader,
        Event::Body,
    ];
    &WHOLE[..match event {
        Event::Connect => 0,
        Event::Helo => 1,
        Event::Mail | Event::Unknown => 2,
        Event::Rcpt | Event::RejectedRcpt => 3,
        Event::Data => 4,
        Event::Header => 5,
        Event::EndOfHeader => 6,
        Event::Body => 7,
        Event::End => 8,
    }]
}

/// Goes through the events and answers each that is asked with "continue".
fn walk(conversation: &mut Conversation, events: &[Event]) {
    for &event in events {
        if conversation.plan(event).unwrap() == Plan::Ask {
            let answer = conversation.answer(event, &Reply::Continue);
            assert_eq!(answer, Ok(Answer::Final(Verdict::Continue)));
        }
    }
}

#[test]
fn what_may_follow_what() {
    #[rustfmt::skip]
    let cases = [
        // after the events before     may come (C connect, H helo, M mail, R rcpt, r rejected, T data, U unknown, L header, N end of header, B body, E end)
        (Event::Connect,               "C"),
        (Event::Helo,                  "HMU"),
        (Event::Mail,                  "HMU"),
        (Event::Rcpt,                  "RrU"),
        (Event::Data,                  "RrTU"),
        (Event::Header,                "LN"),
        (Event::EndOfHeader,           "LN"),
        (Event::Body,                  "BE"),
        (Event::End,                   "BE"),
    ];
    let letters = "CHMRrTULNBE".chars();
    for (place, expected) in cases {
        let mut conversation = plain();
        walk(&mut conversation, before(place));
        let may: String = Event::ALL
            .into_iter()
            .zip(letters.clone())
            .filter(|(event, _)| conversation.clone().plan(*event).is_ok())
            .map(|(_, letter)| letter)
            .collect();
        assert_eq!(may, expected, "before {place}");
    }
    let mut conversation = plain();
    walk(&mut conversation, before(Event::End));
    walk(&mut conversation, &[Event::End, Event::Mail, Event::Rcpt]);
    assert_eq!(conversation.plan(Event::Mail), Err(OutOfOrder(Event::Mail)));
}

#[test]
fn steps_that_a_filter_does_without() {
    #[rustfmt::skip]
    let cases = [
        (Event::Connect,        Steps::NO_CONNECT,          Steps::QUIET_CONNECT,           Plan::Macros),
        (Event::Helo,           Steps::NO_HELO,             Steps::QUIET_HELO,              Plan::Macros),
        (Event::Mail,           Steps::NO_MAIL,             Steps::QUIET_MAIL,              Plan::Macros),
        (Event::Rcpt,           Steps::NO_RCPT,             Steps::QUIET_RCPT,              Plan::Macros),
        (Event::Data,           Steps::NO_DATA,             Steps::QUIET_DATA,              Plan::Macros),
        (Event::EndOfHeader,    Steps::NO_END_OF_HEADER,    Steps::QUIET_END_OF_HEADER,     Plan::Macros),
        (Event::Unknown,        Steps::NO_UNKNOWN,          Steps::QUIET_UNKNOWN,           Plan::Pass),
        (Event::Header,         Steps::NO_HEADER,           Steps::QUIET_HEADER,            Plan::Pass),
        (Event::Body,           Steps::NO_BODY,             Steps::QUIET_BODY,              Plan::Pass),
    ];
    for (event, without, quiet, passed) in cases {
        for (steps, expected) in [
            (Steps::NONE, Plan::Ask),
            (quiet, Plan::Tell),
            (without, passed),
            (without | quiet, passed),
        ] {
            let mut conversation = conversation(Actions::NONE, steps);
            walk(&mut conversation, before(event));
            assert_eq!(conversation.plan(event), Ok(expected), "{event} with {steps}");
        }
    }
    let mut silent = conversation(Actions::NONE, Version::NEWEST.steps());
    walk(&mut silent, before(Event::End));
    assert_eq!(
        silent.plan(Event::End),
        Ok(Plan::Ask),
        "the end is always told and answered"
    );
}

#[test]
fn refused_recipients_go_to_who_wants_them() {
    #[rustfmt::skip]
    let cases = [
        (Steps::NONE,                                           Plan::Pass),
        (Steps::REJECTED_RECIPIENTS,                            Plan::Ask),
        (Steps::REJECTED_RECIPIENTS.with(Steps::QUIET_RCPT),    Plan::Tell),
        (Steps::REJECTED_RECIPIENTS.with(Steps::NO_RCPT),       Plan::Pass),
    ];
    for (steps, expected) in cases {
        let mut conversation = conversation(Actions::NONE, steps);
        walk(&mut conversation, before(Event::RejectedRcpt));
        assert_eq!(conversation.plan(Event::RejectedRcpt), Ok(expected), "{steps}");
        assert!(conversation.plan(Event::Data).is_err(), "no recipient yet");
    }
}

/// After an unknown command inside a message `libmilter` waits for `DATA`, and accepts no field before that.
#[test]
fn unknown_commands_do_not_lead_astray() {
    for (steps, expected) in [(Steps::NONE, Plan::Ask), (Steps::NO_DATA, Plan::Pass)] {
        let mut conversation = conversation(Actions::NONE, steps);
        walk(&mut conversation, before(Event::Data));
        assert_eq!(conversation.plan(Event::Unknown), Ok(expected), "{steps}");
        let mut conversation = self::conversation(Actions::NONE, steps);
        walk(&mut conversation, before(Event::Mail));
        assert_eq!(
            conversation.plan(Event::Unknown),
            Ok(Plan::Ask),
            "outside of a message"
        );
    }
}

fn changes() -> Vec<(Reply<'static>, Actions)> {
    vec![
        (
            Reply::AddHeader {
                name: b"X",
                value: b"a",
            },
            Actions::ADD_HEADER,
        ),
        (
            Reply::InsertHeader {
                index: 0,
                name: b"X",
                value: b"a",
            },
            Actions::ADD_HEADER,
        ),
        (
            Reply::ChangeHeader {
                index: 1,
                name: b"X",
                value: b"a",
            },
            Actions::CHANGE_HEADER,
        ),
        (Reply::ReplaceBody(b"a"), Actions::REPLACE_BODY),
        (Reply::AddRecipient(b"<a@b>"), Actions::ADD_RECIPIENT),
        (
            Reply::AddRecipientWithParameters {
                recipient: b"<a@b>",
                parameters: None,
            },
            Actions::ADD_RECIPIENT_WITH_PARAMETERS,
        ),
        (Reply::RemoveRecipient(b"<a@b>"), Actions::REMOVE_RECIPIENT),
        (
            Reply::ChangeSender {
                sender: b"<>",
                parameters: None,
            },
            Actions::CHANGE_SENDER,
        ),
        (Reply::Quarantine(b"a"), Actions::QUARANTINE),
    ]
}

#[test]
fn which_answers_are_legal_where() {
    let code = Reply::parse(b'y', b"550 5.7.1 no\0").unwrap();
    #[rustfmt::skip]
    let cases = [
        // answer                       legal at
        (Reply::Continue,               "CHMRrTULNBE"),
        (Reply::Accept,                 "CHMRrTULNBE"),
        (Reply::Reject,                 "CHMRrTULNBE"),
        (Reply::Tempfail,               "CHMRrTULNBE"),
        (code,                          "CHMRrTULNBE"),
        (Reply::ConnectionFailure,      "CHMRrTULNBE"),
        (Reply::Shutdown,               "CHMRrTULNBE"),
        (Reply::Progress,               "CHMRrTULNBE"),
        (Reply::Discard,                "MRrTLNBE"),
        (Reply::Skip,                   "RrLB"),
        (Reply::Negotiate(Options::default()), ""),
        (Reply::SetMacroList { stage: 0, names: b"" }, ""),
    ];
    let changes = changes().into_iter().map(|(reply, _)| (reply, "E"));
    for (reply, expected) in cases.into_iter().chain(changes) {
        let mut legal = String::new();
        for (event, letter) in Event::ALL.into_iter().zip("CHMRrTULNBE".chars()) {
            let mut conversation = conversation(Actions::ALL, Steps::SKIP | Steps::REJECTED_RECIPIENTS);
            walk(&mut conversation, before(event));
            assert_eq!(conversation.plan(event), Ok(Plan::Ask));
            match conversation.answer(event, &reply) {
                Ok(_) => legal.push(letter),
                Err(fault) => assert_eq!(
                    fault,
                    Fault::OutOfTurn {
                        event,
                        answer: reply.word()
                    }
                ),
            }
        }
        assert_eq!(legal, expected, "{}", reply.word());
    }
}

#[test]
fn changes_that_were_not_agreed() {
    for (reply, action) in changes() {
        for (actions, legal) in [(action, true), (Actions::ALL.without(action), false)] {
            let mut conversation = conversation(actions, Steps::NONE);
            walk(&mut conversation, before(Event::End));
            conversation.plan(Event::End).unwrap();
            let answer = conversation.answer(Event::End, &reply);
            let not_agreed = Err(Fault::NotAgreed { answer: reply.word() });
            assert_eq!(answer.is_ok(), legal, "{}", reply.word());
            assert!(legal || answer == not_agreed);
        }
    }
}

#[test]
fn skipping() {
    let mut conversation = conversation(Actions::NONE, Steps::NONE);
    walk(&mut conversation, before(Event::Body));
    conversation.plan(Event::Body).unwrap();
    assert_eq!(
        conversation.answer(Event::Body, &Reply::Skip),
        Err(Fault::NotAgreed { answer: "skip" }),
        "never taken for continue"
    );

    for (event, after) in [
        (Event::Rcpt, &[Event::Data][..]),
        (Event::Header, &[Event::EndOfHeader]),
        (Event::Body, &[Event::End]),
    ] {
        let mut conversation = plain();
        walk(&mut conversation, before(event));
        conversation.plan(event).unwrap();
        let answer = conversation.answer(event, &Reply::Skip);
        assert_eq!(answer, Ok(Answer::Final(Verdict::Continue)));
        assert_eq!(conversation.plan(event), Ok(Plan::Pass), "no more of {event}");
        assert_eq!(conversation.plan(after[0]), Ok(Plan::Ask), "all else as before");
        conversation.abort();
        walk(&mut conversation, &before(event)[2..]);
        assert_eq!(
            conversation.plan(event),
            Ok(Plan::Ask),
            "the next message has {event} again"
        );
    }
}

#[test]
fn who_is_done_with_what() {
    #[rustfmt::skip]
    let cases = [
        // at                   answer                          done with: message, session     has to be told that the message is given up
        (Event::Connect,        Reply::Accept,                  (true,  true),      false),
        (Event::Connect,        Reply::Reject,                  (true,  true),      false),
        (Event::Helo,           Reply::Accept,                  (true,  true),      false),
        (Event::Helo,           Reply::Reject,                  (false, false),     false),
        (Event::Unknown,        Reply::Reject,                  (false, false),     false),
        (Event::Mail,           Reply::Continue,                (false, false),     true),
        (Event::Mail,           Reply::Accept,                  (true,  false),     false),
        (Event::Mail,           Reply::Reject,                  (true,  false),     false),
        (Event::Rcpt,           Reply::Reject,                  (false, false),     true),
        (Event::Rcpt,           Reply::Accept,                  (true,  false),     false),
        (Event::Rcpt,           Reply::Discard,                 (true,  false),     true),
        (Event::Data,           Reply::Tempfail,                (true,  false),     false),
        (Event::Header,         Reply::Accept,                  (true,  false),     false),
        (Event::Body,           Reply::Discard,                 (true,  false),     false),
        (Event::Body,           Reply::Continue,                (false, false),     true),
        (Event::End,            Reply::Continue,                (false, false),     false),
        (Event::End,            Reply::Accept,                  (true,  false),     false),
        (Event::End,            Reply::Shutdown,                (true,  true),      false),
        (Event::Rcpt,           Reply::ConnectionFailure,       (true,  true),      false),
    ];
    for (event, reply, (message, session), abort) in cases {
        let shows = format!("{} at {event}", reply.word());
        let mut conversation = plain();
        walk(&mut conversation, before(event));
        conversation.plan(event).unwrap();
        conversation.answer(event, &reply).unwrap();
        assert_eq!(conversation.is_done(), message, "{shows}");
        assert_eq!(conversation.is_done_with_session(), session, "{shows}");
        assert_eq!(conversation.abort(), abort, "{shows}");
        assert!(!conversation.abort(), "{shows}: told once");
        let again = if session { Plan::Pass } else { Plan::Ask };
        assert_eq!(
            conversation.plan(Event::Mail),
            Ok(again),
            "{shows}: the next message"
        );
    }
}

#[test]
fn nothing_is_given_up_outside_of_a_message() {
    let mut conversation = plain();
    walk(&mut conversation, before(Event::Mail));
    assert!(!conversation.abort());
    walk(&mut conversation, &before(Event::End)[2..]);
    walk(&mut conversation, &[Event::End]);
    assert!(!conversation.abort());
    let mut deaf = self::conversation(Actions::NONE, Steps::NO_MAIL | Steps::NO_RCPT);
    walk(&mut deaf, before(Event::Data));
    assert!(!deaf.abort(), "it has not been told of any message");
}

#[test]
fn which_connections_can_be_used_again() {
    let whole = |steps: Steps, version: u32, last: &Reply<'_>| {
        let options = Options {
            version,
            actions: Actions::NONE,
            steps,
            lists: Vec::new(),
        };
        let mut conversation = Conversation::new(agree(Offer::default(), &options, &[]).unwrap());
        walk(&mut conversation, before(Event::End));
        conversation.plan(Event::End).unwrap();
        conversation.answer(Event::End, last).unwrap();
        conversation
    };
    assert!(whole(Steps::NONE, 6, &Reply::Continue).is_reusable());
    assert!(
        !whole(Steps::NONE, 5, &Reply::Continue).is_reusable(),
        "knows no such command"
    );
    assert!(
        !whole(Steps::NONE, 6, &Reply::Accept).is_reusable(),
        "libmilter would not hear it"
    );
    assert!(!whole(Steps::NONE, 6, &Reply::Reject).is_reusable());
    assert!(
        !whole(Steps::NO_CONNECT, 6, &Reply::Continue).is_reusable(),
        "nothing would open it"
    );
    let mut conversation = whole(Steps::NONE, 6, &Reply::Continue);
    walk(&mut conversation, &[Event::Mail]);
    assert!(!conversation.is_reusable(), "inside of a message");
    assert!(conversation.abort());
    assert!(!conversation.is_reusable(), "a message given up");
    assert!(!plain().is_reusable(), "no message yet");

    let mut conversation = whole(Steps::NONE, 6, &Reply::Continue);
    conversation.restart();
    assert!(!conversation.is_reusable());
    assert_eq!(
        conversation.plan(Event::Helo),
        Err(OutOfOrder(Event::Helo)),
        "connect comes first"
    );
    assert_eq!(conversation.plan(Event::Connect), Ok(Plan::Ask));
}

#[test]
fn macros_go_along() {
    let mut conversation = plain();
    let known = [("j", "mx.example"), ("{rcpt_addr}", "a@b"), ("i", "q1")];
    walk(&mut conversation, &[Event::Connect]);
    let (stage, values) = conversation.macros(Event::Connect, &known).unwrap();
    assert_eq!(
        (stage, values),
        (MacroStage::Connect, vec![("j", "mx.example".into())])
    );
    assert_eq!(conversation.macros(Event::Header, &known), None);
    let (_, values) = conversation.macros(Event::Rcpt, &known).unwrap();
    assert_eq!(values, [("{rcpt_addr}", "a@b".into())]);
    let (_, values) = conversation.macros(Event::Rcpt, &()).unwrap();
    assert_eq!(values.len(), 3, "those of the recipient before must not stay");
    conversation.restart();
    let (_, values) = conversation.macros(Event::Rcpt, &()).unwrap();
    assert_eq!(values.len(), 3, "nor those of the session before");
    assert!(values.iter().all(|(_, value)| value.is_empty()));
    assert_eq!(conversation.macros(Event::Mail, &()), None, "none were sent");
    assert_eq!(
        *conversation.agreement(),
        Agreement {
            macros: MacroLists::default(),
            ..conversation.agreement().clone()
        }
    );
}
