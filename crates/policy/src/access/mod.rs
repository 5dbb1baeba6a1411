//! Access rules: one ordered list that says who may send what to whom, by conditions on everything known about a client and its
//! mail.
//!
//! [`judge()`] decides from rules, [`Facts`] and the [`Answers`] so far. What it lacks it returns as a [`Question`]; its driver
//! finds the answer and judges again. So nothing is looked up that no rule depends on. A session judges many times, with
//! [`judge_on()`], which skips rules that cannot match.

pub mod action;
pub mod condition;
pub mod delegation;
pub mod facts;
pub mod judge;
pub mod keys;
pub mod names;
pub mod networks;
pub mod refusal;
pub mod ruled_out;
pub mod rules;
pub mod times;
pub mod written;

pub use action::{Action, Words};
pub use condition::{Condition, Fault, Test};
pub use facts::{Answer, Answers, Destination, Facts, Party, Question, Scope, Stage};
pub use judge::{Noted, Outcome, Step, judge, judge_again, judge_on};
pub use refusal::{AccessRefusal, Why};
pub use ruled_out::RuledOut;
pub use rules::{AccessRule, AccessRules, Class, Limit};

#[cfg(test)]
mod tests;
