//! Every answer at every stage: the reply to the client, and what happens to its message.

use postern_testkit::milter::PythonMilter;
use postern_testkit::smtp::Client;

use super::support::{CONTENT, Notes, milter, start};
use crate::harness::{Options, Server};

/// A filter that does at each stage what words in its input say: `helo-reject`, `eom-discard`.
const DOES_AS_TOLD: &str = r"
class Filter(Recorder):
    wanted = ''
    def do(self, stage, text=''):
        self.wanted += ' ' + str(text)
        if stage + '-reject' in self.wanted: return Milter.REJECT
        if stage + '-tempfail' in self.wanted: return Milter.TEMPFAIL
        if stage + '-accept' in self.wanted: return Milter.ACCEPT
        if stage + '-discard' in self.wanted: return Milter.DISCARD
        if stage + '-fivexx' in self.wanted:
            self.setreply('554', '5.7.0', 'first line', 'second line')
            return Milter.REJECT
        if stage + '-fourxx' in self.wanted:
            self.setreply('450', '4.2.0', 'come back')
            return Milter.TEMPFAIL
        if stage + '-close' in self.wanted:
            self.setreply('421', '4.3.2', 'closing')
            return Milter.TEMPFAIL
        return Milter.CONTINUE
    def hello(self, name):
        self.wanted = ''
        return self.do('helo', name)
    def envfrom(self, sender, *parameters):
        self.note('mail', sender)
        self.wanted = ''
        return self.do('mail', sender)
    def envrcpt(self, recipient, *parameters):
        self.note('rcpt', recipient)
        return self.do('rcpt', recipient)
    def data(self):
        return self.do('data')
    def unknown(self, line):
        return self.do('unknown', line)
    def header(self, name, value):
        return self.do('header', value)
    def eoh(self):
        return self.do('eoh')
    def body(self, piece):
        return self.do('body')
    def eom(self):
        self.note('eom')
        return self.do('eom')
";

fn server() -> (Server, Notes, PythonMilter) {
    let filter = PythonMilter::start(DOES_AS_TOLD);
    let mut options = Options::mx();
    options.aliases = "rcpt-reject: acaird\nrcpt-tempfail: acaird\nrcpt-accept: acaird\nrcpt-discard: acaird\n\
                       rcpt-fivexx: acaird\nrcpt-fourxx: acaird\nrcpt-close: acaird\n";
    let (server, notes) = start(options, vec![milter("python", filter.address())]);
    (server, notes, filter)
}

/// The reply to the client after an answer, and whether its connection is closed.
fn heard(answer: &str) -> (&'static str, &'static str, bool) {
    match answer {
        "reject" => ("550 5.7.1 Command rejected", "milter.reject", false),
        "tempfail" => (
            "451 4.7.1 Service unavailable, please try again later",
            "milter.tempfail",
            false,
        ),
        "fivexx" => (
            "554-5.7.0 first line\n554 5.7.0 second line",
            "milter.reject",
            false,
        ),
        "fourxx" => ("450 4.2.0 come back", "milter.tempfail", false),
        "close" => ("421 4.3.2 closing", "milter.tempfail", true),
        _ => ("250", "", false),
    }
}

/// One message with a wish in its sender, its recipient or a field; the replies to its four steps, as far as it gets.
fn try_message(client: &mut Client, wish: &str, chunked: bool) -> Vec<String> {
    let stage = wish.split('-').next().unwrap();
    let sender = if stage == "rcpt" { "a" } else { wish };
    let recipient = if stage == "rcpt" { wish } else { "acaird" };
    let mut replies = vec![client.say(&format!("MAIL FROM:<{sender}@a.example>")).unwrap()];
    if replies[0].starts_with("250") {
        replies.push(
            client
                .say(&format!("RCPT TO:<{recipient}@challenger.example>"))
                .unwrap(),
        );
    }
    if replies.last().unwrap().starts_with("250") {
        if chunked {
            client
                .send(format!("BDAT {} LAST\r\n{CONTENT}", CONTENT.len()).as_bytes())
                .unwrap();
            replies.push(client.reply().unwrap());
        } else {
            replies.push(client.say("DATA").unwrap());
            if replies.last().unwrap().starts_with("354") {
                replies.push(client.say(&format!("{CONTENT}.")).unwrap());
            }
        }
    }
    replies
}

#[test]
fn at_each_stage_of_a_message() {
    let (server, notes, _filter) = server();
    for chunked in [false, true] {
        for stage in ["mail", "rcpt", "data", "header", "eoh", "body", "eom"] {
            for answer in [
                "reject", "tempfail", "fivexx", "fourxx", "close", "accept", "discard",
            ] {
                let shows = format!("{stage}-{answer}, in chunks: {chunked}");
                let (reply, rule, closes) = heard(answer);
                let mut client = server.connect();
                client.say("EHLO client.example").unwrap();
                let before = server.queued();
                let replies = try_message(&mut client, &format!("{stage}-{answer}"), chunked);
                let last = replies.last().unwrap();
                let steps = match stage {
                    "mail" => 1,
                    "rcpt" => 2,
                    "data" => 3,
                    _ => 4,
                };
                if rule.is_empty() {
                    assert!(last.starts_with("250 2.0.0 "), "{shows}: {replies:?}");
                    let taken = u64::from(answer == "accept");
                    assert_eq!(server.queued() - before, taken, "{shows}");
                } else {
                    assert_eq!(last, reply, "{shows}");
                    assert_eq!(
                        replies.len(),
                        if chunked { steps.min(3) } else { steps },
                        "{shows}: {replies:?}"
                    );
                    assert_eq!(server.queued(), before, "{shows}");
                    let told = notes.last("refused ");
                    assert!(told.contains(&format!("rule={rule} ")), "{shows}: {told}");
                    assert!(told.contains("reason=python "), "who it was: {told}");
                }
                if answer == "discard" {
                    let told = notes.last("discarded ");
                    assert!(
                        told.contains(" rule=milter.discard reason=python has it thrown away, at "),
                        "{told}"
                    );
                    assert!(
                        told.contains(" to=<acaird@challenger.example> "),
                        "whose it was: {told}"
                    );
                }
                if closes {
                    assert!(client.reply().is_err(), "{shows}: it is over");
                } else {
                    // The next message is not affected.
                    client.say("RSET").unwrap();
                    let replies = try_message(&mut client, "nothing", chunked);
                    assert!(
                        replies.last().unwrap().starts_with("250 2.0.0 "),
                        "{shows}: {replies:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_recipient_alone_is_refused() {
    let (server, _, filter) = server();
    let mut client = server.connect();
    client.say("EHLO client.example").unwrap();
    client.say("MAIL FROM:<a@a.example>").unwrap();
    let reply = client.say("RCPT TO:<rcpt-reject@challenger.example>").unwrap();
    assert_eq!(reply, "550 5.7.1 Command rejected");
    let reply = client.say("DATA").unwrap();
    assert!(reply.starts_with("503 "), "nobody was taken: {reply}");
    client.say("RSET").unwrap();
    filter.wait_for("'rcpt'", 1);
}

#[test]
fn names_and_unknown_commands() {
    let (server, notes, filter) = server();
    let mut client = server.connect();
    assert_eq!(
        client.say("EHLO helo-reject").unwrap(),
        "550 5.7.1 Command rejected"
    );
    assert!(
        notes.last("refused ").contains("rule=milter.reject"),
        "{}",
        notes.last("refused ")
    );
    // Going on regardless is refused.
    assert_eq!(
        client.say("MAIL FROM:<a@a.example>").unwrap(),
        "550 5.7.1 Command rejected"
    );
    assert!(client.say("EHLO client.example").unwrap().starts_with("250"));
    assert_eq!(client.say("unknown-fourxx").unwrap(), "450 4.2.0 come back");
    assert!(client.say("HELO client.example").unwrap().starts_with("250"));
    assert!(client.say("bogus").unwrap().starts_with("500 "));
    assert!(
        try_message(&mut client, "nothing", false)
            .last()
            .unwrap()
            .starts_with("250 ")
    );
    assert!(client.say("HELO helo-close").unwrap().starts_with("421 4.3.2 "));
    assert!(client.reply().is_err());
    // A filter that has seen enough is not asked again in this session.
    let mut client = server.connect();
    client.say("EHLO helo-accept").unwrap();
    let told = || {
        filter
            .notes()
            .iter()
            .filter(|line| line.starts_with("'mail'"))
            .count()
    };
    let before = told();
    assert!(
        try_message(&mut client, "mail-reject", false)
            .last()
            .unwrap()
            .starts_with("250 ")
    );
    assert_eq!(told(), before, "{:#?}", filter.notes());
}

#[test]
fn sessions() {
    for (answer, code, expected) in [
        ("Milter.REJECT", "", "554 5.7.1 Command rejected"),
        (
            "Milter.TEMPFAIL",
            "",
            "421 4.7.1 Service unavailable, please try again later",
        ),
        (
            "Milter.REJECT",
            "'550', '5.7.1', 'You again'",
            "554 5.7.1 You again",
        ),
        (
            "Milter.TEMPFAIL",
            "'450', '4.2.0', 'come back'",
            "421 4.2.0 come back",
        ),
        ("Milter.ACCEPT", "", "220"),
    ] {
        let reply = if code.is_empty() {
            String::new()
        } else {
            format!("        self.setreply({code})\n")
        };
        let filter = PythonMilter::start(&format!(
            "class Filter(Recorder):\n    def connect(self, host, family, address):\n{reply}        return {answer}\n"
        ));
        let (server, notes) = start(Options::mx(), vec![milter("python", filter.address())]);
        let (mut client, greeting) = Client::connect(server.port).unwrap();
        if expected == "220" {
            assert!(greeting.starts_with("220 "), "{greeting}");
            client.say("EHLO x").unwrap();
            assert!(
                try_message(&mut client, "a", false)
                    .last()
                    .unwrap()
                    .starts_with("250 ")
            );
            assert!(!filter.notes().iter().any(|line| line.contains("mail")));
            continue;
        }
        assert_eq!(greeting, expected);
        assert!(client.say("EHLO x").is_err(), "{answer}: it is over");
        assert!(
            notes.last("refused ").contains("rule=milter."),
            "{}",
            notes.last("refused ")
        );
    }
}
