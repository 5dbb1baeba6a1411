//! Pieces of bodies that are gathered for filters take memory from the room that messages have, and are small where there is none.

use std::sync::{Arc, Mutex};

use postern_testkit::milter::{ScriptedMilter, content};

use super::support::{greeted, milter, send, start};
use crate::harness::Options;

/// The lengths of the pieces that a filter is sent of a body of 200,000 octets, where strangers may have so much memory.
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
    // What was gathered before it became short goes out as it is: 40 KiB and 32 KiB that are free, each octet counted twice.
    assert!(short.iter().all(|length| *length <= 36 << 10), "{short:?}");
    assert!(
        short.iter().filter(|length| **length == 4 << 10).count() > 50,
        "{short:?}"
    );
}
