//! A filter without a library that misbehaves at every stage, in every way, through the server: `on_failure` only decides about
//! that message, the session continues, nothing is lost or duplicated, and each outage is logged once when it begins and once
//! when it ends.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use postern_testkit::milter::{Act, ScriptedMilter, content, packet};
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;
use serde_json::Value;

use super::tables;
use crate::harness::Site;

/// The letters of the steps, in order: from the negotiation to the end of the message.
const STAGES: &[u8] = b"OCHMRTLNBE";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Dies,
    Hangs,
    /// A change where none is allowed; at the end, where they are, one answer too many.
    OutOfTurn,
    /// An unknown packet.
    Garbage,
    TooLarge,
    /// Agreement on a nonexistent version, or a negotiation answer at another stage.
    WrongVersion,
}

const FAULTS: [Fault; 5] = [
    Fault::Dies,
    Fault::OutOfTurn,
    Fault::Garbage,
    Fault::TooLarge,
    Fault::WrongVersion,
];

impl Fault {
    fn act(self, stage: u8) -> Act {
        Act::Say(match self {
            Self::Dies => return Act::Die(Vec::new()),
            Self::Hangs => return Act::Hang,
            Self::OutOfTurn if stage == b'E' => [packet(b'c', b""), packet(b'c', b"")].concat(),
            Self::OutOfTurn => packet(b'h', b"X-Early\0yes\0"),
            Self::Garbage => packet(b'?', b"\xff\0\xfe"),
            Self::TooLarge => b"\x7f\xff\xff\xffb".to_vec(),
            Self::WrongVersion => packet(b'O', &[99_u32, 0, 0].map(u32::to_be_bytes).concat()),
        })
    }
}

/// What the filter should do wrong now, and where.
type Plan = Arc<Mutex<Option<(u8, Fault)>>>;

/// A running site with the filter and its next hop.
struct Bench {
    site: Site,
    sink: Sink,
    filter: ScriptedMilter,
    plan: Plan,
    on_failure: &'static str,
    /// Subjects of expected messages, and whether the filter has seen it.
    expected: Vec<(String, bool)>,
    /// Number of outages.
    outages: usize,
}

impl Bench {
    fn start(on_failure: &'static str, time: &str) -> Self {
        let plan = Plan::default();
        let script = Arc::clone(&plan);
        let filter = ScriptedMilter::start(move |_, letter, _| match *script.lock().unwrap() {
            Some((stage, fault)) if stage == letter => fault.act(stage),
            _ if letter == b'E' => Act::Say([packet(b'h', b"X-Filtered\0yes\0"), packet(b'c', b"")].concat()),
            _ => content(letter),
        });
        let sink = Sink::start();
        // Each session has a separate connection, so that each begins with a negotiation.
        let settings = format!(
            "on_failure = \"{on_failure}\"\nidle_connections = 0\n\
             timeouts = {{ command = \"{time}\", end_of_message = \"{time}\" }}"
        );
        let mut site = Site::relay(sink.port(), &tables(&[("odd", &filter.address())], &settings));
        site.start();
        Self {
            site,
            sink,
            filter,
            plan,
            on_failure,
            expected: Vec::new(),
            outages: 0,
        }
    }

    fn send(client: &mut Client, subject: &str) -> String {
        let text = format!("From: tester@relay.test\r\nSubject: {subject}\r\n\r\nHello.\r\n");
        client
            .mail("tester@relay.test", &["bob@outside.example"], &text)
            .unwrap()
    }

    fn arrived(&self, subject: &str) -> Vec<String> {
        let line = format!("Subject: {subject}\r\n");
        let taken = self.sink.taken().into_iter();
        taken
            .map(|taken| taken.content)
            .filter(|text| text.contains(&line))
            .collect()
    }

    /// One message that meets the fault; `session` is used if there is one, and kept.
    fn meet(
        &mut self,
        subject: &str,
        session: &mut Option<Client>,
        fail: impl FnOnce(&Self),
        mend: impl FnOnce(&Self),
    ) {
        let shows = format!("{subject}, on_failure = {}", self.on_failure);
        fail(self);
        let client = session.get_or_insert_with(|| self.site.tester());
        let reply = Self::send(client, subject);
        mend(self);
        let code = match self.on_failure {
            "tempfail" => "451 4.7.1 ",
            "reject" => "550 5.7.1 ",
            _ => "250 2.0.0 ",
        };
        assert!(reply.starts_with(code), "{shows}: {reply}");
        match self.on_failure {
            "accept" => self.expected.push((subject.to_owned(), false)),
            "hold" => {
                let listed = self.site.ok(&["queue", "list", "--held", "--json"]);
                let listed: Value = serde_json::from_str(&listed).unwrap();
                assert_eq!(listed.as_array().map(Vec::len), Some(1), "{shows}: {listed}");
                assert_eq!(
                    (&listed[0]["milter"], &listed[0]["rule"]),
                    (&"odd".into(), &"milter.failed-hold".into()),
                    "{shows}: {listed}"
                );
                self.site.ok(&["queue", "release", "--held"]);
                self.expected.push((subject.to_owned(), false));
            }
            _ => {}
        }
        // The same session continues, and the filter is asked again automatically, after a pause if it could not be reached.
        let mut tries = 0;
        wait_until(&format!("the filter to be asked again ({shows})"), || {
            tries += 1;
            let next = format!("{subject}-after-{tries}");
            if !Self::send(client, &next).starts_with("250 ") {
                return false;
            }
            if self.on_failure == "hold" {
                self.site.ok(&["queue", "release", "--held"]);
            }
            wait_until(&format!("{next} to arrive"), || !self.arrived(&next).is_empty());
            let filtered = self.arrived(&next)[0].contains("X-Filtered: yes\r\n");
            self.expected.push((next, filtered));
            filtered
        });
        self.outages += 1;
    }

    fn plan(&self, plan: Option<(u8, Fault)>) {
        *self.plan.lock().unwrap() = plan;
    }

    /// Each stage with each of these faults.
    fn all(&mut self, faults: &[Fault]) {
        let mut session = None;
        for stage in STAGES {
            for fault in faults {
                if !b"MRTLNBE".contains(stage) {
                    // What comes before a message comes once per session.
                    session = None;
                }
                let subject = format!("{}-{fault:?}", char::from(*stage));
                let plan = (*stage, *fault);
                self.meet(
                    &subject,
                    &mut session,
                    |bench| bench.plan(Some(plan)),
                    |bench| bench.plan(None),
                );
            }
        }
    }

    /// It accepts no connections.
    fn down(&mut self) {
        let path = self.filter.address();
        let path = PathBuf::from(path.strip_prefix("unix:").unwrap());
        let away = path.with_extension("away");
        self.meet(
            "down",
            &mut None,
            |_| fs::rename(&path, &away).unwrap(),
            |_| fs::rename(&away, &path).unwrap(),
        );
    }

    /// Everything accepted has arrived correctly, once; the log mentions each outage twice. On a busy machine, a filter with
    /// little time may have had `more` outages than intended.
    fn finish(self, more: bool) {
        wait_until("an empty queue", || self.site.queue_is_empty());
        for (subject, filtered) in &self.expected {
            let arrived = self.arrived(subject);
            let [text] = arrived.as_slice() else {
                panic!("{subject} has arrived {} times", arrived.len())
            };
            assert_eq!(
                text.contains("X-Filtered: yes\r\n"),
                *filtered,
                "{subject}: {text}"
            );
            assert!(!text.contains("X-Early"), "{subject}: {text}");
        }
        assert_eq!(self.sink.total(), self.expected.len() as u64, "nothing else has");
        let told = |words: &str| {
            let log = self.site.log();
            let lines = log
                .lines()
                .filter(|line| line.contains(words) && line.contains("odd"));
            lines.count()
        };
        wait_until("the end of the last outage in the log", || {
            told("filter answers again") >= self.outages
        });
        let (begun, ended) = (told("filter fails"), told("filter answers again"));
        assert_eq!(begun, ended, "{}", self.on_failure);
        assert!(
            begun == self.outages || more,
            "{}: {begun} outages",
            self.on_failure
        );
    }
}

/// One site for each `on_failure`, side by side.
fn with_each(time: &str, more: bool, work: impl Fn(&mut Bench) + Sync) {
    std::thread::scope(|scope| {
        for on_failure in ["tempfail", "reject", "accept", "hold"] {
            let work = &work;
            scope.spawn(move || {
                let mut bench = Bench::start(on_failure, time);
                work(&mut bench);
                bench.finish(more);
            });
        }
    });
}

#[test]
fn every_fault_at_every_stage() {
    // Longer than any machine needs: only real errors fail.
    with_each("60s", false, |bench| {
        bench.all(&FAULTS);
        bench.down();
    });
}

#[test]
fn silence_at_every_stage() {
    with_each("1s", true, |bench| bench.all(&[Fault::Hangs]));
}
