//! The list of access rules, as prepared when the configuration was read.

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
    /// Rules that are judged when another one refers to them.
    pub classes: Vec<Class>,
    /// Table look-ups that they make.
    pub look_ups: Vec<LookUp>,
    /// DNS lists that they ask.
    pub lists: Vec<DnsList>,
    /// The names of the policy services that they ask.
    pub services: Vec<Box<str>>,
    /// Limits that they count against.
    pub limits: Vec<Limit>,
    /// Local parts of local recipients to whom strangers may always write; in lower case.
    pub exempt: HashSet<Box<str>>,
    /// Whether one of the rules applies to recipients to which relaying is denied: computed by [`prepare`](Self::prepare).
    pub judges_denied: bool,
    /// Whether one of them depends on the time of day: computed by [`prepare`](Self::prepare).
    pub tells_time: bool,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct AccessRule {
    /// Its name.
    pub name: Box<str>,
    /// Where it is written, as `postern.toml:12`; empty if unknown.
    pub place: Box<str>,
    /// The stage from which it is judged, even if everything was known before.
    pub from: Stage,
    /// The conditions, all of which must hold. Without any it always matches.
    pub conditions: Vec<Condition>,
    /// What is done if it matches.
    pub action: Action,
    /// Whether it can let mail be accepted that a later rule would refuse: computed by [`AccessRules::prepare`].
    pub may_accept: bool,
}

/// A named list of rules.
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
    /// The reply beyond it.
    pub words: Words,
}

impl AccessRule {
    /// A rule without a place.
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

    /// Whether it can let mail be accepted that a later rule would refuse.
    pub(super) const fn may_accept(&self) -> bool {
        self.may_accept
    }

    /// Whether it matches, and the condition that decides: first one that fails, then one that must wait, then one that can be
    /// asked.
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
    /// Whether there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Computes once which rules can accept mail, and what they depend on. To be called when the lists are complete.
    pub fn prepare(&mut self) {
        let mut known = vec![false; self.classes.len()];
        // A class that refers to another is settled after that one; none goes deeper than this.
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

    /// The number of rules, including those of classes. They are numbered in this order: the list, then class by class.
    pub(super) fn count(&self) -> usize {
        self.first_of(self.classes.len())
    }

    /// The number of the first rule of a class.
    pub(super) fn first_of(&self, class: usize) -> usize {
        let before = self.classes.iter().take(class);
        self.rules.len() + before.map(|class| class.rules.len()).sum::<usize>()
    }

    /// Whether anything may be decided at a stage: whether any rule could be judged there.
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

    /// Sets where each rule is written.
    pub fn locate(&mut self, place_of: impl Fn(&str) -> Option<String>) {
        let classes = self.classes.iter_mut().flat_map(|class| &mut class.rules);
        for rule in self.rules.iter_mut().chain(classes) {
            if let Some(place) = place_of(&rule.name) {
                rule.place = place.into();
            }
        }
    }

    /// Whether a stranger may write to the recipient whatever the rules say.
    pub(super) fn exempts(&self, facts: &Facts<'_>) -> bool {
        let here = matches!(facts.destination, Some(Destination::Local | Destination::Relay));
        let Party::Address(recipient) = facts.recipient else {
            return false;
        };
        facts.stranger && here && self.always_reach(recipient)
    }

    /// Whether strangers may always write to a local recipient with this name.
    #[must_use]
    pub fn always_reach(&self, recipient: &AddressKey) -> bool {
        let whole = recipient.untagged().unwrap_or_else(|| recipient.whole());
        let local = whole.rsplit_once('@').map_or(whole, |(local, _)| local);
        self.exempt.contains(local)
    }
}

/// Whether a rule is about remote recipients.
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
