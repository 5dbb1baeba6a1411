use bytes::BytesMut;
use postern_mail::{Domain, Mailbox, ReversePath};

use super::*;
use crate::client::ReplyParser;

const PLAIN: &str = "";
const PIPELINING: &str = "PIPELINING";
const CHUNKING: &str = "CHUNKING";
const BOTH: &str = "PIPELINING CHUNKING";

/// Plays `replies` to a transaction with two recipients, and shows what was sent (`|` where a reply is waited for), and the end.
fn play(protocol: Protocol, offers: &str, replies: &[&'static str]) -> (String, String, bool) {
    let peer = Capabilities {
        pipelining: offers.contains("PIPELINING"),
        chunking: offers.contains("CHUNKING"),
        ..Capabilities::default()
    };
    let recipient = |local| Recipient::new(Mailbox::new(local, Domain::Name("x".into())).unwrap());
    let envelope = Envelope {
        sender: ReversePath::Null,
        recipients: vec![recipient("a"), recipient("b")],
        ret: None,
        envid: None,
        body: BodyKind::SevenBit,
        smtputf8: false,
        auth: None,
    };
    let recipients: Vec<&Recipient> = envelope.recipients.iter().collect();
    let order = Order {
        envelope: &envelope,
        sender: &envelope.sender,
        recipients: &recipients,
        declared: Declared::default(),
        size: 9,
        chunking: true,
        eager: true,
    };
    let mut transaction = Transaction::new(protocol, &peer, order);
    let mut sent = Vec::new();
    let mut replies = replies.iter();
    loop {
        match transaction.next(&mut sent) {
            Next::Body(BodyForm::Dots) => sent.extend_from_slice(b"dots\r\n"),
            Next::Body(BodyForm::Chunk) => sent.extend_from_slice(b"chunk\r\n"),
            Next::Done => break,
            Next::Read(_) => {
                sent.push(b'|');
                match replies.next() {
                    Some(text) => {
                        let mut line = BytesMut::from(format!("{text}\r\n").as_bytes());
                        let reply = ReplyParser::default().next(&mut line).unwrap();
                        transaction.reply(reply.unwrap());
                    }
                    None => transaction.lost(),
                }
            }
        }
    }
    assert_eq!(replies.next(), None, "all replies are read");
    let Finished { verdicts, reusable } = transaction.finish();
    let shown: Vec<String> = verdicts
        .into_iter()
        .map(|verdict| match verdict {
            Verdict::Taken(reply) => format!("taken {}", reply.text),
            Verdict::Refused(stage, reply) => format!("{}: {reply}", stage.name()),
            Verdict::NextTransaction => "next".to_owned(),
            Verdict::NoBdat(reply) => format!("no BDAT: {reply}"),
            Verdict::Lost(stage) => format!("lost at {}", stage.name()),
        })
        .collect();
    let sent = String::from_utf8(sent)
        .unwrap()
        .replace("\r\n", ";")
        .replace("MAIL FROM:<>", "M")
        .replace("RCPT TO:", "R");
    (sent, shown.join(", "), reusable)
}

/// What the case shows, protocol, what the peer offers, its replies; what is sent, the verdicts, whether the dialogue goes on.
type Case = (
    &'static str,
    Protocol,
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
    bool,
);

#[test]
fn transactions() {
    use Protocol::{Lmtp, Smtp};
    const ONE: &str = "M;|R<a@x>;|R<b@x>;|DATA;|dots;|";
    const PIPED: &str = "M;R<a@x>;R<b@x>;DATA;||||dots;|";
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        ("one command at a time",        Smtp, PLAIN,      &["250 m", "250 r", "250 r", "354 d", "250 z"],           ONE,                                     "taken z, taken z", true),
        ("pipelined",                    Smtp, PIPELINING, &["250 m", "250 r", "250 r", "354 d", "250 z"],           PIPED,                                   "taken z, taken z", true),
        ("chunked",                      Smtp, CHUNKING,   &["250 m", "250 r", "250 r", "250 z"],                    "M;|R<a@x>;|R<b@x>;|BDAT 9 LAST;chunk;|", "taken z, taken z", true),
        ("all in one round trip",        Smtp, BOTH,       &["250 m", "250 r", "250 r", "250 z"],                    "M;R<a@x>;R<b@x>;BDAT 9 LAST;chunk;||||", "taken z, taken z", true),
        ("sender refused",               Smtp, PLAIN,      &["550 m"],                                               "M;|",                                   "MAIL: 550 m, MAIL: 550 m", true),
        ("sender refused, pipelined",    Smtp, PIPELINING, &["550 m", "503 r", "503 r", "503 d"],                    "M;R<a@x>;R<b@x>;DATA;||||",             "MAIL: 550 m, MAIL: 550 m", true),
        ("sender refused, yet 354",      Smtp, PIPELINING, &["550 m", "503 r", "503 r", "354 d", "554 z"],           "M;R<a@x>;R<b@x>;DATA;||||.;|",          "MAIL: 550 m, MAIL: 550 m", true),
        ("sender refused, all at once",  Smtp, BOTH,       &["550 m", "503 r", "503 r", "503 z"],                    "M;R<a@x>;R<b@x>;BDAT 9 LAST;chunk;||||", "MAIL: 550 m, MAIL: 550 m", true),
        ("one recipient refused",        Smtp, PLAIN,      &["250 m", "550 r", "250 r", "354 d", "250 z"],           ONE,                                     "RCPT: 550 r, taken z", true),
        ("both refused",                 Smtp, PLAIN,      &["250 m", "550 r", "450 s", "250 reset"],                "M;|R<a@x>;|R<b@x>;|RSET;|",             "RCPT: 550 r, RCPT: 450 s", true),
        ("both refused, RSET too",       Smtp, PLAIN,      &["250 m", "550 r", "450 s", "500 reset"],                "M;|R<a@x>;|R<b@x>;|RSET;|",             "RCPT: 550 r, RCPT: 450 s", false),
        ("both refused, pipelined",      Smtp, PIPELINING, &["250 m", "550 r", "550 s", "554 d", "250 reset"],       "M;R<a@x>;R<b@x>;DATA;||||RSET;|",       "RCPT: 550 r, RCPT: 550 s", true),
        ("both refused, yet 354",        Smtp, PIPELINING, &["250 m", "550 r", "550 s", "354 d", "554 z", "250 re"], "M;R<a@x>;R<b@x>;DATA;||||.;|RSET;|",    "RCPT: 550 r, RCPT: 550 s", true),
        ("both refused, all at once",    Smtp, BOTH,       &["250 m", "550 r", "550 s", "503 z", "250 reset"],       "M;R<a@x>;R<b@x>;BDAT 9 LAST;chunk;||||RSET;|", "RCPT: 550 r, RCPT: 550 s", true),
        ("DATA refused",                 Smtp, PIPELINING, &["250 m", "550 r", "250 r", "451 d", "250 reset"],       "M;R<a@x>;R<b@x>;DATA;||||RSET;|",       "RCPT: 550 r, DATA: 451 d", true),
        ("content refused",              Smtp, PIPELINING, &["250 m", "550 r", "250 r", "354 d", "554 z"],           PIPED,                                   "RCPT: 550 r, end of data: 554 z", true),
        ("too many recipients",          Smtp, PLAIN,      &["250 m", "250 r", "452 4.5.3 many", "354 d", "250 z"],  ONE,                                     "taken z, next", true),
        ("too many, no status",          Smtp, PLAIN,      &["250 m", "250 r", "452 many", "354 d", "250 z"],        ONE,                                     "taken z, next", true),
        ("too many, old code",           Smtp, PLAIN,      &["250 m", "250 r", "552 many", "354 d", "250 z"],        ONE,                                     "taken z, next", true),
        ("too many, old code, status",   Smtp, PLAIN,      &["250 m", "250 r", "552 5.5.3 many", "354 d", "250 z"],  ONE,                                     "taken z, next", true),
        ("too many, pipelined",          Smtp, PIPELINING, &["250 m", "250 r", "552 many", "354 d", "250 z"],        PIPED,                                   "taken z, next", true),
        ("too many behind a refused",    Smtp, PLAIN,      &["250 m", "550 r", "552 many", "250 reset"],             "M;|R<a@x>;|R<b@x>;|RSET;|",             "RCPT: 550 r, next", true),
        ("too many, content refused",    Smtp, PLAIN,      &["250 m", "250 r", "552 many", "354 d", "554 z"],        ONE,                                     "end of data: 554 z, next", true),
        ("a full mailbox",               Smtp, PLAIN,      &["250 m", "250 r", "552 5.2.2 full", "354 d", "250 z"],  ONE,                                     "taken z, RCPT: 552 5.2.2 full", true),
        ("a full disk",                  Smtp, PLAIN,      &["250 m", "250 r", "452 4.3.1 full", "354 d", "250 z"],  ONE,                                     "taken z, RCPT: 452 4.3.1 full", true),
        ("too many at once is no",       Smtp, PLAIN,      &["250 m", "452 4.5.3 many", "452 many", "250 reset"],    "M;|R<a@x>;|R<b@x>;|RSET;|",             "RCPT: 452 4.5.3 many, RCPT: 452 many", true),
        ("BDAT not known",               Smtp, CHUNKING,   &["250 m", "250 r", "550 r", "500 what"],                 "M;|R<a@x>;|R<b@x>;|BDAT 9 LAST;chunk;|", "no BDAT: 500 what, RCPT: 550 r", false),
        ("BDAT not known, all at once",  Smtp, BOTH,       &["250 m", "250 r", "250 r", "502 5.5.1 no"],             "M;R<a@x>;R<b@x>;BDAT 9 LAST;chunk;||||", "no BDAT: 502 5.5.1 no, no BDAT: 502 5.5.1 no", false),
        ("BDAT known, spam",             Smtp, BOTH,       &["250 m", "250 r", "250 r", "554 5.7.1 spam"],           "M;R<a@x>;R<b@x>;BDAT 9 LAST;chunk;||||", "end of data: 554 5.7.1 spam, end of data: 554 5.7.1 spam", true),
        ("421 to MAIL",                  Smtp, PIPELINING, &["421 bye"],                                             "M;R<a@x>;R<b@x>;DATA;|",                "MAIL: 421 bye, MAIL: 421 bye", false),
        ("421 to a recipient",           Smtp, PIPELINING, &["250 m", "550 r", "421 bye"],                           "M;R<a@x>;R<b@x>;DATA;|||",              "RCPT: 550 r, RCPT: 421 bye", false),
        ("421 at the end",               Smtp, PLAIN,      &["250 m", "250 r", "250 r", "354 d", "421 bye"],         ONE,                                     "end of data: 421 bye, end of data: 421 bye", false),
        ("lost before any answer",       Smtp, PLAIN,      &[],                                                      "M;|",                                   "lost at MAIL, lost at MAIL", false),
        ("lost between recipients",      Smtp, PLAIN,      &["250 m", "550 r"],                                      "M;|R<a@x>;|R<b@x>;|",                   "RCPT: 550 r, lost at RCPT", false),
        ("lost at the end",              Smtp, PIPELINING, &["250 m", "250 r", "550 r", "354 d"],                    PIPED,                                   "lost at end of data, RCPT: 550 r", false),
        ("LMTP answers each",            Lmtp, PIPELINING, &["250 m", "250 r", "250 r", "354 d", "250 z", "550 y"],  "M;R<a@x>;R<b@x>;DATA;||||dots;||",      "taken z, end of data: 550 y", true),
        ("LMTP answers the accepted",    Lmtp, PIPELINING, &["250 m", "550 r", "250 r", "354 d", "250 z"],           PIPED,                                   "RCPT: 550 r, taken z", true),
        ("LMTP lost between answers",    Lmtp, PIPELINING, &["250 m", "250 r", "250 r", "354 d", "250 z"],           "M;R<a@x>;R<b@x>;DATA;||||dots;||",      "taken z, lost at end of data", false),
        ("LMTP, BDAT not known",         Lmtp, CHUNKING,   &["250 m", "250 r", "250 r", "500 what"],                 "M;|R<a@x>;|R<b@x>;|BDAT 9 LAST;chunk;|", "no BDAT: 500 what, no BDAT: 500 what", false),
        ("LMTP chunked waits first",     Lmtp, BOTH,       &["250 m", "550 r", "250 r", "250 z"],                    "M;R<a@x>;R<b@x>;|||BDAT 9 LAST;chunk;|", "RCPT: 550 r, taken z", true),
    ];
    for (shows, protocol, offers, replies, sent, verdicts, reusable) in cases {
        let expected = (sent.to_owned(), verdicts.to_owned(), reusable);
        assert_eq!(play(protocol, offers, replies), expected, "{shows}");
    }
}
