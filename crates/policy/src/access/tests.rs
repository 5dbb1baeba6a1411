//! Rules as a table of cases, and that early verdicts equal late ones.

use postern_mail::{Mailbox, Status};
use proptest::prelude::*;

use super::condition::{Holds, ListTerm, TlsTest};
use super::facts::{HeloFaults, TlsState};
use super::keys::{Form, LookUp, Subject};
use super::names::{AddressKey, AddressSet, NameSet};
use super::*;
use crate::screen::finding::{ClientName, Known};

/// The facts of a stranger that has just connected.
pub(super) fn facts() -> Facts<'static> {
    Facts {
        stage: Stage::Rcpt,
        listener: "mx",
        peer: "192.0.2.1".parse().unwrap(),
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
        now: "2026-11-30T12:00".parse().unwrap(),
    }
}

pub(super) fn address(text: &str) -> AddressKey {
    AddressKey::new(&text.parse::<Mailbox>().unwrap(), Some('+'))
}

pub(super) fn when(key: &'static str, tests: Vec<Test>) -> Condition {
    Condition {
        key,
        negated: false,
        tests,
    }
}

fn unless(key: &'static str, tests: Vec<Test>) -> Condition {
    Condition {
        negated: true,
        ..when(key, tests)
    }
}

pub(super) fn client(network: &str) -> Test {
    Test::Client([network.parse::<ipnet::IpNet>().unwrap()].into_iter().collect())
}

pub(super) fn addresses(patterns: &[&str]) -> AddressSet {
    let mut set = AddressSet::default();
    patterns.iter().for_each(|pattern| set.insert(pattern).unwrap());
    set
}

pub(super) fn names(patterns: &[&str]) -> NameSet {
    let mut set = NameSet::default();
    patterns.iter().for_each(|pattern| set.insert(pattern).unwrap());
    set
}

fn words(text: &str) -> Words {
    Words::new(550, Status(5, 7, 1), text).unwrap()
}

fn refuse(text: &str) -> Action {
    Action::Refuse(words(text))
}

const ACCEPT: Action = Action::Accept { relay: false };

fn rules(list: Vec<AccessRule>) -> AccessRules {
    let mut rules = AccessRules {
        rules: list,
        ..AccessRules::default()
    };
    rules.prepare();
    rules
}

/// An outcome in a word, with the rule behind it.
pub(super) fn shown(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Passed(noted) => format!("passed{}", noted_shown(noted)),
        Outcome::Accepted { rule, relay, noted } => {
            format!(
                "accepted by {}{}{}",
                rule.name,
                if *relay { " to relay" } else { "" },
                noted_shown(noted)
            )
        }
        Outcome::Exempt => "exempt".to_owned(),
        Outcome::Refused { rule, words, .. } => format!("{} {} by {}", words.code, words.text, rule.name),
        Outcome::Discarded { rule, .. } => format!("discarded by {}", rule.name),
        Outcome::NotYet => "not yet".to_owned(),
        Outcome::Ask(question) => format!("ask {question:?}"),
        Outcome::Unsure { rule, reason } => format!("unsure by {}: {reason}", rule.name),
    }
}

fn noted_shown(noted: &Noted<'_>) -> String {
    let mut text = String::new();
    if let Some((_, reason)) = noted.hold {
        text.push_str(&format!(", held: {reason}"));
    }
    if let Some((_, to)) = noted.redirect {
        text.push_str(&format!(", to {to}"));
    }
    for (_, field) in &noted.tags {
        text.push_str(&format!(", {}", field.name()));
    }
    text
}

fn judged(rules: &AccessRules, facts: &Facts<'_>, answers: &Answers) -> String {
    shown(&judge(rules, facts, answers, |_, _| {}))
}

#[test]
fn the_first_that_decides() {
    let sender = address("ann@a.example");
    let to = address("bob@here.example");
    let facts = Facts {
        sender: Party::Address(&sender),
        recipient: Party::Address(&to),
        destination: Some(Destination::Local),
        helo: "mx.a.example",
        ..facts()
    };
    let from_a = || when("sender", vec![Test::Sender(addresses(&["@a.example"]))]);
    let from_b = || when("sender", vec![Test::Sender(addresses(&["@b.example"]))]);
    let field = || postern_mail::NewField::new("X-Seen", b"yes").unwrap();
    let other: Mailbox = "staff@here.example".parse().unwrap();
    let rule = AccessRule::new;
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  rules                                                                                       outcome
        ("none",                                vec![],                                                                                     "passed"),
        ("one without conditions",              vec![rule("a", vec![], refuse("no"))],                                                      "550 no by a"),
        ("the first wins",                      vec![rule("a", vec![from_a()], ACCEPT), rule("b", vec![], refuse("no"))],                   "accepted by a"),
        ("one that does not match",             vec![rule("a", vec![from_b()], ACCEPT), rule("b", vec![], refuse("no"))],                   "550 no by b"),
        ("all conditions have to hold",         vec![rule("a", vec![from_a(), from_b()], refuse("no"))],                                    "passed"),
        ("one test of a condition is enough",   vec![rule("a", vec![when("client", vec![client("10.0.0.0/8"), client("192.0.2.0/24")])], refuse("no"))], "550 no by a"),
        ("a negation",                          vec![rule("a", vec![unless("client", vec![client("10.0.0.0/8")])], refuse("no"))],          "550 no by a"),
        ("a negation that does not hold",       vec![rule("a", vec![unless("client", vec![client("192.0.2.0/24")])], refuse("no"))],        "passed"),
        ("held, and judged on",                 vec![rule("a", vec![], Action::Hold("why".into())), rule("b", vec![], ACCEPT)],             "accepted by b, held: why"),
        ("held, and refused",                   vec![rule("a", vec![], Action::Hold("why".into())), rule("b", vec![], refuse("no"))],       "550 no by b"),
        ("led elsewhere and marked",            vec![rule("a", vec![], Action::Redirect(other)), rule("b", vec![], Action::Tag(field()))],  "passed, to staff@here.example, X-Seen"),
        ("thrown away",                         vec![rule("a", vec![from_a()], Action::Discard), rule("b", vec![], refuse("no"))],          "discarded by a"),
        ("refused at the end",                  vec![rule("a", vec![], Action::RefuseAtEnd(words("later")))],                               "550 later by a"),
        ("nobody accepts it then",              vec![rule("a", vec![], Action::RefuseAtEnd(words("later"))), rule("b", vec![], ACCEPT)],    "550 later by a"),
        ("but others refuse it",                vec![rule("a", vec![], Action::RefuseAtEnd(words("later"))), rule("b", vec![], refuse("no"))], "550 no by b"),
        ("several, one after the other",        vec![rule("a", vec![], Action::Several(vec![Action::Continue, ACCEPT]))],                   "accepted by a"),
        ("HELO",                                vec![rule("a", vec![when("helo", vec![Test::Helo(names(&[".a.example"]))])], refuse("no"))], "550 no by a"),
        ("no login",                            vec![rule("a", vec![when("login", vec![Test::NoLogin])], refuse("no"))],                    "550 no by a"),
        ("no TLS",                              vec![rule("a", vec![when("tls", vec![Test::Tls(TlsTest::Any)])], ACCEPT)],                  "passed"),
        ("the author comes later",              vec![rule("a", vec![when("author", vec![Test::Author(addresses(&["x@y.example"]))])], refuse("no"))], "not yet"),
    ];
    for (shows, list, outcome) in cases {
        assert_eq!(
            judged(&rules(list), &facts, &Answers::default()),
            outcome,
            "{shows}"
        );
    }
}

#[test]
fn what_is_known_when() {
    let sender = address("ann@a.example");
    let early = vec![when("client", vec![client("192.0.2.0/24")])];
    let late = vec![when("sender", vec![Test::Sender(addresses(&["@a.example"]))])];
    let at_connect = Facts {
        stage: Stage::Connect,
        ..facts()
    };
    let at_mail = Facts {
        stage: Stage::Mail,
        sender: Party::Address(&sender),
        ..facts()
    };
    let rule = AccessRule::new;
    let delayed = |rule: AccessRule| AccessRule {
        from: Stage::Mail,
        ..rule
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  rules                                                                     at connect       at MAIL
        ("known at once",                       vec![rule("a", early.clone(), refuse("no"))],                             "550 no by a",   "550 no by a"),
        ("known later",                         vec![rule("a", late.clone(), refuse("no"))],                              "not yet",       "550 no by a"),
        ("one that may accept holds it up",     vec![rule("a", late.clone(), ACCEPT), rule("b", early.clone(), refuse("no"))],  "not yet", "accepted by a"),
        ("one that refuses does not",           vec![rule("a", late.clone(), refuse("late")), rule("b", early.clone(), refuse("no"))], "550 no by b", "550 late by a"),
        ("but holds up one that accepts",       vec![rule("a", late.clone(), refuse("late")), rule("b", early.clone(), ACCEPT)], "not yet", "550 late by a"),
        ("to be judged later",                  vec![delayed(rule("a", early.clone(), refuse("no")))],                    "not yet",       "550 no by a"),
        ("what never matches does not wait",    vec![delayed(rule("a", vec![when("client", vec![client("10.0.0.0/8")])], ACCEPT)), rule("b", early, refuse("no"))], "550 no by b", "550 no by b"),
    ];
    for (shows, list, connect, mail) in cases {
        let rules = rules(list);
        assert_eq!(
            judged(&rules, &at_connect, &Answers::default()),
            connect,
            "{shows}"
        );
        assert_eq!(judged(&rules, &at_mail, &Answers::default()), mail, "{shows}");
    }
}

#[test]
fn what_is_asked() {
    let sender = address("ann@a.example");
    let facts = Facts {
        sender: Party::Address(&sender),
        helo: "mx.a.example",
        ..facts()
    };
    let named = || when("client_name", vec![Test::ClientName(names(&[".pool.example"]))]);
    let fault = |fault| when("fault", vec![Test::Fault(fault)]);
    let client_is = |name: ClientName| {
        let mut answers = Answers::default();
        answers.client_is(name);
        answers
    };
    let domain_is = |question, known| {
        let mut answers = Answers::default();
        answers.domain_is(question, Scope::Transaction, known);
        answers
    };
    let loopback = || {
        let networks = ["127.0.0.0/8".parse::<ipnet::IpNet>().unwrap()];
        when("sender_mx", vec![Test::SenderMx(networks.into_iter().collect())])
    };
    let hosts = |addresses: &[&str]| {
        let mut answers = Answers::default();
        let addresses = addresses.iter().map(|one| one.parse().unwrap()).collect();
        answers.found(
            Question::SenderMx,
            Scope::Transaction,
            Answer::Addresses(addresses),
        );
        answers
    };
    let listed = |answer: Answer| {
        let mut answers = Answers::default();
        answers.found(Question::SenderListed, Scope::Transaction, answer);
        answers
    };
    let text = |text: &str| text.to_owned();
    let unsure = || ClientName::Unsure {
        name: text("c.pool.example"),
        reason: text("SERVFAIL"),
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                   condition                         answers                                                            outcome
        ("nobody has asked",                     named(),                          Answers::default(),                                                "ask ClientName"),
        ("it is called so",                      named(),                          client_is(ClientName::Confirmed(text("c.pool.example"))),          "550 no by a"),
        ("it only says so",                      named(),                          client_is(ClientName::Unconfirmed(text("c.pool.example"))),        "passed"),
        ("DNS does not answer",                  named(),                          client_is(ClientName::Unanswered(text("SERVFAIL"))),               "unsure by a: SERVFAIL"),
        ("its reverse name",                     when("reverse_name", vec![Test::ReverseName(names(&[".pool.example"]))]), client_is(unsure()),       "550 no by a"),
        ("it has none",                          fault(Fault::ClientNameless),     client_is(ClientName::Nameless),                                   "550 no by a"),
        ("none that leads back",                 fault(Fault::ClientUnconfirmed),  client_is(ClientName::Unconfirmed(text("x"))),                     "550 no by a"),
        ("that has one",                         fault(Fault::ClientNameless),     client_is(unsure()),                                               "passed"),
        ("nobody knows whether it leads back",   fault(Fault::ClientUnconfirmed),  client_is(unsure()),                                               "unsure by a: SERVFAIL"),
        ("the sender's domain",                  fault(Fault::SenderUnknown),      Answers::default(),                                                "ask Sender"),
        ("is not there",                         fault(Fault::SenderUnknown),      domain_is(Question::Sender, Known::No),                            "550 no by a"),
        ("takes no mail",                        fault(Fault::SenderUnknown),      domain_is(Question::Sender, Known::NullMx),                        "550 no by a"),
        ("cannot be asked for",                  fault(Fault::SenderUnknown),      domain_is(Question::Sender, Known::Unanswered(text("SERVFAIL"))),  "unsure by a: SERVFAIL"),
        ("a HELO that takes no mail is known",   fault(Fault::HeloUnknown),        domain_is(Question::Helo, Known::NullMx),                          "passed"),
        ("hosts of the sender's domain",         loopback(),                       hosts(&["192.0.2.1", "127.0.0.1"]),                                "550 no by a"),
        ("elsewhere",                            loopback(),                       hosts(&["192.0.2.1"]),                                             "passed"),
        ("a sender that does not exist",         fault(Fault::SenderUnlisted),     listed(Answer::No),                                                "550 no by a"),
        ("one that does",                        fault(Fault::SenderUnlisted),     listed(Answer::Yes),                                               "passed"),
        ("a directory is down",                  fault(Fault::SenderUnlisted),     listed(Answer::Unsure(text("gone"))),                              "unsure by a: gone"),
        ("a full sender",                        fault(Fault::SenderNotFull),      Answers::default(),                                                "passed"),
    ];
    for (shows, condition, answers, outcome) in cases {
        let rules = rules(vec![AccessRule::new("a", vec![condition], refuse("no"))]);
        assert_eq!(judged(&rules, &facts, &answers), outcome, "{shows}");
    }
    // Nothing is asked for a condition that cannot hold.
    let never = when("client", vec![client("10.0.0.0/8")]);
    let rules = rules(vec![AccessRule::new("a", vec![named(), never], refuse("no"))]);
    assert_eq!(judged(&rules, &facts, &Answers::default()), "passed");
}

#[test]
fn lists_add_up() {
    let term = |list, score| ListTerm {
        list,
        score,
        stage: Stage::Connect,
    };
    let lists = vec![term(0, 2), term(1, -3)];
    let rules = rules(vec![AccessRule::new(
        "a",
        vec![when("dns_list", vec![Test::Lists { lists, least: 2 }])],
        refuse("listed"),
    )]);
    let answers = |first: Answer, second: Answer| {
        let mut answers = Answers::default();
        answers.found(Question::List(0), Scope::Session, first);
        answers.found(Question::List(1), Scope::Session, second);
        answers
    };
    let unsure = || Answer::Unsure("SERVFAIL".to_owned());
    assert_eq!(judged(&rules, &facts(), &Answers::default()), "ask List(0)");
    assert_eq!(
        judged(&rules, &facts(), &answers(Answer::Yes, Answer::No)),
        "550 listed by a"
    );
    assert_eq!(
        judged(&rules, &facts(), &answers(Answer::Yes, Answer::Yes)),
        "passed"
    );
    assert_eq!(judged(&rules, &facts(), &answers(unsure(), Answer::No)), "passed");
    assert_eq!(
        judged(&rules, &facts(), &answers(Answer::Yes, unsure())),
        "550 listed by a"
    );
}

#[test]
fn tables_services_and_classes() {
    let sender = address("ann@a.example");
    let facts = Facts {
        sender: Party::Address(&sender),
        ..facts()
    };
    let class = |name: &str, rules| Class {
        name: name.into(),
        rules,
    };
    let mut rules = AccessRules {
        rules: vec![
            AccessRule::new("table", vec![], Action::LookUp(0)),
            AccessRule::new("last", vec![], refuse("last")),
        ],
        classes: vec![
            class(
                "greylist",
                vec![AccessRule::new("grey", vec![], Action::Service(0))],
            ),
            class("loop", vec![AccessRule::new("loop", vec![], Action::Class(1))]),
            class(
                "part",
                vec![
                    AccessRule::new("held", vec![], Action::Hold("why".into())),
                    AccessRule::new("friends", vec![], ACCEPT),
                    AccessRule::new("inner", vec![], refuse("inner")),
                ],
            ),
            class("strict", vec![AccessRule::new("inner", vec![], refuse("inner"))]),
        ],
        look_ups: vec![LookUp {
            table: "t".into(),
            subject: Subject::Sender,
            form: Form::Postfix,
            relay: false,
        }],
        services: vec!["grey".into()],
        ..AccessRules::default()
    };
    rules.prepare();
    let answers = |table: Answer, service: Option<Answer>| {
        let mut answers = Answers::default();
        answers.found(Question::LookUp(0), Scope::Transaction, table);
        if let Some(service) = service {
            answers.found(Question::Service(0), Scope::Recipient, service);
        }
        answers
    };
    let action = Answer::Action;
    let later = || Action::RefuseAtEnd(words("Greylisted"));
    #[rustfmt::skip]
    let cases = [
        // what the case shows          answers                                                                             outcome
        ("nobody has looked",           Answers::default(),                                                                 "ask LookUp(0)"),
        ("nothing there",               answers(Answer::No, None),                                                          "550 last by last"),
        ("the table is down",           answers(Answer::Unsure("gone".into()), None),                                       "unsure by table: gone"),
        ("it accepts",                  answers(action(ACCEPT), None),                                                      "accepted by table"),
        ("it names a class",            answers(action(Action::Class(0)), None),                                            "ask Service(0)"),
        ("whose service refuses",       answers(action(Action::Class(0)), Some(action(refuse("grey")))),                    "550 grey by grey"),
        ("or says nothing",             answers(action(Action::Class(0)), Some(action(Action::Continue))),                  "550 last by last"),
        ("a class and what follows",    answers(action(Action::Several(vec![Action::Class(0), ACCEPT])), Some(action(Action::Continue))), "accepted by table"),
        ("later, and nobody accepts",   answers(action(Action::Several(vec![Action::Class(0), ACCEPT])), Some(action(later()))), "550 Greylisted by grey"),
        ("a part that accepts",         answers(action(Action::Part(2)), None),                                             "550 last by last"),
        ("a part that refuses",         answers(action(Action::Part(3)), None),                                             "550 inner by inner"),
        ("a class that names itself",   answers(action(Action::Class(1)), None),                                            "550 last by last"),
        ("a table that names itself",   answers(action(Action::LookUp(0)), None),                                           "550 last by last"),
        ("a class that is not there",   answers(action(Action::Class(9)), None),                                            "550 last by last"),
    ];
    for (shows, answers, outcome) in cases {
        assert_eq!(judged(&rules, &facts, &answers), outcome, "{shows}");
    }
    let at_connect = Facts {
        stage: Stage::Connect,
        sender: Party::Unknown,
        ..facts
    };
    assert_eq!(judged(&rules, &at_connect, &Answers::default()), "not yet");
}

#[test]
fn limits_count_recipients() {
    let mut rules = AccessRules {
        rules: vec![
            AccessRule::new("slow", vec![], Action::Limit(0)),
            AccessRule::new("b", vec![], ACCEPT),
        ],
        limits: vec![Limit {
            name: "bulk".into(),
            words: words("too many"),
        }],
        ..AccessRules::default()
    };
    rules.prepare();
    let mut answers = Answers::default();
    assert_eq!(judged(&rules, &facts(), &answers), "ask Limit(0)");
    let early = Facts {
        stage: Stage::Mail,
        ..facts()
    };
    assert_eq!(judged(&rules, &early, &answers), "not yet");
    answers.found(Question::Limit(0), Scope::Recipient, Answer::Yes);
    assert_eq!(judged(&rules, &facts(), &answers), "accepted by b");
    answers.forget(Scope::Recipient);
    answers.found(Question::Limit(0), Scope::Recipient, Answer::No);
    assert_eq!(judged(&rules, &facts(), &answers), "550 too many by slow");
}

#[test]
fn some_can_always_be_reached() {
    let mut rules = rules(vec![AccessRule::new("a", vec![], refuse("no"))]);
    rules.exempt = ["postmaster".into()].into_iter().collect();
    let (postmaster, tagged, bob) = (
        address("Postmaster@here.example"),
        address("postmaster+x@here.example"),
        address("bob@here.example"),
    );
    let to = |recipient, destination, stranger| Facts {
        recipient: Party::Address(recipient),
        destination: Some(destination),
        stranger,
        ..facts()
    };
    #[rustfmt::skip]
    let cases = [
        (to(&postmaster, Destination::Local, true),      "exempt"),
        (to(&postmaster, Destination::Relay, true),      "exempt"),
        (to(&tagged, Destination::Local, true),          "exempt"),
        (to(&postmaster, Destination::Elsewhere, true),  "550 no by a"),
        (to(&postmaster, Destination::Local, false),     "550 no by a"),
        (to(&bob, Destination::Local, true),             "550 no by a"),
    ];
    for (facts, outcome) in cases {
        assert_eq!(judged(&rules, &facts, &Answers::default()), outcome, "{facts:?}");
    }
}

#[test]
fn why_each_rule_did_not_match() {
    let rules = rules(vec![
        AccessRule::new(
            "a",
            vec![when("client", vec![client("10.0.0.0/8")])],
            refuse("no"),
        ),
        AccessRule::new(
            "b",
            vec![when("author", vec![Test::Author(addresses(&["x@y.example"]))])],
            refuse("no"),
        ),
        AccessRule::new("c", vec![], refuse("no")),
        AccessRule::new("d", vec![], ACCEPT),
    ]);
    let mut seen = Vec::new();
    let _ = judge(&rules, &facts(), &Answers::default(), |rule, step| {
        seen.push(match step {
            Step::Fails(condition) => format!("{}: {} fails", rule.name, condition.key),
            Step::Waits(condition) => format!(
                "{}: waits for {}",
                rule.name,
                condition.map_or("its stage", |one| one.key)
            ),
            Step::Does(_) => format!("{} matches", rule.name),
        });
    });
    assert_eq!(seen, ["a: client fails", "b: waits for author", "c matches"]);
}

#[test]
fn what_the_rules_are_good_for() {
    let mut list = rules(vec![AccessRule::new("a", vec![], Action::Accept { relay: true })]);
    assert!(list.can_relay() && list.are_judged_at(Stage::Connect) && !list.is_empty());
    let elsewhere = when("destination", vec![Test::Destination(Destination::Elsewhere)]);
    assert!(rules(vec![AccessRule::new("a", vec![elsewhere], refuse("no"))]).judges_denied);
    assert!(!rules(vec![AccessRule::new("a", vec![], refuse("no"))]).judges_denied);
    list.rules[0].from = Stage::Rcpt;
    assert!(!list.are_judged_at(Stage::Mail) && list.are_judged_at(Stage::Rcpt));
    list.locate(|name| Some(format!("postern.toml:{}", name.len())));
    assert_eq!(list.rules[0].to_string(), "\"a\" (postern.toml:1)");
    assert!(!rules(Vec::new()).can_relay());
}

/// A condition on something, and whether it is negated.
fn any_condition() -> impl Strategy<Value = Condition> {
    let test = prop_oneof![
        Just(client("192.0.2.0/24")),
        Just(client("10.0.0.0/8")),
        Just(Test::Helo(names(&["mx.a.example"]))),
        Just(Test::NoLogin),
        Just(Test::Stranger),
        Just(Test::Tls(TlsTest::Any)),
        Just(Test::Sender(addresses(&["@a.example", "<>"]))),
        Just(Test::Recipient(addresses(&["bob@here.example"]))),
        Just(Test::Destination(Destination::Local)),
        Just(Test::Author(addresses(&["@a.example"]))),
        Just(Test::LargerThan(100)),
        Just(Test::Fault(Fault::HeloSyntax)),
        Just(Test::Fault(Fault::SenderNotFull)),
    ];
    condition_on(test)
}

/// A condition on one or two such tests, and whether it is negated.
pub(super) fn condition_on(test: impl Strategy<Value = Test>) -> impl Strategy<Value = Condition> {
    (prop::collection::vec(test, 1..3), any::<bool>()).prop_map(|(tests, negated)| Condition {
        key: "any",
        negated,
        tests,
    })
}

fn any_rule() -> impl Strategy<Value = AccessRule> {
    rule_on(any_condition())
}

/// A rule with up to two such conditions.
pub(super) fn rule_on(condition: impl Strategy<Value = Condition>) -> impl Strategy<Value = AccessRule> {
    let action = prop_oneof![
        Just(ACCEPT),
        Just(refuse("no")),
        Just(Action::RefuseAtEnd(words("later"))),
        Just(Action::Discard),
        Just(Action::Hold("why".into())),
        Just(Action::Continue),
        Just(Action::Class(0)),
        Just(Action::Part(0)),
    ];
    let stage = prop_oneof![
        Just(Stage::Connect),
        Just(Stage::Mail),
        Just(Stage::Rcpt),
        Just(Stage::Data)
    ];
    (prop::collection::vec(condition, 0..3), action, stage).prop_map(|(conditions, action, from)| {
        AccessRule {
            from,
            ..AccessRule::new("r", conditions, action)
        }
    })
}

/// Whether an outcome accepts mail, refuses it, or decides nothing yet.
fn way(outcome: &Outcome<'_>) -> Option<&'static str> {
    match outcome {
        Outcome::Accepted { .. } => Some("in"),
        Outcome::Passed(_) => Some("passed"),
        Outcome::Refused { .. } => Some("out"),
        Outcome::Discarded { .. } => Some("gone"),
        Outcome::NotYet => None,
        Outcome::Exempt | Outcome::Ask(_) | Outcome::Unsure { .. } => Some("odd"),
    }
}

proptest! {
    #[test]
    fn what_is_decided_early_is_decided_likewise_late(
        list in prop::collection::vec(any_rule(), 0..8),
        class in prop::collection::vec(any_rule(), 0..3),
        login in any::<bool>(), null in any::<bool>(), tls in any::<bool>(), announced in 0_u64..200, more in 0_u64..200,
    ) {
        let mut rules = AccessRules {
            rules: list,
            classes: vec![Class { name: "c".into(), rules: class }],
            ..AccessRules::default()
        };
        rules.prepare();
        let (sender, to) = (address("ann@a.example"), address("bob@here.example"));
        let authors = [address("ann@a.example")];
        let full = Facts {
            helo: "mx.a.example",
            login: login.then_some("ann"),
            stranger: !login,
            tls: tls.then_some(TlsState { version: "TLSv1.3" }),
            sender: if null { Party::Null } else { Party::Address(&sender) },
            recipient: Party::Address(&to),
            destination: Some(Destination::Local),
            authors: &authors,
            size: announced.max(more),
            stage: Stage::Data,
            ..facts()
        };
        let at_rcpt = Facts { stage: Stage::Rcpt, authors: &[], size: announced, ..full };
        let at_mail = Facts { stage: Stage::Mail, recipient: Party::Unknown, destination: None, ..at_rcpt };
        let at_helo = Facts { stage: Stage::Helo, sender: Party::Unknown, login: None, stranger: true, tls: None, size: 0, ..at_mail };
        let at_connect = Facts { stage: Stage::Connect, helo: "", ..at_helo };
        let answers = Answers::default();
        let last = judge(&rules, &full, &answers, |_, _| {});
        prop_assert!(way(&last).is_some(), "all is known");
        for early in [at_connect, at_helo, at_mail, at_rcpt] {
            let said = judge(&rules, &early, &answers, |_, _| {});
            if let Some(said) = way(&said) {
                prop_assert_eq!(Some(said), way(&last), "at {:?}", early.stage);
            }
        }
    }

    #[test]
    fn a_negation_is_the_opposite(condition in any_condition()) {
        let answers = Answers::default();
        let opposite = Condition { negated: !condition.negated, ..condition.clone() };
        let expected = match condition.holds(&facts(), &answers) {
            Holds::Yes => Holds::No,
            Holds::No => Holds::Yes,
            open => open,
        };
        prop_assert_eq!(opposite.holds(&facts(), &answers), expected);
    }
}
