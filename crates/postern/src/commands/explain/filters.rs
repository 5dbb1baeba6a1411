//! Which mail filters would be asked about the message.

use postern_policy::rule::{Rule, Ruling, Verdict as _};
use postern_receive::judge::Judge;

use super::course::Course;
use crate::args::ExplainSessionArgs;

/// A step for each filter, in order. Their answers are unknown here: `postern milters try` asks one.
pub(super) fn filters(course: &mut Course<'_>, judge: &Judge<'_>, args: &ExplainSessionArgs) {
    let facts = judge.filter_facts(args.size);
    let config = course.config;
    for milter in &config.receive.milters {
        let name = &milter.filter.name;
        let (rule, reason) = match milter.conditions.judge(&facts) {
            Ok(()) => (
                Rule::MilterAsked,
                format!("\"{name}\" is asked about the message"),
            ),
            Err(skip) => (skip.rule(), format!("\"{name}\" is passed by: {skip}")),
        };
        course.add(
            format!("filter {name}"),
            &Ruling {
                rule,
                reason: &reason,
            },
        );
    }
}
