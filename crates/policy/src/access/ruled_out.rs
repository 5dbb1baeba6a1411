//! Which rules can no longer match: remembered in a session, so that it does not examine each rule again and again.

use super::condition::{Condition, Fault, Test};
use super::facts::{Scope, Stage};
use super::rules::AccessRules;

/// Rules with a condition that fails, and for how long. The caller must [`forget`](Self::forget) in time, together with
/// [`Answers`](super::Answers).
#[derive(Clone, Debug, Default)]
pub struct RuledOut {
    /// For each rule, by its number: 0 while it may match, otherwise a scope plus one.
    until: Vec<u8>,
}

impl RuledOut {
    /// Forgets all rules ruled out for this scope and for narrower ones.
    pub fn forget(&mut self, scope: Scope) {
        let least = code(scope);
        for until in &mut self.until {
            if *until >= least {
                *until = 0;
            }
        }
    }

    /// Whether a rule cannot match.
    pub(super) fn has(&self, number: usize) -> bool {
        self.until.get(number).is_some_and(|until| *until != 0)
    }

    /// Notes that a rule does not match, since this condition fails.
    pub(super) fn add(&mut self, number: usize, failed: &Condition, rules: &AccessRules) {
        let Some(scope) = failed.lasts() else {
            return;
        };
        if self.until.is_empty() {
            self.until.resize(rules.count(), 0);
        }
        if let Some(until) = self.until.get_mut(number) {
            *until = code(scope);
        }
    }
}

const fn code(scope: Scope) -> u8 {
    match scope {
        Scope::Session => 1,
        Scope::Helo => 2,
        Scope::Transaction => 3,
        Scope::Recipient => 4,
    }
}

impl Condition {
    /// How long it keeps failing, once it has failed; `None` if that may change at any time.
    fn lasts(&self) -> Option<Scope> {
        let mut scopes = self.tests.iter().map(Test::lasts);
        scopes.try_fold(Scope::Session, |least, scope| Some(least.max(scope?)))
    }
}

impl Test {
    /// How long its result stays the same, yes or no.
    const fn lasts(&self) -> Option<Scope> {
        let scope = match self {
            Self::Client(_) | Self::Listener(_) => Scope::Session,
            Self::Helo(_) => Scope::Helo,
            // A client may authenticate or start TLS before its next transaction, and DNS may then answer what it could not
            // before.
            Self::ClientName(_)
            | Self::ReverseName(_)
            | Self::Tls(_)
            | Self::Certificate(_)
            | Self::Login(_)
            | Self::NoLogin
            | Self::Stranger
            | Self::Sender(_)
            | Self::SenderMx(_)
            | Self::Lists { .. } => Scope::Transaction,
            Self::LookUp(_, stage) if (*stage as u8) < Stage::Rcpt as u8 => Scope::Transaction,
            Self::LookUp(..)
            | Self::Recipient(_)
            | Self::Destination(_)
            | Self::Author(_)
            | Self::LargerThan(_) => Scope::Recipient,
            Self::Fault(fault) => fault.lasts(),
            Self::Time(_) => return None,
        };
        Some(scope)
    }
}

impl Fault {
    const fn lasts(self) -> Scope {
        match self {
            Self::HeloSyntax | Self::HeloInvalid | Self::HeloOwn => Scope::Helo,
            Self::HeloUnknown
            | Self::ClientNameless
            | Self::ClientUnconfirmed
            | Self::SenderNotFull
            | Self::SenderUnknown
            | Self::SenderUnlisted => Scope::Transaction,
            Self::RecipientNotFull | Self::RecipientUnknown => Scope::Recipient,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::condition::{ListTerm, TlsTest};
    use super::super::facts::{HeloFaults, TlsState};
    use super::super::names::AddressKey;
    use super::super::tests::{address, addresses, client, condition_on, facts, names, rule_on, shown, when};
    use super::super::*;
    use super::RuledOut;
    use crate::screen::finding::{ClientName, Known};

    #[test]
    fn how_long_a_failure_lasts() {
        let listed = Test::Lists {
            lists: Vec::new(),
            least: 1,
        };
        #[rustfmt::skip]
        let cases = [
            // tests of one condition                                                          how long it goes on to fail
            (vec![client("10.0.0.0/8")],                                                       Some(Scope::Session)),
            (vec![client("10.0.0.0/8"), Test::Helo(names(&["a.example"]))],                    Some(Scope::Helo)),
            (vec![Test::Sender(addresses(&["@a.example"])), client("10.0.0.0/8")],             Some(Scope::Transaction)),
            (vec![Test::NoLogin],                                                              Some(Scope::Transaction)),
            (vec![listed],                                                                     Some(Scope::Transaction)),
            (vec![Test::LookUp(0, Stage::Mail)],                                               Some(Scope::Transaction)),
            (vec![Test::LookUp(0, Stage::Rcpt)],                                               Some(Scope::Recipient)),
            (vec![Test::LargerThan(1)],                                                        Some(Scope::Recipient)),
            (vec![Test::Sender(addresses(&["@a.example"])), Test::Destination(Destination::Local)], Some(Scope::Recipient)),
            (vec![client("10.0.0.0/8"), Test::Time("08:00-18:00".parse().unwrap())],           None),
        ];
        for (tests, lasts) in cases {
            assert_eq!(when("any", tests.clone()).lasts(), lasts, "{tests:?}");
        }
    }

    fn any_rule() -> impl Strategy<Value = AccessRule> {
        let lists = |list, stage| {
            let score = 1;
            let lists = vec![ListTerm { list, score, stage }];
            Just(Test::Lists { lists, least: 1 })
        };
        let fault = |fault| Just(Test::Fault(fault));
        let test = prop_oneof![
            Just(client("192.0.2.0/24")),
            Just(client("10.0.0.0/8")),
            Just(Test::ClientName(names(&[".pool.example"]))),
            Just(Test::Helo(names(&["one.example"]))),
            Just(Test::Login(Default::default())),
            Just(Test::NoLogin),
            Just(Test::Stranger),
            Just(Test::Tls(TlsTest::Any)),
            Just(Test::Sender(addresses(&["@one.example", "<>"]))),
            Just(Test::SenderMx(
                ["192.0.2.0/24".parse().unwrap()].into_iter().collect()
            )),
            Just(Test::Recipient(addresses(&["one@here.example"]))),
            Just(Test::Destination(Destination::Local)),
            Just(Test::Author(addresses(&["@one.example"]))),
            Just(Test::LargerThan(100)),
            Just(Test::Time("08:00-18:00".parse().unwrap())),
            Just(Test::LookUp(0, Stage::Mail)),
            Just(Test::LookUp(1, Stage::Rcpt)),
            lists(0, Stage::Connect),
            lists(1, Stage::Mail),
            fault(Fault::HeloSyntax),
            fault(Fault::HeloUnknown),
            fault(Fault::ClientNameless),
            fault(Fault::SenderUnlisted),
            fault(Fault::RecipientUnknown),
        ];
        rule_on(condition_on(test))
    }

    /// What happens in a session.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Helo(bool),
        Tls,
        Login,
        Mail(Option<bool>),
        Rcpt(bool, bool),
        Data(bool, u64),
        Passes,
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            1 => any::<bool>().prop_map(Event::Helo),
            1 => Just(Event::Tls),
            1 => Just(Event::Login),
            3 => any::<Option<bool>>().prop_map(Event::Mail),
            4 => any::<(bool, bool)>().prop_map(|(who, here)| Event::Rcpt(who, here)),
            2 => (any::<bool>(), 0_u64..200).prop_map(|(author, size)| Event::Data(author, size)),
            1 => Just(Event::Passes),
        ]
    }

    /// A session that judges both with the rules ruled out, and without.
    struct Walk<'a> {
        rules: &'a AccessRules,
        facts: Facts<'a>,
        answers: Answers,
        ruled_out: RuledOut,
        luck: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    }

    /// The names of clients, senders, recipients and authors.
    struct Cast {
        senders: [AddressKey; 2],
        recipients: [AddressKey; 2],
        authors: [[AddressKey; 1]; 2],
    }

    impl Cast {
        fn new() -> Self {
            Self {
                senders: [address("ann@one.example"), address("ann@two.example")],
                recipients: [address("one@here.example"), address("two@here.example")],
                authors: [[address("x@one.example")], [address("x@two.example")]],
            }
        }
    }

    impl<'a> Walk<'a> {
        fn forget(&mut self, scope: Scope) {
            self.answers.forget(scope);
            self.ruled_out.forget(scope);
        }

        fn begin(&mut self, event: Event, cast: &'a Cast) {
            match event {
                Event::Helo(one) => {
                    self.forget(Scope::Helo);
                    self.ends_transaction(Stage::Helo);
                    self.facts.helo = if one { "one.example" } else { "two.example" };
                    self.facts.helo_faults.syntax = one;
                }
                Event::Tls => {
                    self.ends_transaction(Stage::Helo);
                    self.facts.tls = Some(TlsState { version: "TLSv1.3" });
                }
                Event::Login => {
                    self.ends_transaction(Stage::Helo);
                    (self.facts.login, self.facts.stranger) = (Some("ann"), false);
                }
                Event::Mail(sender) => {
                    self.ends_transaction(Stage::Mail);
                    self.answers.forget_unsure();
                    self.facts.sender = match sender {
                        None => Party::Null,
                        Some(one) => Party::Address(&cast.senders[usize::from(one)]),
                    };
                }
                Event::Rcpt(one, here) => {
                    self.forget(Scope::Recipient);
                    self.facts.stage = Stage::Rcpt;
                    (self.facts.authors, self.facts.size) = (&[], 0);
                    self.facts.recipient = Party::Address(&cast.recipients[usize::from(one)]);
                    self.facts.destination = Some(if here {
                        Destination::Local
                    } else {
                        Destination::Elsewhere
                    });
                }
                Event::Data(one, size) => {
                    self.ruled_out.forget(Scope::Recipient);
                    self.facts.stage = Stage::Data;
                    (self.facts.authors, self.facts.size) = (&cast.authors[usize::from(one)], size);
                }
                Event::Passes => self.facts.now = self.facts.now.saturating_add(jiff::Span::new().hours(7)),
            }
        }

        fn ends_transaction(&mut self, stage: Stage) {
            self.forget(Scope::Transaction);
            self.facts = Facts {
                stage,
                sender: Party::Unknown,
                recipient: Party::Unknown,
                destination: None,
                authors: &[],
                size: 0,
                ..self.facts
            };
        }

        /// Gives a random answer to a question.
        fn answer(&mut self, question: Question) {
            let luck = *self.luck.next().unwrap() % 4;
            let scope = match question {
                Question::ClientName | Question::List(0) => Scope::Session,
                Question::Helo => Scope::Helo,
                Question::Recipient | Question::LookUp(1) => Scope::Recipient,
                _ => Scope::Transaction,
            };
            let text = || "SERVFAIL".to_owned();
            let name = || "c.pool.example".to_owned();
            match question {
                Question::ClientName => self.answers.client_is(match luck {
                    0 => ClientName::Confirmed(name()),
                    1 => ClientName::Nameless,
                    2 => ClientName::Unsure {
                        name: name(),
                        reason: text(),
                    },
                    _ => ClientName::Unanswered(text()),
                }),
                Question::Helo | Question::Sender | Question::Recipient => {
                    let known = [Known::Yes, Known::No, Known::NullMx, Known::Unanswered(text())];
                    self.answers
                        .domain_is(question, scope, known[usize::from(luck)].clone());
                }
                _ => {
                    let hosts = vec!["192.0.2.1".parse().unwrap()];
                    let found = [
                        Answer::Yes,
                        Answer::No,
                        Answer::Addresses(hosts),
                        Answer::Unsure(text()),
                    ];
                    self.answers
                        .found(question, scope, found[usize::from(luck)].clone());
                }
            }
        }

        /// The verdicts of both, until they ask nothing more.
        fn judged(&mut self) -> Vec<(String, String)> {
            let mut said = Vec::new();
            loop {
                let plain = judge(self.rules, &self.facts, &self.answers, |_, _| {});
                let known = judge_on(self.rules, &self.facts, &self.answers, &mut self.ruled_out);
                said.push((shown(&plain), shown(&known)));
                let again = judge_again(self.rules, &self.facts, &self.answers, &self.ruled_out);
                said.push((shown(&plain), shown(&again)));
                match plain {
                    Outcome::Ask(question) if said.len() < 100 => self.answer(question),
                    _ => return said,
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_ruled_out_changes_nothing(
            list in prop::collection::vec(any_rule(), 0..8),
            classes in prop::collection::vec(prop::collection::vec(any_rule(), 0..4), 1..3),
            events in prop::collection::vec(any_event(), 1..20),
            luck in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            let mut rules = AccessRules {
                rules: list,
                classes: classes.into_iter().map(|rules| Class { name: "c".into(), rules }).collect(),
                ..AccessRules::default()
            };
            // So that each rule can be told from the others.
            let all = rules.rules.iter_mut().chain(rules.classes.iter_mut().flat_map(|class| &mut class.rules));
            for (number, rule) in all.enumerate() {
                rule.name = number.to_string().into();
            }
            rules.prepare();
            let cast = Cast::new();
            let mut walk = Walk {
                rules: &rules,
                facts: Facts { stage: Stage::Connect, helo_faults: HeloFaults::default(), ..facts() },
                answers: Answers::default(),
                ruled_out: RuledOut::default(),
                luck: luck.iter().cycle(),
            };
            let mut is_under_way = false;
            for event in events {
                is_under_way = match event {
                    Event::Mail(_) => true,
                    // Without a sender there are no recipients.
                    Event::Rcpt(..) | Event::Data(..) if !is_under_way => continue,
                    Event::Rcpt(..) | Event::Data(..) | Event::Passes => is_under_way,
                    Event::Helo(_) | Event::Tls | Event::Login => false,
                };
                walk.begin(event, &cast);
                for (plain, known) in walk.judged() {
                    prop_assert_eq!(plain, known, "after {:?}", event);
                }
            }
        }
    }
}
