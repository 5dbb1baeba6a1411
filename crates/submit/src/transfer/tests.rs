use std::collections::VecDeque;
use std::io::Cursor;

use postern_mail::Notify;

use super::*;

/// A server that follows a script, and keeps what it receives.
#[derive(Default)]
struct Server {
    /// Replies, in order.
    replies: VecDeque<&'static str>,
    heard: Vec<u8>,
}

impl Read for Server {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let Some(reply) = self.replies.pop_front() else {
            return Ok(0);
        };
        piece[..reply.len()].copy_from_slice(reply.as_bytes());
        Ok(reply.len())
    }
}

impl Write for Server {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.heard.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const HELLO: &str = "250-h.example Hello anna@x.example, pleased to meet you\r\n250 CHUNKING\r\n";

fn run(handover: &Handover, replies: &[&'static str]) -> (Result<Outcome, TransferError>, String) {
    let mut server = Server {
        replies: replies.iter().copied().collect(),
        heard: Vec::new(),
    };
    let header = Header::from_octets(b"From: anna\r\n".to_vec());
    let order = Order {
        user: "anna",
        handover,
        header: &header,
        body: &mut Cursor::new(b"..body\r\n".as_slice()),
        body_at: 2,
        body_len: 6,
    };
    let outcome = transfer(&mut server, order, &mut |_| {});
    (outcome, String::from_utf8(server.heard).unwrap())
}

fn to(recipients: &[&str]) -> Handover {
    Handover {
        recipients: recipients.iter().map(|one| (*one).to_owned()).collect(),
        ..Handover::default()
    }
}

#[test]
fn a_message_is_handed_over() {
    let handover = Handover {
        notify: Notify::Never,
        ret: Some(Ret::Headers),
        envid: Some("a=b".into()),
        ..to(&["bea", "carl@y.example"])
    };
    let replies = [
        "220 hi\r\n",
        HELLO,
        "250 ok\r\n",
        "250 ok\r\n250 ok\r\n",
        "250 2.0.0 taken as 1\r\n",
    ];
    let (outcome, heard) = run(&handover, &replies);
    let outcome = outcome.unwrap();
    assert!(
        outcome.failed().is_empty() && outcome.later().is_empty(),
        "{outcome:?}"
    );
    assert_eq!(
        heard,
        "EHLO localhost\r\nMAIL FROM:<anna> SIZE=30 BODY=8BITMIME RET=HDRS ENVID=a+3Db\r\n\
         RCPT TO:<bea> NOTIFY=NEVER\r\nRCPT TO:<carl@y.example> NOTIFY=NEVER\r\n\
         BDAT 30 LAST\r\nFrom: anna@x.example\r\n\r\nbody\r\nQUIT\r\n"
    );
}

#[test]
fn refusals_are_of_whom_they_are_about() {
    let handover = to(&["a", "b", "c"]);
    let replies = [
        "220 hi\r\n",
        HELLO,
        "250 ok\r\n",
        "550 5.1.1 no\r\n250 ok\r\n451 4.3.0 later\r\n",
        "250 taken\r\n",
    ];
    let outcome = run(&handover, &replies).0.unwrap();
    let names = |refusals: Vec<Refusal>| refusals.into_iter().map(|one| one.recipient).collect::<Vec<_>>();
    assert_eq!(
        (names(outcome.failed()), names(outcome.later())),
        (vec!["a".to_owned()], vec!["c".to_owned()])
    );
    #[rustfmt::skip]
    let cases: [(&str, &[&'static str], usize, usize); 5] = [
        // what is refused         replies                                                                     failed  later
        ("the session",            &["421 4.3.2 busy\r\n"],                                                     0, 3),
        ("the sender",             &["220 hi\r\n", HELLO, "553 5.7.1 not yours\r\n"],                           3, 0),
        ("the sender, for now",    &["220 hi\r\n", HELLO, "450 4.7.1 slow down\r\n"],                           0, 3),
        ("all recipients",         &["220 hi\r\n", HELLO, "250 ok\r\n", "550 no\r\n550 no\r\n450 no\r\n", "250 ok\r\n"], 2, 1),
        ("the message",            &["220 hi\r\n", HELLO, "250 ok\r\n", "250 a\r\n250 b\r\n250 c\r\n", "552 5.3.4 large\r\n"], 3, 0),
    ];
    for (shows, replies, failed, later) in cases {
        let outcome = run(&handover, replies).0.unwrap();
        assert_eq!(
            (outcome.failed().len(), outcome.later().len()),
            (failed, later),
            "{shows}"
        );
    }
}

#[test]
fn more_than_one_transaction() {
    let handover = to(&["a", "b", "c"]);
    let replies = [
        "220 hi\r\n",
        HELLO,
        "250 ok\r\n",
        "250 ok\r\n250 ok\r\n452 4.5.3 too many recipients\r\n",
        "250 taken\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "250 taken again\r\n",
    ];
    let (outcome, heard) = run(&handover, &replies);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.replies.len(), 2);
    assert!(
        outcome.fates.iter().all(|(_, fate)| *fate == Fate::Taken),
        "{outcome:?}"
    );
    assert_eq!(heard.matches("BDAT").count(), 2, "{heard}");
    assert_eq!(heard.matches("RCPT TO:<c>").count(), 2, "{heard}");
}

#[test]
fn a_broken_connection_is_no_answer() {
    let handover = to(&["a"]);
    for len in 0..4 {
        let replies = ["220 hi\r\n", HELLO, "250 ok\r\n", "250 ok\r\n", "250 taken\r\n"];
        assert!(
            matches!(run(&handover, &replies[..len]).0, Err(TransferError::Stream(_))),
            "{len}"
        );
    }
    let bad = to(&["a>\r\nRCPT TO:<b"]);
    let (outcome, heard) = run(&bad, &["220 hi\r\n"]);
    assert!(matches!(outcome, Err(TransferError::Word(_))));
    assert_eq!(heard, "");
}
