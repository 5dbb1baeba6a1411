//! A filter that misbehaves at each stage: `on_failure` decides about that message only, and the filter is asked again
//! afterwards.

use std::time::Duration;

use postern_policy::milter::OnFailure;
use postern_testkit::milter::{Act, PythonMilter, ScriptedMilter, content, packet};

use super::support::{CONTENT, Notes, greeted, milter, send, start};
use crate::harness::{Options, Server};

/// What a filter does wrong, and how.
type Misdeed = (&'static str, fn() -> Act);

/// On its first connection.
const FAULTS: [Misdeed; 5] = [
    ("dies", || Act::Die(Vec::new())),
    ("sends garbage", || Act::Say(packet(b'z', b""))),
    ("sends too much", || Act::Say(b"\x7f\0\0\x01b".to_vec())),
    ("answers out of turn", || Act::Say(packet(b'h', b"x\0y\0"))),
    ("answers twice", || {
        Act::Say([packet(b'c', b""), packet(b'c', b"")].concat())
    }),
];

const STAGES: [u8; 8] = *b"MRTLNBEC";

fn misbehaving(stage: u8, fault: fn() -> Act) -> ScriptedMilter {
    ScriptedMilter::start(move |connection, letter, _| {
        if connection == 1 && letter == stage {
            fault()
        } else {
            content(letter)
        }
    })
}

fn receiver(filter: &ScriptedMilter, then: OnFailure) -> (Server, Notes) {
    let mut settings = milter("odd", &filter.address());
    settings.on_failure = then;
    settings.filter.timeouts.command = Duration::from_secs(20);
    settings.filter.timeouts.end_of_message = Duration::from_secs(20);
    start(Options::mx(), vec![settings])
}

#[test]
fn at_each_stage() {
    let ways = [
        OnFailure::Tempfail,
        OnFailure::Accept,
        OnFailure::Reject,
        OnFailure::Hold,
    ];
    for (place, stage) in STAGES.into_iter().enumerate() {
        for (number, (fault, act)) in FAULTS.into_iter().enumerate() {
            // Each stage is tried with each fault and each `on_failure`, but not with all combinations.
            let then = ways[(place + number) % ways.len()];
            let shows = format!("{fault} at {}, then {then:?}", char::from(stage));
            let filter = misbehaving(stage, act);
            let (server, notes) = receiver(&filter, then);
            let mut client = greeted(&server);
            let reply = send(&mut client, CONTENT);
            // Before a message it has no effect: at `MAIL` the filter is asked again.
            let told = if stage == b'C' { OnFailure::Accept } else { then };
            let code = match told {
                OnFailure::Accept | OnFailure::Hold => "250 2.0.0 ",
                OnFailure::Tempfail => "451 4.7.1 ",
                OnFailure::Reject => "550 5.7.1 ",
            };
            assert!(reply.starts_with(code), "{shows}: {reply}");
            let held = u64::from(told == OnFailure::Hold);
            assert_eq!(server.spool.counts().held, held, "{shows}");
            if reply.starts_with("250") {
                assert!(server.message(&reply).1.ends_with(CONTENT), "{shows}");
                if stage != b'C' {
                    let told = notes.last("filtered ");
                    assert!(told.contains("rule=milter.failed-"), "{shows}: {told}");
                }
            } else {
                let told = notes.last("refused ");
                assert!(
                    told.contains("rule=milter.failed-") && told.contains("reason=odd failed at "),
                    "{told}"
                );
                assert_eq!(server.queued(), 0, "{shows}");
            }
            // The next message, in the same session, is filtered.
            let before = server.queued();
            let reply = send(&mut client, CONTENT);
            assert!(reply.starts_with("250 2.0.0 "), "{shows}: {reply}");
            assert_eq!(server.queued(), before + 1, "{shows}");
            assert_eq!(
                server.spool.counts().held,
                held,
                "{shows}: nothing of the failure is left"
            );
            assert!(filter.heard(2).ends_with('E'), "{shows}: {}", filter.heard(2));
            assert_eq!(notes.all("filter fails ").len(), 1, "{shows}");
            assert_eq!(notes.all("filter answers again ").len(), 1, "{shows}");
        }
    }
}

#[test]
fn one_that_hangs_is_waited_for_no_longer_than_it_may_take() {
    for stage in *b"MRLBE" {
        let filter = misbehaving(stage, || Act::Hang);
        let mut settings = milter("slow", &filter.address());
        settings.filter.timeouts.command = Duration::from_secs(1);
        settings.filter.timeouts.end_of_message = Duration::from_secs(1);
        let (server, notes) = start(Options::mx(), vec![settings]);
        let mut client = greeted(&server);
        let reply = send(&mut client, CONTENT);
        assert!(reply.starts_with("451 4.7.1 "), "{}: {reply}", char::from(stage));
        let told = notes.last("refused ");
        assert!(told.contains("it did not finish within 1 s"), "{told}");
    }
}

#[test]
fn one_that_is_down_is_asked_again_by_itself() {
    let mut filter = PythonMilter::start("class Filter(Recorder):\n    pass\n");
    let (server, notes) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    assert!(send(&mut client, CONTENT).starts_with("250 "));
    filter.stop();
    for _ in 0..3 {
        let reply = send(&mut client, CONTENT);
        assert!(reply.starts_with("451 4.7.1 "), "{reply}");
    }
    assert_eq!(notes.all("filter fails ").len(), 1, "told once");
    filter.restart();
    postern_testkit::process::wait_until("it is asked again", || {
        send(&mut greeted(&server), CONTENT).starts_with("250 ")
    });
    assert_eq!(notes.all("filter answers again ").len(), 1);
}

#[test]
fn what_came_before_a_failure_is_dropped() {
    // Half of a new body, a field, a quarantine; then the connection breaks.
    let filter = ScriptedMilter::start(|connection, letter, _| match letter {
        b'E' if connection == 1 => Act::Die(
            [
                packet(b'h', b"X-Half\0y\0"),
                packet(b'b', b"half a body"),
                packet(b'q', b"odd\0"),
            ]
            .concat(),
        ),
        _ => content(letter),
    });
    let (server, _) = receiver(&filter, OnFailure::Accept);
    let mut client = greeted(&server);
    let reply = send(&mut client, CONTENT);
    assert!(server.message(&reply).1.ends_with(&format!("\r\n{CONTENT}")));
    assert_eq!(server.spool.counts().held, 0);
}
