//! Access rules: conditions that can be true, verdicts with what they need, existing classes, tables, services and limits, and no
//! open relay.

mod build;
mod conditions;
mod limits;
mod tables;
mod verdicts;

use std::collections::HashMap;
use std::sync::Arc;

use postern_policy::access::rules::CLASS_DEPTH_MAX;
use postern_policy::access::{AccessRules, Action};
use postern_policy::limit::Limit;
use postern_receive::AccessSettings;

use self::build::Build;
use super::Checking;
use crate::config::problem::Span;
use crate::config::read::At;

/// Most rules: each is evaluated for each recipient.
const RULES_MAX: usize = 1_000;

/// The result of all tables.
pub(super) struct Access {
    /// What applies to listeners without settings of their own.
    pub(super) general: Arc<AccessSettings>,
    /// The limits for clients.
    pub(super) limits: Vec<Limit>,
}

pub(super) fn check(c: &mut Checking<'_>) -> Access {
    let limits = limits::check(c);
    if c.file.access.len() > RULES_MAX {
        c.problems.error(
            c.file.access.last().and_then(|last| last.span.clone()),
            format!("more than {RULES_MAX} [[access]] tables"),
            "each is looked at for each recipient",
            "put addresses and networks into tables, and name those in a rule",
        );
    }
    let settings = Build::new(c, &limits).build();
    refuse_circles(&settings.rules, c);
    Access {
        general: Arc::new(settings),
        limits,
    }
}

impl Access {
    /// The rules of a listener that names a class of its own, or `off`.
    pub(super) fn of_listener(
        &self,
        written: &At<String>,
        c: &mut Checking<'_>,
    ) -> Option<Arc<AccessSettings>> {
        let mut own = AccessSettings::clone(&self.general);
        own.rules.rules = if written.value == "off" {
            Vec::new()
        } else {
            let classes = &self.general.rules.classes;
            match classes.iter().find(|class| *class.name == *written.value) {
                Some(class) => class.rules.clone(),
                None => {
                    c.problems.error(
                        written.span.clone(),
                        format!("there is no class {:?} of access rules", written.value),
                        "unknown",
                        "write the `class` of [[access]] rules, or \"off\" for none",
                    );
                    return None;
                }
            }
        };
        own.rules.prepare();
        Some(Arc::new(own))
    }
}

/// A class that leads back to itself would be judged endlessly.
fn refuse_circles(rules: &AccessRules, c: &mut Checking<'_>) {
    let depths: HashMap<usize, usize> = HashMap::new();
    let mut depths = depths;
    for number in 0..rules.classes.len() {
        let depth = depth_of(number, rules, 0, &mut depths);
        if depth > CLASS_DEPTH_MAX {
            let name = &rules.classes[number].name;
            let span = span_of_class(name, c);
            c.problems.error(
                span,
                format!(
                    "the class {name:?} of access rules leads to itself, or more than {CLASS_DEPTH_MAX} deep"
                ),
                "in a circle",
                "have no rule of the class judge it, whether itself or by another class",
            );
            return;
        }
    }
}

fn depth_of(number: usize, rules: &AccessRules, above: usize, known: &mut HashMap<usize, usize>) -> usize {
    if above > CLASS_DEPTH_MAX {
        return above;
    }
    if let Some(depth) = known.get(&number) {
        return *depth;
    }
    let mut depth = 1;
    for rule in rules.classes.get(number).iter().flat_map(|class| &class.rules) {
        if let Action::Class(inner) | Action::Part(inner) = rule.action {
            depth = depth.max(1 + depth_of(inner, rules, above + 1, known));
        }
    }
    known.insert(number, depth);
    depth
}

fn span_of_class(name: &str, c: &Checking<'_>) -> Option<Span> {
    let mut tables = c.file.access.iter();
    let class = tables.find_map(|table| table.class.as_ref().filter(|class| class.value == *name));
    class.and_then(|class| class.span.clone())
}
