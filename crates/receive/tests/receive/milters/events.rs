//! The events about filtered messages: nothing that a filter refuses is reported as accepted, and the filter that decided is a
//! field.

use postern_testkit::milter::PythonMilter;
use postern_testkit::smtp::Client;

use super::support::{CONTENT, Notes, greeted, milter, start};
use crate::harness::{Options, Server};

/// Refuses a sender, a recipient or a message, holds it or discards it, depending on the address of the sender.
const CHOOSY: &str = r"
class Filter(Recorder):
    def envfrom(self, sender, *parameters):
        self.sender = sender
        return Milter.REJECT if 'mail' in sender else Milter.CONTINUE
    def envrcpt(self, recipient, *parameters):
        return Milter.TEMPFAIL if 'rcpt' in self.sender else Milter.CONTINUE
    def eom(self):
        if 'hold' in self.sender:
            self.quarantine('looks odd')
        if 'discard' in self.sender:
            return Milter.DISCARD
        return Milter.REJECT if 'end' in self.sender else Milter.CONTINUE
";

fn server() -> (Server, Notes, PythonMilter) {
    let filter = PythonMilter::start(CHOOSY);
    let (server, notes) = start(Options::mx(), vec![milter("choosy", filter.address())]);
    (server, notes, filter)
}

fn send(client: &mut Client, sender: &str) -> String {
    client.say("RSET").unwrap();
    client
        .mail(
            &format!("{sender}@a.example"),
            &["acaird@challenger.example"],
            CONTENT,
        )
        .unwrap()
}

#[test]
fn one_truth_in_log_and_history() {
    let (server, notes, _filter) = server();
    let mut client = greeted(&server);
    #[rustfmt::skip]
    let cases = [
        // sender       reply   sender told     recipient told  what is told at the end, and the filter in it
        ("plain",       "250 ", true,           true,           "accepted ",    ""),
        ("mail",        "550 ", false,          false,          "refused ",     "choosy"),
        ("rcpt",        "451 ", true,           false,          "refused ",     "choosy"),
        ("end",         "550 ", true,           true,           "refused ",     "choosy"),
        ("hold",        "250 ", true,           true,           "accepted ",    "choosy"),
        ("discard",     "250 ", true,           true,           "discarded ",   "choosy"),
    ];
    for (sender, reply, sender_told, recipient_told, end, filter) in cases {
        let said = send(&mut client, sender);
        assert!(said.starts_with(reply), "{sender}: {said}");
        let from = format!("from=<{sender}@a.example>");
        let told = |word: &str| {
            let all = notes.all(word);
            let mut of_it = all.into_iter().filter(|note| note.contains(&from));
            (of_it.next_back(), of_it.next())
        };
        assert_eq!(told("sender ").0.is_some(), sender_told, "{sender}");
        let recipient = told("recipient ").0;
        assert_eq!(recipient.is_some(), recipient_told, "{sender}");
        if let Some(recipient) = recipient {
            assert!(
                recipient.contains("rule=local.recipient reason=it exists here"),
                "{recipient}"
            );
        }
        let (Some(last), None) = told(end) else {
            panic!("{sender}: {:?}", notes.all(end))
        };
        let decided = last.contains(&format!("milter=\"{filter}\""));
        assert_eq!(decided, !filter.is_empty(), "{sender}: {last}");
        assert_eq!(last.contains("milter="), !filter.is_empty(), "{sender}: {last}");
    }
    assert_eq!(server.spool.counts().held, 1);
}

#[test]
fn what_has_a_message_held_is_in_the_queue() {
    let (server, _notes, _filter) = server();
    let reply = send(&mut greeted(&server), "hold");
    let (message, _) = server.message(&reply);
    let shown = server.runtime().block_on(server.spool.show(message.id));
    let summary = shown.unwrap().unwrap().summary;
    let held = [summary.hold, summary.hold_rule, summary.hold_milter].map(Option::unwrap_or_default);
    assert_eq!(
        held,
        ["milter: choosy has it held: looks odd", "milter.hold", "choosy"]
    );
}
