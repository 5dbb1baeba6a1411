//! What survives: killed processes, and long random histories against a model.
//!
//! Invariants 1 and 2 of the design: what was acknowledged is there after a crash, and every recipient of it has at most one
//! outcome, the one that was acknowledged, or is still to be delivered.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::*;
use postern_mail::QueueId;
use postern_policy::rule::Rule;
use postern_spool::{Body, Event, Hold, Outcome, OutcomeKind, Selection, Spool, SpoolSettings, SqliteSpool};
use proptest::prelude::*;

const FOLDER: &str = "POSTERN_TEST_FOLDER";
const SEED: &str = "POSTERN_TEST_SEED";
const RECIPIENTS: [&str; 3] = ["a@one.example", "b@two.example", "c@one.example"];

/// Rounds of killing: a few in an ordinary run, more with `POSTERN_KILL_ROUNDS=100`.
fn rounds() -> u64 {
    std::env::var("POSTERN_KILL_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(6)
}

/// What the parent knows about a message from the child's output.
#[derive(Default)]
struct Known {
    body: Option<usize>,
    /// Outcomes that were begun, and those that were acknowledged.
    begun: BTreeMap<u32, BTreeSet<&'static str>>,
    acknowledged: BTreeMap<u32, &'static str>,
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut known: HashMap<QueueId, Known> = HashMap::new();
    for round in 0..rounds() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "killed_child",
                "--exact",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FOLDER, folder.path())
            .env(SEED, round.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || output.lines().map_while(Result::ok).collect::<Vec<_>>());
        // From the first moments of opening to well into the work, including checkpoints.
        std::thread::sleep(Duration::from_millis(60 + (round * 7919) % 900));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            learn(&mut known, &line);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(verify(folder.path(), &known));
        check_consistency(folder.path());
    }
    assert!(
        known.len() as u64 > rounds() * 10,
        "the child hardly worked: {} messages",
        known.len()
    );
}

fn learn(known: &mut HashMap<QueueId, Known>, line: &str) {
    // The first line follows output of the test harness.
    let line = line.strip_prefix("test killed_child ... ").unwrap_or(line);
    let words: Vec<_> = line.split(' ').collect();
    let kind = |word: &str| {
        ["delivered", "bounced", "removed", "deferred"]
            .into_iter()
            .find(|kind| *kind == word)
    };
    match words[..] {
        ["put", id, body] => {
            let known = known.entry(id.parse().unwrap()).or_default();
            known.body = Some(body.parse().unwrap());
        }
        ["begun", id, index, outcome] => {
            let known = known.entry(id.parse().unwrap()).or_default();
            known
                .begun
                .entry(index.parse().unwrap())
                .or_default()
                .extend(kind(outcome));
        }
        ["settled", id, index, outcome] => {
            let known = known.entry(id.parse().unwrap()).or_default();
            known
                .acknowledged
                .extend(kind(outcome).map(|kind| (index.parse().unwrap(), kind)));
        }
        // Output of the test harness, and a line that the kill cut short.
        _ => {}
    }
}

async fn verify(folder: &Path, known: &HashMap<QueueId, Known>) {
    let spool = open(folder);
    for (id, known) in known {
        let Some(body) = known.body else { continue };
        let history = spool.history(*id).await.unwrap();
        let queued = spool.load(*id).await.unwrap();
        let outcomes: BTreeMap<_, _> = history
            .iter()
            .map(|entry| (entry.index, name(entry.kind)))
            .collect();
        assert_eq!(outcomes.len(), history.len(), "{id}: one outcome a recipient");
        for index in 0..RECIPIENTS.len() as u32 {
            let begun = known.begun.get(&index);
            match outcomes.get(&index) {
                // A kill during the commit leaves open whether it counted, but nothing else can have happened.
                Some(outcome) => {
                    assert!(
                        begun.is_some_and(|begun| begun.contains(outcome)),
                        "{id}: nobody asked for {outcome}"
                    );
                }
                None => assert!(queued.is_some(), "{id}: recipient {index} is lost"),
            }
            if let Some(kind) = known.acknowledged.get(&index) {
                assert_eq!(outcomes.get(&index), Some(kind), "{id}: what was recorded stays");
            }
        }
        assert_eq!(
            queued.is_some(),
            outcomes.len() < RECIPIENTS.len(),
            "{id}: queued as long as one is open"
        );
        if let Some(message) = queued {
            assert_eq!(
                content(&spool, &message).await.unwrap(),
                [PREFIX, &body_of(*id, body)].concat(),
                "{id}"
            );
        }
    }
    let aside = postern_spool::Aside::of(folder);
    assert!(aside.finds.is_empty(), "a kill damages nothing: {aside:?}");
    // No recipient is stuck as in memory of a process that is gone.
    let total: u64 = spool.counts().recipients;
    let mut due = 0;
    for domain in ["one.example", "two.example"] {
        for work in take_due(&spool, domain, later(86_400), usize::MAX).await.unwrap() {
            due += work.recipients.len() as u64;
        }
    }
    assert_eq!(due, total, "all open recipients can be found");
    spool.close().await.unwrap();
}

fn name(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Delivered => "delivered",
        OutcomeKind::Bounced => "bounced",
        OutcomeKind::Expired => "expired",
        OutcomeKind::Removed => "removed",
    }
}

fn body_of(id: QueueId, len: usize) -> Vec<u8> {
    let seed = id.as_i64() as usize;
    (0..len)
        .map(|place| (place.wrapping_mul(31) ^ seed) as u8)
        .collect()
}

#[test]
#[ignore = "run by a_killed_process_loses_nothing_it_acknowledged, which kills it"]
fn killed_child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut settings = SpoolSettings::new(Path::new(&folder));
        settings.log_bytes = 512 * 1024;
        settings.reserve_bytes = 0;
        let spool = std::sync::Arc::new(SqliteSpool::open(settings).unwrap());
        let mut subscription = spool.subscribe();
        let deliver = spool.clone();
        tokio::spawn(async move {
            while let Some(event) = subscription.recv().await {
                if let Event::Fresh(message) = event {
                    tokio::spawn(child_delivers(deliver.clone(), message.id));
                }
            }
        });
        let producers: Vec<_> = (0..8)
            .map(|number| tokio::spawn(child_puts(spool.clone(), seed * 100 + number)))
            .collect();
        for producer in producers {
            producer.await.unwrap();
        }
    });
}

async fn child_puts(spool: std::sync::Arc<SqliteSpool>, seed: u64) {
    let mut random = Random(seed + 1);
    loop {
        let len = if random.below(8) == 0 {
            70_000 + random.below(200_000)
        } else {
            random.below(9000)
        } as usize;
        let mut message = new_message(&spool, &RECIPIENTS, b"");
        message.queue_only = random.below(4) == 0;
        let id = message.id;
        let mut writer = spool.body_writer(id);
        for piece in body_of(id, len).chunks(10_000) {
            writer.write(piece).await.unwrap();
        }
        message.body = writer.finish().await.unwrap();
        assert_eq!(matches!(message.body, Body::File(_)), len > 65_536);
        spool.put(message).await.unwrap();
        say(&format!("put {id} {len}"));
    }
}

async fn child_delivers(spool: std::sync::Arc<SqliteSpool>, id: QueueId) {
    let mut random = Random(id.as_i64() as u64);
    for index in 0..3 {
        let (kind, outcome) = match random.below(5) {
            0 => ("bounced", bounced()),
            1 => ("deferred", deferred(later(60))),
            _ => ("delivered", delivered()),
        };
        if index == 2 && random.below(10) == 0 {
            for open in 0..3 {
                say(&format!("begun {id} {open} removed"));
            }
            spool.remove(Selection::Ids(vec![id]), "root").await.unwrap();
            return;
        }
        say(&format!("begun {id} {index} {kind}"));
        settle(&spool, id, index, outcome).await;
        if kind != "deferred" {
            say(&format!("settled {id} {index} {kind}"));
        }
    }
}

/// Writes a line unbuffered, so that the kill cannot lose it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Numbers that depend only on the seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One step of a random history; messages are numbered in order.
#[derive(Clone, Debug)]
enum Step {
    Put {
        recipients: usize,
        hold: bool,
        queue_only: bool,
    },
    Settle {
        message: usize,
        index: u32,
        outcome: u8,
    },
    Hold(usize),
    Release(usize),
    Remove(usize),
    Retry(usize),
    Flush,
    /// Drops all fresh messages unsettled.
    Forget,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let message = 0..12_usize;
    prop_oneof![
        6 => (1..4_usize, prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(recipients, hold, queue_only)| Step::Put { recipients, hold, queue_only }),
        8 => (message.clone(), 0..4_u32, 0..4_u8)
            .prop_map(|(message, index, outcome)| Step::Settle { message, index, outcome }),
        1 => message.clone().prop_map(Step::Hold),
        1 => message.clone().prop_map(Step::Release),
        1 => message.clone().prop_map(Step::Remove),
        1 => message.prop_map(Step::Retry),
        1 => Just(Step::Flush),
        1 => Just(Step::Forget),
        1 => Just(Step::Restart),
    ]
}

/// What the queue should hold.
#[derive(Default)]
struct Model {
    messages: Vec<ModelMessage>,
}

struct ModelMessage {
    id: QueueId,
    held: bool,
    outcomes: Vec<Option<OutcomeKind>>,
}

impl ModelMessage {
    fn open(&self) -> bool {
        self.outcomes.iter().any(Option::is_none)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_books(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}

async fn play(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let settings = || {
        let mut settings = SpoolSettings::new(folder.path());
        settings.reserve_bytes = 0;
        settings.outcome_wait = Duration::from_micros(100);
        settings
    };
    let mut spool = SqliteSpool::open(settings()).unwrap();
    let mut subscription = spool.subscribe();
    let mut fresh = Vec::new();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Restart => {
                fresh.clear();
                drop(subscription);
                drop(spool);
                spool = SqliteSpool::open(settings()).unwrap();
                subscription = spool.subscribe();
            }
            Step::Forget => fresh.clear(),
            step => take_step(&spool, &mut model, step).await,
        }
        while let Some(event) = subscription.try_recv() {
            fresh.extend(match event {
                Event::Fresh(message) => Some(message),
                _ => None,
            });
        }
        compare(&spool, &model).await;
    }
    drop(spool);
    check_consistency(folder.path());
}

async fn take_step(spool: &SqliteSpool, model: &mut Model, step: Step) {
    let count = model.messages.len();
    let one = |number: usize| {
        Selection::Ids(
            model
                .messages
                .get(number)
                .map(|message| message.id)
                .into_iter()
                .collect(),
        )
    };
    match step {
        Step::Put {
            recipients,
            hold,
            queue_only,
        } => {
            let mut message = new_message(spool, &RECIPIENTS[..recipients], b"x");
            message.hold = hold.then(|| Hold::by_milter("scan", Rule::MilterHold, "odd"));
            message.queue_only = queue_only;
            let id = spool.put(message).await.unwrap().id;
            model.messages.push(ModelMessage {
                id,
                held: hold,
                outcomes: vec![None; recipients],
            });
        }
        Step::Settle {
            message,
            index,
            outcome,
        } if message < count => {
            let target = &mut model.messages[message];
            let (kind, outcome) = match outcome {
                0 => (Some(OutcomeKind::Bounced), bounced()),
                1 => (None, deferred(later(3600))),
                2 => (
                    Some(OutcomeKind::Expired),
                    Outcome::Expired(attempt("451 4.4.7 too late")),
                ),
                _ => (Some(OutcomeKind::Delivered), delivered()),
            };
            let settled = settle(spool, target.id, index, outcome).await;
            let counts = target.outcomes.get(index as usize) == Some(&None);
            assert_eq!(settled.duplicates.is_empty(), counts);
            if counts {
                target.outcomes[index as usize] = kind;
            } else {
                assert_eq!(
                    settled.duplicates[0].first,
                    target.outcomes.get(index as usize).copied().flatten()
                );
            }
        }
        Step::Hold(number) => {
            let held = spool.hold(one(number), "root", "why").await.unwrap();
            if let Some(message) = model.messages.get_mut(number) {
                assert_eq!(held, u64::from(message.open() && !message.held));
                message.held |= message.open();
            }
        }
        Step::Release(number) => {
            let released = spool.release(one(number), "root").await.unwrap();
            if let Some(message) = model.messages.get_mut(number) {
                assert_eq!(released, u64::from(message.open() && message.held));
                message.held &= !message.open();
            }
        }
        Step::Remove(number) => {
            let removed = spool.remove(one(number), "root").await.unwrap();
            if let Some(message) = model.messages.get_mut(number) {
                assert_eq!(removed, u64::from(message.open()));
                for outcome in &mut message.outcomes {
                    outcome.get_or_insert(OutcomeKind::Removed);
                }
            }
        }
        Step::Retry(number) => drop(spool.retry_now(one(number), "root").await.unwrap()),
        Step::Flush => drop(spool.flush(None, "root").await.unwrap()),
        Step::Settle { .. } | Step::Forget | Step::Restart => {}
    }
}

async fn compare(spool: &SqliteSpool, model: &Model) {
    let open: Vec<_> = model.messages.iter().filter(|message| message.open()).collect();
    let counts = spool.counts();
    assert_eq!(counts.messages, open.len() as u64);
    assert_eq!(
        counts.held,
        open.iter().filter(|message| message.held).count() as u64
    );
    let recipients = model
        .messages
        .iter()
        .flat_map(|message| &message.outcomes)
        .filter(|one| one.is_none())
        .count();
    assert_eq!(counts.recipients, recipients as u64);
    for message in &model.messages {
        assert_eq!(spool.load(message.id).await.unwrap().is_some(), message.open());
        let history = spool.history(message.id).await.unwrap();
        let mut outcomes = vec![None; message.outcomes.len()];
        for entry in &history {
            outcomes[entry.index as usize] = Some(entry.kind);
        }
        assert_eq!(outcomes, message.outcomes);
    }
}

/// Ids, totals and what is in memory are kept per machine; a machine that opens the queue alone takes over what others have left.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_another_number_takes_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let numbered = |node| {
        SqliteSpool::open(SpoolSettings {
            node,
            ..SpoolSettings::new(folder.path())
        })
        .unwrap()
    };
    let spool = numbered(3);
    let mut subscription = spool.subscribe();
    let id = put(&spool, &[OUTSIDE]).await.id;
    assert_eq!(id.node(), 3);
    // In memory until the end of that run.
    let fresh = event(&mut subscription).await;
    spool.close().await.unwrap();
    drop((spool, subscription, fresh));

    let spool = numbered(200);
    assert_eq!(spool.counts().messages, 1);
    assert_eq!(due_ids(&spool, "outside.example").await, [id]);
    let held = spool.lease("outside.example", now(), 1).await.unwrap();
    assert_eq!(held[0].lease.owner().node, 200);
    drop(held);
    let second = put(&spool, &[OUTSIDE, "b@inside.example"]).await;
    assert_eq!(second.id.node(), 200);
    assert!(second.id > id);
    assert!(settle(&spool, id, 0, delivered()).await.finished);
    assert_eq!((spool.counts().messages, spool.counts().recipients), (1, 2));
    spool.close().await.unwrap();
    drop((spool, second));
    check_consistency(folder.path());
    let connection = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    let mut rows = connection
        .prepare("SELECT id, messages FROM totals ORDER BY id")
        .unwrap();
    let rows: Vec<(i64, i64)> = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    // One was accepted by the first machine and delivered by the second, which has accepted another since.
    assert_eq!(rows, [(1, 0), (4, 1), (201, 0)]);
}
