//! The judge of access rules: the first one that accepts, refuses or discards decides.
//!
//! An early verdict is the one that would be given if everything were known: a rule that cannot be judged yet holds up later
//! rules that accept, but not those that refuse.

use std::sync::Arc;

use postern_mail::{Mailbox, NewField};

use super::action::{Action, Words};
use super::condition::{Condition, Holds};
use super::facts::{Answer, Answers, Facts, Question, Stage};
use super::ruled_out::RuledOut;
use super::rules::{AccessRule, AccessRules, CLASS_DEPTH_MAX};
use crate::route::Detour;

/// The outcome of the rules.
#[derive(Clone, Debug)]
pub enum Outcome<'a> {
    /// None of them decides.
    Passed(Noted<'a>),
    /// One accepts.
    Accepted {
        /// The rule.
        rule: &'a AccessRule,
        /// Whether it is a reason to relay.
        relay: bool,
        /// The other actions of the rules before it.
        noted: Noted<'a>,
    },
    /// Strangers may always write to the recipient.
    Exempt,
    /// One refuses.
    Refused {
        /// The rule.
        rule: &'a AccessRule,
        /// The reply to the client.
        words: &'a Words,
        /// The limit that was reached, if that is the reason.
        limit: Option<&'a str>,
    },
    /// The mail must be discarded.
    Discarded {
        /// The rule.
        rule: &'a AccessRule,
        /// The other actions of the rules before it.
        noted: Noted<'a>,
    },
    /// It depends on something not known at this stage.
    NotYet,
    /// It depends on the answer to this question.
    Ask(Question),
    /// It depends on something that cannot be found out now.
    Unsure {
        /// The rule that needs it.
        rule: &'a AccessRule,
        /// The reason.
        reason: &'a str,
    },
}

/// The other actions of rules.
#[derive(Clone, Debug, Default)]
pub struct Noted<'a> {
    /// The first rule that wants the message held, and why.
    pub hold: Option<(&'a AccessRule, &'a str)>,
    /// The first rule that redirects the mail, and where to.
    pub redirect: Option<(&'a AccessRule, &'a Mailbox)>,
    /// The last rule that gives the message a route of its own, and the route.
    pub detour: Option<(&'a AccessRule, &'a Arc<Detour>)>,
    /// The addresses that get copies.
    pub copies: Vec<(&'a AccessRule, &'a Mailbox)>,
    /// Fields to add to the message.
    pub tags: Vec<(&'a AccessRule, &'a NewField)>,
    /// Notes for the log.
    pub notes: Vec<(&'a AccessRule, &'a str)>,
}

/// The result of one rule, to explain a verdict.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    /// This condition does not hold.
    Fails(&'a Condition),
    /// It cannot be judged yet, because of this condition or its own stage.
    Waits(Option<&'a Condition>),
    /// It matches, with this action.
    Does(&'a Action),
}

impl Noted<'_> {
    /// Whether there is nothing to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hold.is_none()
            && self.redirect.is_none()
            && self.detour.is_none()
            && self.copies.is_empty()
            && self.tags.is_empty()
            && self.notes.is_empty()
    }
}

/// Judges a client, a sender, a recipient or a message with what is known so far. `trace` is told about each rule that is
/// examined.
pub fn judge<'a>(
    rules: &'a AccessRules,
    facts: &Facts<'_>,
    answers: &'a Answers,
    trace: impl FnMut(&'a AccessRule, Step<'a>),
) -> Outcome<'a> {
    run(rules, facts, answers, Memory::None, trace)
}

/// The same as [`judge()`], in a session: rules that failed before and cannot match now are skipped. Those that fail now are
/// remembered for the next time.
pub fn judge_on<'a>(
    rules: &'a AccessRules,
    facts: &Facts<'_>,
    answers: &'a Answers,
    ruled_out: &mut RuledOut,
) -> Outcome<'a> {
    run(rules, facts, answers, Memory::Learns(ruled_out), |_, _| {})
}

/// The same for what [`judge_on()`] has already judged: there is nothing new to remember.
pub fn judge_again<'a>(
    rules: &'a AccessRules,
    facts: &Facts<'_>,
    answers: &'a Answers,
    ruled_out: &RuledOut,
) -> Outcome<'a> {
    run(rules, facts, answers, Memory::Knows(ruled_out), |_, _| {})
}

/// What is known of rules that cannot match.
enum Memory<'f> {
    None,
    Knows(&'f RuledOut),
    Learns(&'f mut RuledOut),
}

impl Memory<'_> {
    fn has(&self, number: usize) -> bool {
        match self {
            Self::None => false,
            Self::Knows(known) => known.has(number),
            Self::Learns(known) => known.has(number),
        }
    }
}

fn run<'a>(
    rules: &'a AccessRules,
    facts: &Facts<'_>,
    answers: &'a Answers,
    memory: Memory<'_>,
    trace: impl FnMut(&'a AccessRule, Step<'a>),
) -> Outcome<'a> {
    if facts.stage >= Stage::Rcpt && rules.exempts(facts) {
        return Outcome::Exempt;
    }
    let mut run = Run {
        rules,
        facts,
        answers,
        memory,
        trace,
        noted: Noted::default(),
        waits: false,
        at_end: None,
    };
    if let Some(outcome) = run.list(&rules.rules, 0, 0) {
        return outcome;
    }
    if run.waits {
        return Outcome::NotYet;
    }
    match run.at_end {
        Some((rule, words)) => Outcome::Refused {
            rule,
            words,
            limit: None,
        },
        None => Outcome::Passed(run.noted),
    }
}

struct Run<'a, 'f, T> {
    rules: &'a AccessRules,
    facts: &'f Facts<'f>,
    answers: &'a Answers,
    memory: Memory<'f>,
    trace: T,
    noted: Noted<'a>,
    /// Whether a rule that could refuse waits for something not known yet.
    waits: bool,
    /// The refusal to give at the end, unless another rule refuses before.
    at_end: Option<(&'a AccessRule, &'a Words)>,
}

impl<'a, T: FnMut(&'a AccessRule, Step<'a>)> Run<'a, '_, T> {
    /// Goes through rules, of which the first has this number; `Some` if one has decided.
    fn list(&mut self, list: &'a [AccessRule], first: usize, depth: usize) -> Option<Outcome<'a>> {
        for (number, rule) in (first..).zip(list) {
            if self.memory.has(number) {
                continue;
            }
            match rule.matches(self.facts, self.answers) {
                (Holds::No, condition) => {
                    if let Some(condition) = condition {
                        if let Memory::Learns(known) = &mut self.memory {
                            known.add(number, condition, self.rules);
                        }
                        (self.trace)(rule, Step::Fails(condition));
                    }
                }
                (Holds::Later, condition) => {
                    (self.trace)(rule, Step::Waits(condition));
                    if rule.may_accept() {
                        return Some(Outcome::NotYet);
                    }
                    self.waits = true;
                }
                (Holds::Ask(question), _) => return Some(Outcome::Ask(question)),
                (Holds::Unsure(reason), _) => return Some(Outcome::Unsure { rule, reason }),
                (Holds::Yes, _) => {
                    (self.trace)(rule, Step::Does(&rule.action));
                    if let Some(outcome) = self.act(rule, &rule.action, depth) {
                        return Some(outcome);
                    }
                }
            }
        }
        None
    }

    fn act(&mut self, rule: &'a AccessRule, action: &'a Action, depth: usize) -> Option<Outcome<'a>> {
        match action {
            Action::Accept { .. } | Action::Discard if self.waits => Some(Outcome::NotYet),
            Action::Accept { relay } => Some(self.unless_at_end(|noted| Outcome::Accepted {
                rule,
                relay: *relay,
                noted,
            })),
            Action::Discard => Some(self.unless_at_end(|noted| Outcome::Discarded { rule, noted })),
            Action::Refuse(words) => Some(Outcome::Refused {
                rule,
                words,
                limit: None,
            }),
            Action::RefuseAtEnd(words) => {
                self.at_end.get_or_insert((rule, words));
                None
            }
            Action::Hold(reason) => {
                self.noted.hold.get_or_insert((rule, reason));
                None
            }
            Action::Redirect(to) => {
                self.noted.redirect.get_or_insert((rule, to));
                None
            }
            Action::Copy(to) => {
                self.noted.copies.push((rule, to));
                None
            }
            Action::Detour(detour) => {
                self.noted.detour = Some((rule, detour));
                None
            }
            Action::Tag(field) => {
                self.noted.tags.push((rule, field));
                None
            }
            Action::Note(text) => {
                self.noted.notes.push((rule, text));
                None
            }
            Action::Limit(number) => self.limit(rule, *number),
            Action::Service(number) => self.asked(rule, Question::Service(*number), depth),
            Action::LookUp(number) => {
                let known_at = self.rules.look_ups.get(*number)?.stage();
                if self.facts.stage < known_at {
                    return Some(Outcome::NotYet);
                }
                self.asked(rule, Question::LookUp(*number), depth)
            }
            Action::Class(number) if depth < CLASS_DEPTH_MAX => {
                let class = self.rules.classes.get(*number)?;
                self.list(&class.rules, self.rules.first_of(*number), depth + 1)
            }
            Action::Part(number) if depth < CLASS_DEPTH_MAX => {
                let class = self.rules.classes.get(*number)?;
                match self.list(&class.rules, self.rules.first_of(*number), depth + 1) {
                    Some(Outcome::Accepted {
                        relay: false, noted, ..
                    }) => {
                        self.noted = noted;
                        None
                    }
                    decided => decided,
                }
            }
            Action::Several(actions) => actions.iter().find_map(|action| self.act(rule, action, depth)),
            Action::Class(_) | Action::Part(_) | Action::Continue => None,
        }
    }

    fn unless_at_end(&mut self, otherwise: impl FnOnce(Noted<'a>) -> Outcome<'a>) -> Outcome<'a> {
        match self.at_end {
            Some((rule, words)) => Outcome::Refused {
                rule,
                words,
                limit: None,
            },
            None => otherwise(std::mem::take(&mut self.noted)),
        }
    }

    /// Applies the action of a table or service.
    fn asked(&mut self, rule: &'a AccessRule, question: Question, depth: usize) -> Option<Outcome<'a>> {
        match self.answers.of(question) {
            None => Some(Outcome::Ask(question)),
            Some(Answer::Unsure(reason)) => Some(Outcome::Unsure { rule, reason }),
            // An action that refers to others is followed as deep as classes are.
            Some(Answer::Action(action)) if depth < CLASS_DEPTH_MAX => {
                (self.trace)(rule, Step::Does(action));
                self.act(rule, action, depth + 1)
            }
            Some(Answer::Action(_) | Answer::Addresses(_) | Answer::Yes | Answer::No) => None,
        }
    }

    fn limit(&mut self, rule: &'a AccessRule, number: usize) -> Option<Outcome<'a>> {
        let limit = self.rules.limits.get(number)?;
        // Limits count recipients.
        if self.facts.stage < Stage::Rcpt {
            self.waits = true;
            return None;
        }
        match self.answers.of(Question::Limit(number)) {
            None => Some(Outcome::Ask(Question::Limit(number))),
            Some(Answer::No) => Some(Outcome::Refused {
                rule,
                words: &limit.words,
                limit: Some(&limit.name),
            }),
            Some(_) => None,
        }
    }
}
