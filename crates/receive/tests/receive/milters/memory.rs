//! Pieces of bodies that are gathered for filters count towards the memory for messages, and are small when that is short.

use std::sync::{Arc, Mutex};

use postern_testkit::milter::{Act, ScriptedMilter, content, packet};

use super::support::{greeted, milter, send, start};
use crate::harness::Options;

/// The lengths of the pieces of a body of 200,000 octets that a filter is sent, when strangers may have this much memory.
fn pieces(memory: u64) -> Vec<usize> {
    let lengths: Arc<Mutex<Vec<usize>>> = Arc::default();
    let noted = Arc::clone(&lengths);
    let filter = ScriptedMilter::start(move |_, letter, data| {
        if letter == b'B' {
            noted.lock().unwrap().push(data.len());
        }
        content(letter)
    });
    let mut options = Options::mx();
    options.settings.room.memory = 2 * memory;
    let (server, _notes) = start(options, vec![milter("looks", &filter.address())]);
    let body = format!("Subject: x\r\n\r\n{}", "0123456789abcdef\r\n".repeat(11_111));
    for _ in 0..2 {
        let reply = send(&mut greeted(&server), &body);
        assert!(reply.starts_with("250 "), "{memory}: {reply}");
    }
    let lengths = lengths.lock().unwrap().clone();
    assert_eq!(
        lengths.iter().sum::<usize>(),
        2 * 18 * 11_111,
        "{memory}: nothing is lost"
    );
    lengths
}

#[test]
fn pieces_are_small_where_memory_is_short() {
    let usual = pieces(64 << 20);
    assert_eq!(usual.iter().max(), Some(&65_535));
    assert_eq!(usual.len(), 8, "four for each message: {usual:?}");
    let short = pieces(40 << 10);
    // What was gathered before memory became short is sent as it is: 40 KiB and the 32 KiB that need no reservation, each octet
    // counted twice.
    assert!(short.iter().all(|length| *length <= 36 << 10), "{short:?}");
    assert!(
        short.iter().filter(|length| **length == 4 << 10).count() > 50,
        "{short:?}"
    );
}

/// A filter's changes take memory until the message is queued: if there is not enough, the reply is 452, and the filter does not
/// count as failed.
#[test]
fn changes_need_room() {
    let filter = ScriptedMilter::start(|_, letter, _| match letter {
        b'E' => {
            let field = packet(b'h', &[b"X-Long\0", &[b'x'; 900][..], b"\0"].concat());
            Act::Say([field.repeat(400), packet(b'c', b"")].concat())
        }
        _ => content(letter),
    });
    for (memory, code) in [(64 << 20, "250 2.0.0 "), (256 << 10, "452 4.3.1 ")] {
        let mut options = Options::mx();
        options.settings.room.memory = 2 * memory;
        let (server, notes) = start(options, vec![milter("adds", &filter.address())]);
        let mut client = greeted(&server);
        let reply = send(&mut client, "Subject: x\r\n\r\nx\r\n");
        assert!(reply.starts_with(code), "{memory}: {reply}");
        assert!(notes.all("filter fails ").is_empty());
        let queued = if code.starts_with("250") {
            server.message(&reply).1.matches("X-Long").count()
        } else {
            server.queued() as usize
        };
        assert_eq!(queued, if code.starts_with("250") { 400 } else { 0 });
    }
}
