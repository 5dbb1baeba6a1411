//! The list of access rules, as it was made ready when the configuration was read.

use std::collections::HashSet;

use super::action::{Action, Words};
use super::condition::{Condition, Holds, Test};
use super::facts::{Answers, Destination, Facts, Party, Stage};
use super::keys::LookUp;
use super::names::AddressKey;
use crate::screen::list::DnsList;

/// Deepest nesting of classes.
pub const CLASS_DEPTH_MAX: usize = 8;

/// All access rules, and what they refer to by number.
#[derive(Clone, Debug, Default)]
pub struct AccessRules {
    /// The rules, in their order.
    pub rules: Vec<AccessRule>,
    /// Rules that are judged where another one says so.
    pub classes: Vec<Class>,
    /// Tables that they look into.
    pub look_ups: Vec<LookUp>,
    /// DNS lists that they ask.
    pub lists: Vec<DnsList>,
    /// The names of the policy services that they ask.
    pub services: Vec<Box<str>>,
    /// Limits that they count against.
    pub limits: Vec<Limit>,
    /// Local parts of recipients here that strangers can always reach; in small letters.
    pub exempt: HashSet<Box<str>>,
    /// Whether one of the rules has something to say of recipients that may not be relayed to: worked out by
    /// [`prepare`](Self::prepare).
    pub judges_denied: bool,
    /// Whether one of them depends on the time of day: worked out by [`prepare`](Self::prepare).
    pub tells_time: bool,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct AccessRule {
    /// Its name.
    pub name: Box<str>,
    /// Where it is written, as `postern.toml:12`; empty where nobody knows.
    pub place: Box<str>,
    /// The stage from which on it is judged, even if all was known before.
    pub from: Stage,
    /// What has to hold, all of it. Without any it matches always.
    pub conditions: Vec<Condition>,
    /// What is done then.
    pub action: Action,
    /// Whether it can end in mail being taken although a later rule would refuse it: worked out by [`AccessRules::prepare`].
    pub may_accept: bool,
}

/// Rules under a name.
#[derive(Clone, Debug)]
pub struct Class {
    /// The name.
    pub name: Box<str>,
    /// The rules, in their order.
    pub rules: Vec<AccessRule>,
}

/// What an access rule counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    /// The name of the limit.
    pub name: Box<str>,
    /// What is said beyond it.
    pub words: Words,
}

impl AccessRule {
    /// A rule of no particular place.
    #[must_use]
    pub fn new(name: &str, conditions: Vec<Condition>, action: Action) -> Self {
        Self {
            name: name.into(),
            place: "".into(),
            from: Stage::Connect,
            conditions,
            action,
            may_accept: true,
        }
    }

    /// Whether it can end in mail being taken although a later rule would refuse it.
    pub(super) const fn may_accept(&self) -> bool {
        self.may_accept
    }

    /// Whether it matches, and the condition that decides. What does not hold comes first, then what has to be waited for, then what
    /// can be asked.
    pub(super) fn matches<'a>(
        &'a self,
        facts: &Facts<'_>,
        answers: &'a Answers,
    ) -> (Holds<'a>, Option<&'a Condition>) {
        let mut open = (Holds::Yes, None);
        for condition in &self.conditions {
            let holds = condition.holds(facts, answers);
            match (&holds, &open.0) {
                (Holds::No, _) => return (Holds::No, Some(condition)),
                (Holds::Yes, _) | (_, Holds::Later) => {}
                (Holds::Later, _) | (_, Holds::Yes) | (Holds::Ask(_), Holds::Unsure(_)) => {
                    open = (holds, Some(condition));
                }
                _ => {}
            }
        }
        if facts.stage < self.from {
            return (Holds::Later, None);
        }
        open
    }
}

impl AccessRules {
    /// Whether there is nothing to judge.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Works out once which rules can end in mail being taken, and what they are about. To be called when all are there.
    pub fn prepare(&mut self) {
        let mut known = vec![false; self.classes.len()];
        // A class that leads to another one is known after it; deeper than this none goes.
        for _ in 0..=CLASS_DEPTH_MAX {
            for number in 0..known.len() {
                let of_class = |class: usize| known.get(class).copied().unwrap_or(true);
                let may = self.classes[number]
                    .rules
                    .iter()
                    .any(|rule| rule.action.may_accept(&of_class));
                known[number] = may;
            }
        }
        let of_class = |class: usize| known.get(class).copied().unwrap_or(true);
        let classes = self.classes.iter_mut().flat_map(|class| &mut class.rules);
        for rule in self.rules.iter_mut().chain(classes) {
            rule.may_accept = rule.action.may_accept(&of_class);
        }
        let classes = self.classes.iter().flat_map(|class| &class.rules);
        let elsewhere = self.rules.iter().chain(classes).any(is_about_elsewhere);
        self.judges_denied = elsewhere || self.can_relay();
        let classes = self.classes.iter().flat_map(|class| &class.rules);
        self.tells_time = self.rules.iter().chain(classes).any(tells_time);
    }

    /// How many rules there are, those of classes included. They are numbered in this order: the list, then class by class.
    pub(super) fn count(&self) -> usize {
        self.first_of(self.classes.len())
    }

    /// The number of the first rule of a class.
    pub(super) fn first_of(&self, class: usize) -> usize {
        let before = self.classes.iter().take(class);
        self.rules.len() + before.map(|class| class.rules.len()).sum::<usize>()
    }

    /// Whether something may be decided at a stage: one of the rules could be judged there.
    #[must_use]
    pub fn are_judged_at(&self, stage: Stage) -> bool {
        stage >= Stage::Rcpt || self.rules.iter().any(|rule| rule.from <= stage)
    }

    /// Whether one of the rules is a reason to relay.
    #[must_use]
    pub fn can_relay(&self) -> bool {
        let classes = self.classes.iter().flat_map(|class| &class.rules);
        self.rules.iter().chain(classes).any(|rule| relays(&rule.action))
            || self.look_ups.iter().any(LookUp::can_relay)
    }

    /// Says of each rule where it is written.
    pub fn locate(&mut self, place_of: impl Fn(&str) -> Option<String>) {
        let classes = self.classes.iter_mut().flat_map(|class| &mut class.rules);
        for rule in self.rules.iter_mut().chain(classes) {
            if let Some(place) = place_of(&rule.name) {
                rule.place = place.into();
            }
        }
    }

    /// Whether a stranger reaches a recipient here whatever the rules say.
    pub(super) fn exempts(&self, facts: &Facts<'_>) -> bool {
        let here = matches!(facts.destination, Some(Destination::Local | Destination::Relay));
        let Party::Address(recipient) = facts.recipient else {
            return false;
        };
        facts.stranger && here && self.always_reach(recipient)
    }

    /// Whether strangers always reach a recipient of this name, where it is here.
    #[must_use]
    pub fn always_reach(&self, recipient: &AddressKey) -> bool {
        let whole = recipient.untagged().unwrap_or_else(|| recipient.whole());
        let local = whole.rsplit_once('@').map_or(whole, |(local, _)| local);
        self.exempt.contains(local)
    }
}

/// Whether a rule names recipients that are elsewhere.
fn is_about_elsewhere(rule: &AccessRule) -> bool {
    let is_one = |test: &Test| matches!(test, Test::Destination(Destination::Elsewhere));
    let mut conditions = rule.conditions.iter();
    conditions.any(|condition| !condition.negated && condition.tests.iter().any(is_one))
}

fn tells_time(rule: &AccessRule) -> bool {
    let mut tests = rule.conditions.iter().flat_map(|condition| &condition.tests);
    tests.any(|test| matches!(test, Test::Time(_)))
}

fn relays(action: &Action) -> bool {
    match action {
        Action::Accept { relay } => *relay,
        Action::Several(actions) => actions.iter().any(relays),
        _ => false,
    }
}
