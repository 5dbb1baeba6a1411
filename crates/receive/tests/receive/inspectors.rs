//! Inspectors see all messages before they are queued, and their changes are what is queued.

use std::sync::{Arc, Mutex};

use postern_mail::{Header, NewField, Status};
use postern_policy::Rule;
use postern_spool::{
    Arrival, Assembly, Inspection, InspectionFuture, Inspector, Inspectors, NewBodies, Origin, Refusal,
    Stage as When,
};
use postern_testkit::process::wait_until;

use crate::harness::{Options, Server, begin_message};

/// The stage in which a watcher refuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Header,
    Body,
    Finish,
}

/// What a watcher has seen of a message.
#[derive(Clone, Debug, Default)]
struct Seen {
    login: Option<String>,
    origin: Origin,
    client: Option<(bool, bool, String)>,
    recipients: usize,
    header: Vec<u8>,
    body: Vec<u8>,
    /// Whether it reached the end.
    finished: bool,
}

/// Watches, changes the header as a filter and a signer do, and refuses where told to.
#[derive(Clone, Default)]
struct Watcher {
    name: &'static str,
    refuse_at: Option<Stage>,
    when: Option<When>,
    /// Whether it replaces the body: with each piece twice.
    doubles_body: bool,
    seen: Arc<Mutex<Vec<Seen>>>,
}

struct Watching {
    watcher: Watcher,
    seen: Seen,
}

impl Inspector for Watcher {
    fn stage(&self) -> When {
        self.when.unwrap_or(When::Filter)
    }

    fn begin(&self, arrival: &Arrival<'_>) -> Option<Box<dyn Inspection>> {
        Some(Box::new(Watching {
            watcher: self.clone(),
            seen: Seen {
                login: arrival.login.map(str::to_owned),
                origin: arrival.origin,
                client: arrival
                    .client
                    .map(|client| (client.mx, client.peer.ip().is_loopback(), client.helo.to_owned())),
                recipients: arrival.envelope.recipients.len(),
                ..Seen::default()
            },
        }))
    }
}

impl Watching {
    fn verdict(&self, stage: Stage) -> Result<(), Refusal> {
        if self.watcher.refuse_at == Some(stage) {
            return Err(Refusal {
                rule: Rule::BodyInspected,
                code: 550,
                status: Some(Status(5, 7, 1)),
                text: format!("Not wanted\nat {stage:?}"),
                reason: format!("{} says no", self.watcher.name),
            });
        }
        Ok(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watcher.seen.lock().unwrap().push(self.seen.clone());
    }
}

impl Inspection for Watching {
    fn header<'a>(&'a mut self, header: &'a Header) -> InspectionFuture<'a> {
        header.write(&mut self.seen.header);
        Box::pin(async { self.verdict(Stage::Header) })
    }

    fn body<'a>(&'a mut self, octets: &'a [u8]) -> InspectionFuture<'a> {
        assert!(!octets.is_empty());
        self.seen.body.extend_from_slice(octets);
        Box::pin(async {
            // Answers later, as a filter does.
            tokio::task::yield_now().await;
            self.verdict(Stage::Body)
        })
    }

    fn finish<'a>(
        mut self: Box<Self>,
        assembly: &'a mut Assembly,
        bodies: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a> {
        Box::pin(async move {
            if self.watcher.doubles_body {
                let mut read = assembly.read_body(bodies.spool());
                let mut body = bodies.begin(assembly.id);
                while let Some(piece) = read.piece().await.unwrap() {
                    body.write(&piece).await?;
                    body.write(&piece).await?;
                }
                let body = body.finish().await?;
                assembly.replace_body(body);
            }
            self.seen.finished = true;
            let own = assembly.own_fields();
            let header = assembly.header_mut();
            let sum = self
                .seen
                .body
                .iter()
                .fold(0_u32, |sum, octet| sum.wrapping_mul(31) + u32::from(*octet));
            let seal = format!("{} {sum} over {} fields", self.watcher.name, header.len());
            header
                .insert(own, &NewField::new("X-Seal", seal.as_bytes()).unwrap())
                .unwrap();
            header
                .push(&NewField::new("X-Last", self.watcher.name.as_bytes()).unwrap())
                .unwrap();
            header
                .replace_nth(0, &NewField::new("Subject", b"changed").unwrap())
                .unwrap();
            header.remove_nth("x-gone", 1);
            self.verdict(Stage::Finish)
        })
    }
}

fn server(watchers: &[&Watcher]) -> Server {
    let list = watchers
        .iter()
        .map(|watcher| Arc::new((*watcher).clone()) as Arc<dyn Inspector>);
    Options {
        inspectors: Inspectors::new(list.collect()),
        ..Options::mx()
    }
    .start()
}

const HEADER: &str =
    "Received: from far\r\n\tfolded\r\nsubject:old\r\nX-Gone: 1\r\nX-Odd :  two  blanks \r\nX-Gone: 2\r\n";

/// A body that is small, one that becomes a file, and none.
fn bodies() -> [String; 3] {
    let line = "All work and no play makes Jack a dull boy.\r\n";
    [line.to_owned(), line.repeat(7_000), String::new()]
}

#[test]
fn what_is_seen_and_changed_is_what_is_queued() {
    let (first, second) = (
        Watcher {
            name: "first",
            ..Watcher::default()
        },
        Watcher {
            name: "second",
            ..Watcher::default()
        },
    );
    let server = server(&[&first, &second]);
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    for chunked in [false, true] {
        for body in bodies() {
            let content = format!("{HEADER}\r\n{body}");
            let reply = if chunked {
                client.say("MAIL FROM:<a@a.example>").unwrap();
                client.say("RCPT TO:<acaird@challenger.example>").unwrap();
                // Cut within the header, and within the body if there is one.
                let (one, rest) = content.split_at(30);
                let (two, three) = rest.split_at(rest.len() * 2 / 3);
                for chunk in [one, two] {
                    client
                        .send(format!("BDAT {}\r\n{chunk}", chunk.len()).as_bytes())
                        .unwrap();
                    assert!(client.reply().unwrap().starts_with("250"));
                }
                client
                    .send(format!("BDAT {} LAST\r\n{three}", three.len()).as_bytes())
                    .unwrap();
                client.reply().unwrap()
            } else {
                begin_message(&mut client);
                client.send(format!("{content}.\r\n").as_bytes()).unwrap();
                client.reply().unwrap()
            };
            let queued = server.message(&reply).1;
            let at = queued.find("X-Seal").expect("it was sealed");
            let (own, rest) = queued.split_at(at);
            assert!(
                own.starts_with("Received: from helo (localhost [127.0.0.1])"),
                "{own}"
            );
            assert_eq!(
                own.matches("\r\n").count(),
                own.matches("\r\n\t").count() + 1,
                "one field of ours: {own}"
            );
            let sum = body
                .bytes()
                .fold(0_u32, |sum, octet| sum.wrapping_mul(31) + u32::from(octet));
            assert_eq!(
                rest,
                format!(
                    "X-Seal: second {sum} over 7 fields\r\nX-Seal: first {sum} over 6 fields\r\n\
                     Received: from far\r\n\tfolded\r\nSubject: changed\r\nX-Gone: 1\r\nX-Odd :  two  blanks \r\n\
                     X-Last: first\r\nX-Last: second\r\n\r\n{body}"
                )
            );
            for watcher in [&first, &second] {
                let seen = watcher.seen.lock().unwrap().pop().expect("it was asked");
                assert_eq!(String::from_utf8(seen.header).unwrap(), HEADER);
                assert_eq!(seen.body, body.as_bytes());
                assert!(seen.finished);
                assert_eq!(
                    (seen.login, seen.origin, seen.recipients),
                    (None, Origin::Stranger, 1)
                );
                assert_eq!(seen.client, Some((true, true, "helo".to_owned())));
            }
        }
    }
}

#[test]
fn judges_come_first_and_signers_last() {
    let watcher = |name, when| Watcher {
        name,
        when: Some(when),
        ..Watcher::default()
    };
    let signer = watcher("signer", When::Signer);
    let (one, other) = (watcher("one", When::Filter), watcher("other", When::Filter));
    let judge = watcher("judge", When::Judge);
    let server = server(&[&signer, &one, &judge, &other]);
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    begin_message(&mut client);
    client.send(b"A: b\r\n\r\nbody\r\n.\r\n").unwrap();
    let queued = server.message(&client.reply().unwrap()).1;
    let order: Vec<_> = queued
        .lines()
        .filter_map(|line| line.strip_prefix("X-Last: "))
        .collect();
    assert_eq!(order, ["judge", "one", "other", "signer"]);
}

#[test]
fn another_body_is_what_is_queued() {
    let doubling = |name| Watcher {
        name,
        doubles_body: true,
        ..Watcher::default()
    };
    let (first, second) = (doubling("first"), doubling("second"));
    let server = server(&[&first, &second]);
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    for body in bodies() {
        begin_message(&mut client);
        client
            .send(format!("{HEADER}\r\n{body}.\r\n").as_bytes())
            .unwrap();
        let queued = server.message(&client.reply().unwrap()).1;
        let (_, queued) = queued.split_once("\r\n\r\n").unwrap();
        // Pieces are cut anywhere.
        let sum = |text: &str| text.bytes().map(u64::from).sum::<u64>();
        assert_eq!((queued.len(), sum(queued)), (4 * body.len(), 4 * sum(&body)));
    }
}

#[test]
fn another_body_needs_room_like_the_first() {
    let doubling = Watcher {
        name: "one",
        doubles_body: true,
        ..Watcher::default()
    };
    let mut options = Options {
        inspectors: Inspectors::new(vec![Arc::new(doubling)]),
        ..Options::mx()
    };
    // Room for the received body, but not for a second one.
    options.settings.room.bodies = 2;
    let server = options.start();
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    begin_message(&mut client);
    client
        .send(format!("{HEADER}\r\n{}.\r\n", bodies()[1]).as_bytes())
        .unwrap();
    let reply = client.reply().unwrap();
    assert!(reply.starts_with("45"), "{reply}");
    assert_eq!(server.queued(), 0);
    begin_message(&mut client);
    client.send(b"A: b\r\n\r\nbody\r\n.\r\n").unwrap();
    let queued = server.message(&client.reply().unwrap()).1;
    assert!(queued.ends_with("\r\n\r\nbody\r\nbody\r\n"), "{queued}");
}

#[test]
fn text_without_an_empty_line_is_body() {
    let watcher = Watcher {
        name: "one",
        ..Watcher::default()
    };
    let server = server(&[&watcher]);
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    begin_message(&mut client);
    client
        .send(b"Subject: x\r\nHello,\r\nyou\r\n\r\nthere\r\n.\r\n")
        .unwrap();
    let queued = server.message(&client.reply().unwrap()).1;
    assert!(
        queued.ends_with("\r\n\r\nHello,\r\nyou\r\n\r\nthere\r\n"),
        "{queued}"
    );
    let seen = watcher.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.header, b"Subject: x\r\n");
    assert_eq!(seen.body, b"Hello,\r\nyou\r\n\r\nthere\r\n");
}

#[test]
fn a_refusal_at_any_stage_is_told_and_nothing_is_queued() {
    for stage in [Stage::Header, Stage::Body, Stage::Finish] {
        let first = Watcher {
            name: "first",
            ..Watcher::default()
        };
        let refusing = Watcher {
            name: "second",
            refuse_at: Some(stage),
            ..Watcher::default()
        };
        let server = server(&[&first, &refusing]);
        let mut client = server.connect();
        client.say("EHLO helo").unwrap();
        for body in &bodies()[..2] {
            begin_message(&mut client);
            client
                .send(format!("{HEADER}\r\n{body}.\r\n").as_bytes())
                .unwrap();
            let reply = client.reply().unwrap();
            assert_eq!(
                reply,
                format!("550-5.7.1 Not wanted\n550 5.7.1 at {stage:?}"),
                "{stage:?}"
            );
        }
        // The reply to the chunk in which it happens is the refusal, and later chunks belong to no
        // message.
        client.say("MAIL FROM:<a@a.example>").unwrap();
        client.say("RCPT TO:<acaird@challenger.example>").unwrap();
        let content = format!("{HEADER}\r\nbody\r\n");
        client
            .send(format!("BDAT {} LAST\r\n{content}", content.len()).as_bytes())
            .unwrap();
        assert!(client.reply().unwrap().starts_with("550-5.7.1 "), "{stage:?}");
        assert_eq!(server.queued(), 0, "{stage:?}");
        let seen = first.seen.lock().unwrap();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|seen| seen.finished == (stage == Stage::Finish)));
    }
}

#[test]
fn a_client_that_goes_away_ends_the_inspection() {
    let watcher = Watcher {
        name: "one",
        ..Watcher::default()
    };
    let server = server(&[&watcher]);
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    begin_message(&mut client);
    client
        .send(format!("{HEADER}\r\nhalf a body\r\n").as_bytes())
        .unwrap();
    drop(client);
    wait_until("the inspection is given up", || {
        !watcher.seen.lock().unwrap().is_empty()
    });
    let seen = watcher.seen.lock().unwrap().pop().unwrap();
    assert!(!seen.finished);
    assert_eq!(server.queued(), 0);
}
