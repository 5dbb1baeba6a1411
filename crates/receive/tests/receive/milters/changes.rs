//! Every change, as it is in the queue afterwards.

use postern_mail::{BodyKind, Notify};
use postern_policy::milter::OnFailure;
use postern_testkit::milter::PythonMilter;

use super::support::{CONTENT, greeted, milter, send, start};
use crate::harness::{HOST, Options, Server};

/// A filter that does this at the end of each message.
fn at_the_end(lines: &str) -> PythonMilter {
    let lines: String = lines
        .lines()
        .map(|line| format!("        {}\n", line.trim()))
        .collect();
    PythonMilter::start(&format!(
        "class Filter(Recorder):\n    def eom(self):\n{lines}        return Milter.CONTINUE\n"
    ))
}

/// The queued message, without our own field, and its recipients.
fn queued(server: &Server, reply: &str) -> (String, Vec<String>) {
    let (message, content) = server.message(reply);
    let mut lines: Vec<&str> = content.split_inclusive("\r\n").collect();
    if let Some(first) = lines
        .iter()
        .position(|line| line.starts_with("Received: from client.example"))
    {
        let end = first
            + 1
            + lines[first + 1..]
                .iter()
                .take_while(|line| line.starts_with('\t'))
                .count();
        lines.drain(first..end);
    }
    let to = message.envelope.recipients.iter();
    (
        lines.concat(),
        to.map(|recipient| recipient.address.to_string()).collect(),
    )
}

#[test]
fn header_fields() {
    let filter = at_the_end(
        "self.addheader('X-Added', 'one\\n two')
         self.addheader('X-Top', 'top', 0)
         self.addheader('X-Below', 'below', 1)
         self.chgheader('subject', 1, 'new')
         self.chgheader('X-Gone', 1, '')
         self.chgheader('X-Other', 3, 'other')",
    );
    let (server, notes) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    let reply = send(
        &mut client,
        "X-Gone: 1\r\nX-Odd :  two  blanks \r\nSUBJECT: old\r\nX-Gone: 2\r\n\r\nbody\r\n",
    );
    assert_eq!(
        queued(&server, &reply).0,
        "X-Top: top\r\nX-Below: below\r\nX-Odd :  two  blanks \r\nSUBJECT: new\r\nX-Gone: 2\r\nX-Added: one\r\n two\r\n\
         X-Other: other\r\n\r\nbody\r\n"
    );
    let told = notes.last("filtered ");
    assert!(
        told.contains("milter=\"python\" rule=milter.change reason=python has added 3 fields, changed 2 fields, removed 1 field"),
        "{told}"
    );
}

#[test]
fn bodies() {
    let filter = at_the_end(
        "self.replacebody(b'a\\r\\n' * 30000)
         self.addheader('X', 'between')
         self.replacebody(b'bare\\nlast\\xe4')",
    );
    let (server, _) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    for body in ["body\r\n".to_owned(), String::new(), "line\r\n".repeat(50_000)] {
        let reply = send(&mut client, &format!("A: b\r\n\r\n{body}"));
        assert!(reply.starts_with("250 "), "{reply}");
        let message = server.queued_message(&reply);
        assert_eq!(
            message.0.envelope.body,
            BodyKind::EightBitMime,
            "what it has become"
        );
        let text = String::from_utf8_lossy(&message.1).into_owned();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.ends_with("A: b\r\nX: between"), "{header}");
        assert_eq!(body.len(), 90_000 + 6 + 4 + 3 + 2);
        assert!(body.ends_with("a\r\nbare\r\nlast\u{fffd}\r\n"));
    }
}

#[test]
fn recipients_and_sender() {
    let filter = at_the_end(
        "self.addrcpt('<acaird@challenger.example>')
         self.addrcpt('<copy@outside.example>', 'NOTIFY=NEVER')
         self.addrcpt('root@challenger.example')
         self.addrcpt('<staff@challenger.example>')
         self.delrcpt('<x@relay.example>')
         self.chgfrom('<other@a.example>', 'ENVID=x+2By SIZE=9')",
    );
    let (server, _) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    let reply = client
        .mail(
            "a@a.example",
            &["acaird@challenger.example", "x@relay.example"],
            CONTENT,
        )
        .unwrap();
    let (message, _) = server.message(&reply);
    let envelope = &message.envelope;
    assert_eq!(envelope.sender.to_string(), "<other@a.example>");
    assert_eq!(envelope.envid.as_deref(), Some("x+y"));
    let to: Vec<_> = envelope
        .recipients
        .iter()
        .map(|one| (one.address.to_string(), one.notify, one.orcpt.as_deref()))
        .collect();
    assert_eq!(
        to,
        [
            ("acaird@challenger.example".to_owned(), Notify::FailureAlone, None),
            ("copy@outside.example".to_owned(), Notify::Never, None),
            // After alias expansion, once each: existing recipients are not added again.
            (
                "someone@outside.example".to_owned(),
                Notify::Unspecified,
                Some("rfc822;staff@challenger.example")
            ),
        ]
    );
}

#[test]
fn what_an_alias_led_to_goes_with_it() {
    let filter = at_the_end("self.delrcpt('<staff@challenger.example>')");
    let (server, notes) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    let both = ["staff@challenger.example", "x@relay.example"];
    let reply = client.mail("a@a.example", &both, CONTENT).unwrap();
    assert_eq!(queued(&server, &reply).1, ["x@relay.example"]);
    // All of them removed: the message is discarded, and the log has its envelope.
    let before = server.queued();
    let reply = client.mail("a@a.example", &both[..1], CONTENT).unwrap();
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    assert_eq!(server.queued(), before);
    let told = notes.last("discarded ");
    assert!(
        told.contains("reason=python has removed all recipients "),
        "{told}"
    );
    assert!(
        told.contains("to=<acaird@challenger.example>, <someone@outside.example> recipients=2"),
        "{told}"
    );
}

#[test]
fn quarantine() {
    let filter = at_the_end("self.quarantine('looks odd')\nself.addheader('X', 'y')");
    let (server, notes) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    let reply = send(&mut client, CONTENT);
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let (message, _) = server.message(&reply);
    assert_eq!(server.spool.counts().held, 1);
    assert_eq!(
        server.hold_of(message.id),
        Some("milter: python has it held: looks odd".into())
    );
    assert!(
        notes
            .all("filtered ")
            .iter()
            .any(|note| note.contains("rule=milter.hold "))
    );
}

#[test]
fn what_cannot_be_done_is_a_failure_and_none_of_it_is_done() {
    for (what, why) in [
        (
            "self.addrcpt('<nobody@challenger.example>')",
            "an unknown address",
        ),
        ("self.addrcpt('<a b@c.example>')", "which is not an address"),
        (
            "self.addrcpt('<x@y.example>', 'NOTIFY=SOMETIMES')",
            "parameters that make no sense",
        ),
        ("self.addheader('X', 'x' * 2000)", "a field that cannot be sent"),
        ("self.chgfrom('<a b@c.example>')", "which is not an address"),
    ] {
        let filter = at_the_end(&format!(
            "self.addheader('X-Done', 'y')\nself.replacebody(b'new')\nself.quarantine('held')\n{what}"
        ));
        let mut settings = milter("python", filter.address());
        let (server, notes) = start(Options::mx(), vec![settings.clone()]);
        let mut client = greeted(&server);
        let reply = send(&mut client, CONTENT);
        assert!(reply.starts_with("451 4.7.1 "), "{what}: {reply}");
        let told = notes.last("refused ");
        assert!(
            told.contains("rule=milter.failed-tempfail ") && told.contains(why),
            "{what}: {told}"
        );
        settings.on_failure = OnFailure::Accept;
        let (server, notes) = start(Options::mx(), vec![settings]);
        let mut client = greeted(&server);
        let reply = send(&mut client, CONTENT);
        let (content, to) = queued(&server, &reply);
        assert_eq!(content, CONTENT, "{what}");
        assert_eq!(to, [format!("acaird@{HOST}")], "{what}");
        assert_eq!(server.spool.counts().held, 0, "{what}");
        let told = notes.last("filtered ");
        assert!(
            told.contains("rule=milter.failed-accept ") && told.contains(why),
            "{what}: {told}"
        );
    }
}

#[test]
fn a_new_body_needs_room() {
    let filter = at_the_end("self.replacebody(b'a\\r\\n' * 100000)");
    let mut options = Options::mx();
    // Strangers have half of it: none.
    options.settings.room.bodies = 1;
    let (server, _) = start(options, vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    let reply = send(&mut client, CONTENT);
    assert!(reply.starts_with("45"), "{reply}");
    assert_eq!(server.queued(), 0);
}
