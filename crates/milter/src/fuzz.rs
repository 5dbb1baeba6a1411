//! The body of the fuzz target: what a hostile filter can send.

use bytes::BytesMut;

use crate::bits::{DataSize, Version};
use crate::change::Change;
use crate::command::Command;
use crate::conversation::{Answer, Conversation, Event, Plan, Verdict};
use crate::edit::{self, Field};
use crate::frame::{self, DATA_MAX};
use crate::lines::BodyLines;
use crate::negotiation::{Offer, agree};
use crate::reply::Reply;

/// A whole session in which the filter sends `input`, all at once.
///
/// # Panics
///
/// If the result violates an invariant: a change that breaks a message, an answer that was not agreed, a packet that is not read
/// as it was written.
pub fn session(input: &[u8]) {
    let mut wire = BytesMut::from(input);
    let mut conversation: Option<Conversation> = None;
    let mut changes = Vec::new();
    let mut body = (BodyLines::default(), Vec::new());
    let mut waiting = None;
    let mut script = SCRIPT.iter().cycle().copied();
    let mut told = 0;
    while let Ok(Some(packet)) = frame::take(&mut wire, DATA_MAX) {
        if let Ok(command) = Command::parse(packet.name, &packet.data) {
            written_as_read(&command);
        }
        let Ok(reply) = Reply::parse(packet.name, &packet.data) else {
            return;
        };
        read_as_written(&reply);
        let Some(conversation) = &mut conversation else {
            let Reply::Negotiate(options) = &reply else { return };
            let offer = Offer::new(Version::NEWEST, DataSize::Huge);
            let Ok(agreement) = agree(offer, options, &[]) else {
                return;
            };
            assert!(offer.actions.has(agreement.actions));
            conversation = Some(Conversation::new(agreement));
            continue;
        };
        // The next step that the filter must answer.
        let event = loop {
            if let Some(event) = waiting {
                break event;
            }
            told += 1;
            if told > 1_000 {
                return;
            }
            let Some(step) = script.next() else { return };
            match step {
                None => {
                    conversation.abort();
                    if conversation.is_done_with_session() {
                        return;
                    }
                }
                Some(event) => match conversation.plan(event) {
                    Ok(Plan::Ask) => waiting = Some(event),
                    Ok(_) => {}
                    Err(_) => assert_eq!(event, Event::Connect, "{event} is in order"),
                },
            }
        };
        let Ok(answer) = conversation.answer(event, &reply) else {
            return;
        };
        match answer {
            Answer::Progress => {}
            Answer::Change(change) => changes.push(change),
            Answer::BodyPiece(piece) => body.0.feed(piece, &mut body.1),
            Answer::Final(verdict) => {
                waiting = None;
                assert!(event.in_message() || verdict != Verdict::Discard);
            }
        }
    }
    body.0.finish(&mut body.1);
    assert!(line_ends_in_pairs(&body.1));
    safe(&changes);
}

/// The steps of a session with two messages in it; `None` gives one up.
const SCRIPT: [Option<Event>; 14] = [
    Some(Event::Connect),
    Some(Event::Helo),
    Some(Event::Unknown),
    Some(Event::Mail),
    Some(Event::Rcpt),
    Some(Event::RejectedRcpt),
    Some(Event::Data),
    Some(Event::Header),
    Some(Event::EndOfHeader),
    Some(Event::Body),
    Some(Event::End),
    Some(Event::Mail),
    Some(Event::Rcpt),
    None,
];

fn written_as_read(command: &Command<'_>) {
    let mut wire = BytesMut::new();
    command.put(&mut wire);
    assert_eq!(Command::parse(wire[4], &wire[5..]).as_ref(), Ok(command));
}

fn read_as_written(reply: &Reply<'_>) {
    let mut wire = BytesMut::new();
    reply.put(&mut wire);
    assert_eq!(Reply::parse(wire[4], &wire[5..]).as_ref(), Ok(reply));
}

fn line_ends_in_pairs(octets: &[u8]) -> bool {
    octets.iter().enumerate().all(|(place, octet)| match octet {
        b'\r' => octets.get(place + 1) == Some(&b'\n'),
        b'\n' => place > 0 && octets[place - 1] == b'\r',
        _ => true,
    })
}

fn safe(changes: &[Change]) {
    let header: [(&[u8], &[u8]); 3] = [(b"Received", b" own"), (b"Subject", b" a\r\n b"), (b"To", b" x")];
    for field in edit::fields(header, 1, changes) {
        if let Field::New { name, value } = field {
            assert!(!name.is_empty() && !name.contains(&b':') && name.iter().all(u8::is_ascii_graphic));
            assert!(line_ends_in_pairs(value));
            let mut lines = value.split(|&octet| octet == b'\n').skip(1);
            assert!(lines.all(|line| matches!(line.first(), Some(b' ' | b'\t'))));
        }
    }
    let _ = edit::recipients(["<a@example.org>"], changes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::negotiation::Options;

    #[test]
    fn a_small_corpus() {
        for (name, seed) in corpus() {
            session(&seed);
            for cut in 0..seed.len() {
                session(&seed[..cut]);
            }
            for (place, bit) in (0..seed.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
                let mut flipped = seed.clone();
                flipped[place] ^= 1 << bit;
                session(&flipped);
            }
            assert!(!seed.is_empty(), "{name}");
        }
    }

    /// Sessions of correct filters, from which a fuzzer starts.
    fn corpus() -> Vec<(&'static str, Vec<u8>)> {
        let options = Options {
            version: 6,
            actions: crate::Actions::ALL,
            steps: crate::Steps::SKIP,
            lists: vec![(2, b"i {auth_type}".to_vec())],
        };
        let session = |replies: &[Reply<'_>]| {
            let mut wire = BytesMut::new();
            Reply::Negotiate(options.clone()).put(&mut wire);
            for reply in replies {
                reply.put(&mut wire);
            }
            wire.to_vec()
        };
        let nine = vec![Reply::Continue; 9];
        let mut all = nine.clone();
        all.extend([
            Reply::Progress,
            Reply::AddHeader {
                name: b"X",
                value: b"a\r\nb",
            },
            Reply::InsertHeader {
                index: 0,
                name: b"X",
                value: b"",
            },
            Reply::ChangeHeader {
                index: 1,
                name: b"subject",
                value: b"\nz",
            },
            Reply::ChangeHeader {
                index: 1,
                name: b"To",
                value: b"",
            },
            Reply::ReplaceBody(b"a\rb\nc"),
            Reply::AddRecipient(b"<b@example.org>"),
            Reply::AddRecipientWithParameters {
                recipient: b"<c@example.org>",
                parameters: Some(b"NOTIFY=NEVER"),
            },
            Reply::RemoveRecipient(b"<a@example.org>"),
            Reply::ChangeSender {
                sender: b"<>",
                parameters: None,
            },
            Reply::Quarantine(b"why"),
            Reply::Accept,
        ]);
        let mut refused = nine[..3].to_vec();
        refused.push(Reply::parse(b'y', b"550-5.7.1 a\r\n550 5.7.1 b\0").unwrap());
        refused.push(Reply::Skip);
        vec![
            ("quiet", session(&nine)),
            ("changes", session(&all)),
            ("refused", session(&refused)),
        ]
    }

    proptest! {
        #[test]
        fn packets_of_any_kind(packets in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..24)), 0..24)) {
            let mut wire = BytesMut::new();
            Reply::Negotiate(Options { version: 6, actions: crate::Actions::ALL, ..Options::default() }).put(&mut wire);
            for (name, data) in packets {
                frame::put(&mut wire, name, |out| out.extend_from_slice(&data));
            }
            session(&wire);
        }
    }
}
