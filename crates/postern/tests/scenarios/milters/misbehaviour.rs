//! A filter on libmilter that refuses, dies and hangs at every stage.

use postern_testkit::milter::PythonMilter;
use serde_json::json;

use super::{tables, tried};
use crate::harness::Site;

/// The name in `HELO` says what the filter does, and where, as in `reject.rcpt`.
const FILTER: &str = r"
class Filter(Recorder):
    plan = ''
    def act(self, stage):
        what, _, where = self.plan.partition('.')
        if where != stage:
            return Milter.CONTINUE
        if what == 'die':
            os._exit(1)
        if what == 'hang':
            time.sleep(3600)
        if what == 'reply':
            self.setreply('554', '5.7.1', 'not at ' + stage)
            return Milter.REJECT
        return getattr(Milter, what.upper())
    def hello(self, name):
        self.plan = name
        return self.act('helo')
    def envfrom(self, sender, *parameters):
        return self.act('mail')
    def envrcpt(self, recipient, *parameters):
        return self.act('rcpt')
    def data(self):
        return self.act('data')
    @Milter.decode('bytes')
    def header(self, name, value):
        return self.act('header')
    def eoh(self):
        return self.act('eoh')
    def body(self, piece):
        return self.act('body')
    def eom(self):
        self.addheader('X-Changed', '1')
        return self.act('eom')
";

const MESSAGE: &str = "From: ann@example.net\nTo: bob@example.org\nSubject: one\n\nHello.\n";

const STAGES: [&str; 8] = ["helo", "mail", "rcpt", "data", "header", "eoh", "body", "eom"];

#[test]
fn answers_and_failures_at_every_stage() {
    let mut filter = PythonMilter::start(FILTER);
    let times = "[milter.timeouts]\ncommand = \"500ms\"\nend_of_message = \"500ms\"";
    let site = Site::relay(1, &tables(&[("python", filter.address())], times));
    #[rustfmt::skip]
    let cases = [
        // what     how the command ends    outcome         at HELO
        ("accept",      0,                  "through",      Some("through")),
        ("reject",      1,                  "rejected",     Some("rejected")),
        ("tempfail",    1,                  "deferred",     Some("deferred")),
        ("reply",       1,                  "rejected",     Some("rejected")),
        // There is no message yet that could be discarded.
        ("discard",     1,                  "discarded",    Some("failed")),
        ("die",         69,                 "failed",       Some("failed")),
        ("hang",        69,                 "failed",       Some("failed")),
    ];
    for (what, code, outcome, at_helo) in cases {
        for stage in STAGES {
            let plan = format!("{what}.{stage}");
            let (ended, report) = tried(&site, "python", MESSAGE, &["--helo", &plan]);
            let outcome = at_helo.filter(|_| stage == "helo").unwrap_or(outcome);
            let code = if outcome == "failed" { 69 } else { code };
            assert_eq!(
                (ended, &report["outcome"]),
                (code, &json!(outcome)),
                "{plan}: {report}"
            );
            let made = report["changes"].as_array().unwrap().len();
            let through_to_the_end = outcome == "through" && stage == "eom";
            assert_eq!(made, usize::from(through_to_the_end), "{plan}: {report}");
            if what == "reply" {
                assert_eq!(report["reason"], format!("554 5.7.1 not at {stage}"));
            }
            if what == "die" || what == "hang" {
                filter.restart();
            }
        }
    }
}
