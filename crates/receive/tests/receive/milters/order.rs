//! Several filters, conditions, reload and stop.

use std::sync::Arc;
use std::time::Duration;

use postern_mail::{Header, NewField};
use postern_policy::milter::Conditions;
use postern_receive::AuthRule;
use postern_spool::{
    Arrival, Assembly, Inspection, InspectionFuture, Inspector, Inspectors, NewBodies, Stage,
};
use postern_testkit::milter::{PythonMilter, ScriptedMilter, content};

use super::support::{CONTENT, greeted, milter, send, start};
use crate::harness::Options;

/// A filter that adds its name to header and body, and notes what it sees.
fn writing(name: &str) -> PythonMilter {
    PythonMilter::start(&format!(
        r"
class Filter(Recorder):
    def envfrom(self, sender, *parameters):
        self.text = b''
        return Milter.CONTINUE
    def body(self, piece):
        self.text += piece
        return Milter.CONTINUE
    def eom(self):
        self.note('saw', self.text)
        self.addheader('X-Seen', '{name}')
        self.replacebody(self.text + b'{name}\r\n')
        return Milter.CONTINUE
"
    ))
}

#[test]
fn what_one_changes_the_next_one_sees() {
    let filters = [writing("one"), writing("two"), writing("three")];
    let names = ["one", "two", "three"];
    let milters = names
        .iter()
        .zip(&filters)
        .map(|(name, filter)| milter(name, filter.address()));
    let (server, notes) = start(Options::mx(), milters.collect());
    let mut client = greeted(&server);
    let reply = send(&mut client, CONTENT);
    let queued = server.message(&reply).1;
    assert!(
        queued
            .ends_with("X-Seen: one\r\nX-Seen: two\r\nX-Seen: three\r\n\r\nbody\r\none\r\ntwo\r\nthree\r\n"),
        "{queued}"
    );
    filters[2].wait_for("saw", 1);
    let seen = filters[2].notes();
    let fields: Vec<_> = seen
        .iter()
        .filter(|line| line.starts_with("'header' 'X-Seen'"))
        .collect();
    assert_eq!(fields, ["'header' 'X-Seen' b'one'", "'header' 'X-Seen' b'two'"]);
    assert!(
        seen.iter()
            .any(|line| line == "'saw' b'body\\r\\none\\r\\ntwo\\r\\n'"),
        "{seen:#?}"
    );
    assert!(
        !seen.iter().any(|line| line.contains("'Received'")),
        "ours is not theirs: {seen:#?}"
    );
    assert_eq!(notes.all("filtered ").len(), 3);
}

#[test]
fn large_bodies_go_through_filters_that_wait_for_each_other() {
    let filters = [writing("one"), writing("two")];
    let names = ["one", "two"];
    let milters = names
        .iter()
        .zip(&filters)
        .map(|(name, filter)| milter(name, filter.address()));
    let (server, _) = start(Options::mx(), milters.collect());
    let mut client = greeted(&server);
    let body = "All work and no play makes Jack a dull boy.\r\n".repeat(20_000);
    let reply = send(&mut client, &format!("A: b\r\n\r\n{body}"));
    let queued = server.message(&reply).1;
    assert!(queued.ends_with(&format!("X-Seen: two\r\n\r\n{body}one\r\ntwo\r\n")));
}

#[test]
fn the_first_to_decide_decides() {
    let deciding = |at: &str, answer: &str| {
        PythonMilter::start(&format!(
            "class Filter(Recorder):\n    def {at}(self, *rest):\n        self.note('decides')\n        return {answer}\n"
        ))
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows              the first                                the second                          reply     queued  who
        ("the first refuses",               deciding("eoh", "Milter.REJECT"),        deciding("eoh", "Milter.DISCARD"),  "550",    0,      "one"),
        ("the second refuses",              deciding("eoh", "Milter.ACCEPT"),        deciding("eom", "Milter.REJECT"),   "550",    0,      "two"),
        ("the second refuses at once",      deciding("eom", "Milter.CONTINUE"),      deciding("eoh", "Milter.REJECT"),   "550",    0,      "two"),
        ("the first has it thrown away",    deciding("eom", "Milter.DISCARD"),       deciding("eoh", "Milter.REJECT"),   "250",    0,      "one"),
        ("both let it through",             deciding("envfrom", "Milter.ACCEPT"),    deciding("eom", "Milter.ACCEPT"),   "250",    1,      ""),
    ];
    for (shows, first, second, code, queued, who) in cases {
        let milters = vec![milter("one", first.address()), milter("two", second.address())];
        let (server, notes) = start(Options::mx(), milters);
        let mut client = greeted(&server);
        let reply = send(&mut client, CONTENT);
        assert!(reply.starts_with(code), "{shows}: {reply}");
        assert_eq!(server.queued(), queued, "{shows}");
        let told = [notes.last("refused "), notes.last("discarded ")].concat();
        assert!(
            told.contains(&format!("reason={who} ")) || who.is_empty(),
            "{shows}: {told}"
        );
    }
}

#[test]
fn who_is_passed_by() {
    let filter = PythonMilter::start(
        "class Filter(Recorder):\n    def envfrom(self, *rest):\n        return Milter.REJECT\n",
    );
    let conditions = Conditions::default;
    #[rustfmt::skip]
    let cases = [
        // what the case shows      conditions                                                                      login   size     asked
        ("nobody",                  conditions(),                                                                   false,  "",      true),
        ("another listener",        Conditions { listeners: Some(vec!["inside".into()]), ..conditions() },          false,  "",      false),
        ("this listener",           Conditions { listeners: Some(vec!["test".into()]), ..conditions() },            false,  "",      true),
        ("strangers",               Conditions { skip_strangers: true, ..conditions() },                            false,  "",      false),
        ("not logins",              Conditions { skip_strangers: true, ..conditions() },                            true,   "",      true),
        ("logins",                  Conditions { skip_logins: true, ..conditions() },                               true,   "",      false),
        ("not strangers",           Conditions { skip_logins: true, ..conditions() },                               false,  "",      true),
        ("a network",               Conditions { skip_networks: vec!["127.0.0.0/8".parse().unwrap()], ..conditions() }, false, "",   false),
        ("large ones",              Conditions { skip_above: Some(1_000), ..conditions() },                         false,  " SIZE=1001", false),
        ("not small ones",          Conditions { skip_above: Some(1_000), ..conditions() },                         false,  " SIZE=1000", true),
    ];
    for (shows, conditions, login, size, asked) in cases {
        let mut options = Options::mx();
        options.listener.auth = AuthRule::Offer;
        let mut settings = milter("python", filter.address());
        settings.conditions = conditions;
        let (server, _) = start(options, vec![settings]);
        let mut client = if login {
            server.logged_in()
        } else {
            greeted(&server)
        };
        let reply = client.say(&format!("MAIL FROM:<a@a.example>{size}")).unwrap();
        let refused = reply.starts_with("550 5.7.1 ");
        assert_eq!(refused, asked, "{shows}: {reply}");
    }
}

#[test]
fn a_message_that_grows_too_large_is_asked_about_no_more() {
    let filter =
        PythonMilter::start("class Filter(Recorder):\n    def eom(self):\n        return Milter.REJECT\n");
    let mut settings = milter("python", filter.address());
    settings.conditions.skip_above = Some(100_000);
    let (server, _) = start(Options::mx(), vec![settings]);
    let mut client = greeted(&server);
    let of = |octets: usize| {
        let line = "y".repeat(98) + "\r\n";
        format!("A: b\r\n\r\n{}", line.repeat(octets / 100))
    };
    assert!(send(&mut client, &of(10_000)).starts_with("550 "));
    assert!(send(&mut client, &of(200_000)).starts_with("250 "));
    filter.wait_for("'abort'", 1);
    assert!(
        send(&mut client, &of(10_000)).starts_with("550 "),
        "the next one is asked about again"
    );
}

/// Adds its verdict to the header, as a judge does.
struct Judge;

struct Judging;

impl Inspector for Judge {
    fn stage(&self) -> Stage {
        Stage::Judge
    }

    fn begin(&self, _: &Arrival<'_>) -> Option<Box<dyn Inspection>> {
        Some(Box::new(Judging))
    }
}

impl Inspection for Judging {
    fn header<'a>(&'a mut self, _: &'a Header) -> InspectionFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    fn body<'a>(&'a mut self, _: &'a [u8]) -> InspectionFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        _: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a> {
        Box::pin(async move {
            let own = assembly.own_fields();
            let field = NewField::new("X-Judged", b"fine").unwrap();
            assembly.header_mut().insert(own, &field).unwrap();
            Ok(())
        })
    }
}

#[test]
fn filters_see_what_a_judge_says() {
    let filter = writing("one");
    let options = Options {
        inspectors: Inspectors::new(vec![Arc::new(Judge)]),
        ..Options::mx()
    };
    let (server, _) = start(options, vec![milter("one", filter.address())]);
    let mut client = greeted(&server);
    let reply = send(&mut client, CONTENT);
    assert!(
        server
            .message(&reply)
            .1
            .ends_with("X-Seen: one\r\n\r\nbody\r\none\r\n")
    );
    filter.wait_for("'saw' b'body\\r\\n'", 1);
    assert!(
        filter
            .notes()
            .iter()
            .any(|line| line == "'header' 'X-Judged' b'fine'"),
        "{:#?}",
        filter.notes()
    );
}

#[test]
fn a_reload_is_for_sessions_that_begin_then() {
    let (first, second) = (writing("first"), writing("second"));
    let (server, _) = start(Options::mx(), vec![milter("first", first.address())]);
    let mut old = greeted(&server);
    assert!(
        server
            .message(&send(&mut old, CONTENT))
            .1
            .contains("X-Seen: first\r\n")
    );
    let mut settings = (**server.settings.load()).clone();
    settings.milters = vec![milter("second", second.address())];
    server.settings.store(Arc::new(settings.clone()));
    let mut new = greeted(&server);
    assert!(
        server
            .message(&send(&mut new, CONTENT))
            .1
            .contains("X-Seen: second\r\n")
    );
    assert!(
        server
            .message(&send(&mut old, CONTENT))
            .1
            .contains("X-Seen: first\r\n")
    );
    settings.milters.clear();
    server.settings.store(Arc::new(settings));
    let mut none = greeted(&server);
    assert!(!server.message(&send(&mut none, CONTENT)).1.contains("X-Seen"));
    assert!(
        server
            .message(&send(&mut new, CONTENT))
            .1
            .contains("X-Seen: second\r\n")
    );
}

#[test]
fn connections_are_used_again_and_a_stop_closes_them() {
    let filter = ScriptedMilter::start(|_, letter, _| content(letter));
    let mut settings = milter("one", &filter.address());
    settings.filter.idle_time = Duration::from_secs(600);
    let (mut server, _) = start(Options::mx(), vec![settings]);
    for _ in 0..3 {
        let mut client = greeted(&server);
        assert!(send(&mut client, CONTENT).starts_with("250 "));
        client.say("QUIT").unwrap();
        // The server is done with the session after the client is.
        postern_testkit::process::wait_until("the connection is given back", || {
            filter.heard(1).ends_with('K')
        });
    }
    assert_eq!(filter.heard(1), "OCHMRTLLNBEKCHMRTLLNBEKCHMRTLLNBEK");
    assert_eq!(filter.heard(2), "", "one connection for all of them");
    assert!(!filter.has_ended(1));
    server.stop();
    postern_testkit::process::wait_until("the connection is closed", || filter.has_ended(1));
}

#[test]
fn one_that_is_not_used_is_closed_after_a_while() {
    let filter = ScriptedMilter::start(|_, letter, _| content(letter));
    let mut settings = milter("one", &filter.address());
    settings.filter.idle_time = Duration::from_millis(100);
    let (server, _) = start(Options::mx(), vec![settings]);
    let mut client = greeted(&server);
    assert!(send(&mut client, CONTENT).starts_with("250 "));
    client.say("QUIT").unwrap();
    postern_testkit::process::wait_until("the connection is closed", || filter.has_ended(1));
}
