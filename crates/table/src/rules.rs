//! Rules in order, optionally under conditions: common to networks and patterns.

use crate::lines::{is_blank, logical};
use crate::notes::Notes;

/// Deepest nesting of conditions.
const DEPTH_MAX: usize = 32;

/// One step through the rules.
#[derive(Debug)]
pub(crate) enum Step<T, V> {
    /// If the test holds, this is the value.
    Rule(Test<T>, V, usize),
    /// If the test does not hold, continue after this step.
    If(Test<T>, usize),
}

/// A test, or its negation.
#[derive(Debug)]
pub(crate) struct Test<T> {
    pub(crate) test: T,
    pub(crate) negated: bool,
}

/// How the tests and values of one format are read.
pub(crate) trait Form {
    type Test;
    type Value;

    /// Reads a test at the beginning of a text; returns the rest. The error says what is wrong.
    fn test<'t>(&self, text: &'t str) -> Result<(Self::Test, &'t str), String>;

    /// Reads the value of a rule with this test.
    fn value(&self, text: &str, test: &Test<Self::Test>) -> Result<Self::Value, String>;
}

/// Reads all rules.
pub(crate) fn read<F: Form>(text: &str, form: &F, notes: &mut Notes) -> Vec<Step<F::Test, F::Value>> {
    let mut steps: Vec<Step<F::Test, F::Value>> = Vec::new();
    // Open conditions, by their step, with their lines; no step for an invalid one.
    let mut open: Vec<(Option<usize>, usize)> = Vec::new();
    logical(text, notes, |(number, line), notes| match word(&line) {
        ("if", rest) => {
            let step = match condition(form, rest) {
                Ok(test) => {
                    steps.push(Step::If(test, usize::MAX));
                    Some(steps.len() - 1)
                }
                Err(message) => {
                    notes.mistake(number, message);
                    None
                }
            };
            if open.len() == DEPTH_MAX {
                notes.mistake(number, "is within more than 32 conditions: close some by `endif`");
            }
            open.push((step, number));
        }
        ("endif", rest) => {
            if !rest.is_empty() {
                notes.warning(
                    number,
                    format!("{rest:?} behind `endif` has no effect: remove it"),
                );
            }
            match open.pop() {
                Some((Some(step), _)) => {
                    let end = steps.len();
                    if let Step::If(_, behind) = &mut steps[step] {
                        *behind = end;
                    }
                }
                Some((None, _)) => {}
                None => notes.mistake(number, "`endif` without `if`: remove it"),
            }
        }
        _ => match rule(form, &line) {
            Ok((test, value)) => steps.push(Step::Rule(test, value, number)),
            Err(message) => notes.mistake(number, message),
        },
    });
    for (_, number) in open {
        notes.mistake(number, "`if` without `endif`: add `endif` behind its last rule");
    }
    steps
}

/// The first rule whose test and conditions all hold. A test for which `holds` has no answer does not hold.
pub(crate) fn find<T, V>(
    steps: &[Step<T, V>],
    mut holds: impl FnMut(&T) -> Option<bool>,
) -> Option<(&Test<T>, &V, usize)> {
    let mut at = 0;
    while let Some(step) = steps.get(at) {
        at += 1;
        match step {
            Step::Rule(test, value, line) if test.holds(&mut holds) => return Some((test, value, *line)),
            Step::Rule(..) => {}
            Step::If(test, behind) if !test.holds(&mut holds) => at = *behind,
            Step::If(..) => {}
        }
    }
    None
}

impl<T> Test<T> {
    /// A test that cannot be evaluated does not hold, and neither does its negation.
    fn holds(&self, holds: &mut impl FnMut(&T) -> Option<bool>) -> bool {
        holds(&self.test).is_some_and(|holds| holds != self.negated)
    }
}

/// The first word in lower case, if it is a keyword, and what follows.
fn word(line: &str) -> (&'static str, &str) {
    for known in ["if", "endif"] {
        let Some(begin) = line
            .get(..known.len())
            .filter(|begin| begin.eq_ignore_ascii_case(known))
        else {
            continue;
        };
        let rest = &line[begin.len()..];
        if rest.is_empty() || rest.starts_with(is_blank) || rest.starts_with('!') {
            return (known, rest.trim_matches(is_blank));
        }
    }
    ("", line)
}

fn condition<F: Form>(form: &F, text: &str) -> Result<Test<F::Test>, String> {
    let (test, rest) = test(form, text)?;
    if rest.trim_matches(is_blank).is_empty() {
        Ok(test)
    } else {
        Err(format!(
            "has {:?} after the condition of `if`: write it on a line of its own",
            rest.trim_matches(is_blank)
        ))
    }
}

fn rule<F: Form>(form: &F, line: &str) -> Result<(Test<F::Test>, F::Value), String> {
    let (test, rest) = test(form, line)?;
    let value = rest.trim_matches(is_blank);
    if value.is_empty() {
        return Err("has no value: write it after the pattern".into());
    }
    let value = form.value(value, &test)?;
    Ok((test, value))
}

fn test<'t, F: Form>(form: &F, text: &'t str) -> Result<(Test<F::Test>, &'t str), String> {
    let bare = text.trim_start_matches(|c| is_blank(c) || c == '!');
    let negated = text[..text.len() - bare.len()].matches('!').count() % 2 == 1;
    let (test, rest) = form.test(bare)?;
    Ok((Test { test, negated }, rest))
}
