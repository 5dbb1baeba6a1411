//! What access rules cost in a session with one message: the 50 rules of `benches/rules.py`, judged at each stage as a session
//! does, compared with a judge that examines all of them each time, and with one hash map look-up per rule.

#![expect(
    missing_docs,
    reason = "the macro that gathers the benchmarks makes a public function"
)]

use std::collections::HashSet;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use postern_policy::access::condition::TlsTest;
use postern_policy::access::facts::HeloFaults;
use postern_policy::access::names::{AddressKey, AddressSet, NameSet};
use postern_policy::access::{
    AccessRule, AccessRules, Action, Answer, Answers, Condition, Destination, Facts, Fault, Limit, Outcome,
    Party, Question, RuledOut, Scope, Stage, Test, Words, judge, judge_again, judge_on,
};
use postern_policy::access::{keys::Form, keys::LookUp, keys::Subject};

fn when(key: &'static str, test: Test) -> Condition {
    Condition {
        key,
        negated: false,
        tests: vec![test],
    }
}

fn addresses(patterns: &[String]) -> AddressSet {
    let mut set = AddressSet::default();
    patterns
        .iter()
        .for_each(|pattern| set.insert(pattern).expect("an address"));
    set
}

fn names(pattern: &str) -> NameSet {
    let mut set = NameSet::default();
    set.insert(pattern).expect("a name");
    set
}

/// The rules of `benches/rules.py`.
fn rules() -> AccessRules {
    let words = || Words::fixed(Words::USUAL);
    let mut all: Vec<Vec<Condition>> = Vec::new();
    for number in 0..10 {
        let networks = [
            format!("192.0.2.{number}/32"),
            format!("198.51.100.{}/31", 2 * number),
        ];
        let networks = networks.iter().map(|network| network.parse().expect("a network"));
        let junk = [format!("@junk{number}.example"), format!("offers{number}@")];
        all.push(vec![when("client", Test::Client(networks.collect()))]);
        all.push(vec![when(
            "helo",
            Test::Helo(names(&format!(".dynamic{number}.example"))),
        )]);
        all.push(vec![when("sender", Test::Sender(addresses(&junk)))]);
        all.push(vec![
            when(
                "recipient",
                Test::Recipient(addresses(&[format!("former{number}@bench.test")])),
            ),
            when("stranger", Test::Stranger),
        ]);
    }
    let sender = |pattern: &str| when("sender", Test::Sender(addresses(&[pattern.to_owned()])));
    for fault in [Fault::HeloSyntax, Fault::SenderNotFull, Fault::RecipientNotFull] {
        all.push(vec![when("fault", Test::Fault(fault))]);
    }
    all.push(vec![when("login", Test::Login(Default::default()))]);
    all.push(vec![
        when("tls", Test::Tls(TlsTest::Version("TLSv1.2"))),
        sender("@weak.example"),
    ]);
    all.push(vec![when("larger_than", Test::LargerThan(90 << 20))]);
    let refusing = all
        .into_iter()
        .map(|conditions| AccessRule::new("rule", conditions, Action::Refuse(words())));
    let mut list: Vec<AccessRule> = refusing.collect();
    for action in [Action::LookUp(0), Action::LookUp(1), Action::Limit(0)] {
        list.push(AccessRule::new("table", Vec::new(), action));
    }
    list.push(AccessRule::new(
        "last",
        vec![sender("last@from.test")],
        Action::Refuse(words()),
    ));
    assert_eq!(list.len(), 50);
    let look_up = |subject| LookUp {
        table: "t".into(),
        subject,
        form: Form::Postfix,
        relay: false,
    };
    let mut rules = AccessRules {
        rules: list,
        look_ups: vec![look_up(Subject::Sender), look_up(Subject::Recipient)],
        limits: vec![Limit {
            name: "many".into(),
            words: words(),
        }],
        ..AccessRules::default()
    };
    rules.prepare();
    rules
}

/// The facts at each stage.
fn stages<'a>(
    sender: &'a AddressKey,
    recipient: &'a AddressKey,
    authors: &'a [AddressKey],
) -> [Facts<'a>; 5] {
    let connect = Facts {
        stage: Stage::Connect,
        listener: "mx",
        peer: "127.0.0.1".parse().expect("an address"),
        helo: "",
        helo_faults: HeloFaults::default(),
        tls: None,
        certificate: None,
        login: None,
        stranger: true,
        sender: Party::Unknown,
        recipient: Party::Unknown,
        destination: None,
        authors: &[],
        size: 0,
        now: Default::default(),
    };
    let helo = Facts {
        stage: Stage::Helo,
        helo: "client.test",
        ..connect
    };
    let mail = Facts {
        stage: Stage::Mail,
        sender: Party::Address(sender),
        ..helo
    };
    let rcpt = Facts {
        stage: Stage::Rcpt,
        recipient: Party::Address(recipient),
        destination: Some(Destination::Relay),
        ..mail
    };
    let data = Facts {
        stage: Stage::Data,
        authors,
        size: 4_096,
        ..rcpt
    };
    [connect, helo, mail, rcpt, data]
}

fn answer(question: Question, answers: &mut Answers) {
    let (scope, answer) = match question {
        Question::Limit(_) => (Scope::Recipient, Answer::Yes),
        Question::LookUp(1) => (Scope::Recipient, Answer::No),
        _ => (Scope::Transaction, Answer::No),
    };
    answers.found(question, scope, answer);
}

fn session(criterion: &mut Criterion) {
    let rules = rules();
    let key = |text: &str| AddressKey::new(&text.parse().expect("an address"), None);
    let (sender, recipient) = (key("sender@from.test"), key("someone@bench.test"));
    let authors = [key("sender@from.test")];
    let stages = stages(&sender, &recipient, &authors);
    let mut group = criterion.benchmark_group("session");
    group.bench_function("all rules each time", |bencher| {
        bencher.iter(|| {
            let mut answers = Answers::default();
            for facts in black_box(&stages) {
                while let Outcome::Ask(question) = judge(&rules, facts, &answers, |_, _| {}) {
                    answer(question, &mut answers);
                }
                black_box(judge(&rules, facts, &answers, |_, _| {}));
            }
        });
    });
    group.bench_function("as a session does", |bencher| {
        bencher.iter(|| {
            let (mut answers, mut ruled_out) = (Answers::default(), RuledOut::default());
            for facts in black_box(&stages) {
                while let Outcome::Ask(question) = judge_on(&rules, facts, &answers, &mut ruled_out) {
                    answer(question, &mut answers);
                }
                black_box(judge_again(&rules, facts, &answers, &ruled_out));
            }
        });
    });
    let map: HashSet<String> = (0..rules.rules.len())
        .map(|number| format!("former{number}@bench.test"))
        .collect();
    group.bench_function("a look at a map for each rule", |bencher| {
        bencher.iter(|| {
            let mut rules = black_box(&rules.rules).iter();
            rules.all(|_| !map.contains(black_box(recipient.whole())))
        });
    });
    group.finish();
}

criterion_group!(judging, session);
criterion_main!(judging);
