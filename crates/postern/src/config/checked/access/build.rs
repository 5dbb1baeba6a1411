//! Assembles the rules: numbers in place of names.

use postern_directory::tables::Lookup;
use postern_policy::access::rules::AccessRule;
use postern_policy::access::{AccessRules, Action, Class, Stage};
use postern_policy::limit::Limit;
use postern_receive::{AccessSettings, ServiceSettings};

use super::super::{Checking, clamp};
use crate::config::distance::nearest;
use crate::config::file::{Access, PolicyService};
use crate::config::problem::Span;
use crate::config::read::At;

/// Rules being built.
pub(super) struct Build<'b, 'c> {
    pub(super) c: &'b mut Checking<'c>,
    pub(super) limits: &'b [Limit],
    pub(super) rules: AccessRules,
    pub(super) tables: Vec<Lookup>,
    /// The opened tables, by reference.
    pub(super) opened: Vec<(String, Option<Lookup>)>,
    services: Vec<ServiceSettings>,
}

impl<'b, 'c> Build<'b, 'c> {
    pub(super) fn new(c: &'b mut Checking<'c>, limits: &'b [Limit]) -> Self {
        Self {
            c,
            limits,
            rules: AccessRules::default(),
            tables: Vec::new(),
            opened: Vec::new(),
            services: Vec::new(),
        }
    }

    pub(super) fn build(mut self) -> AccessSettings {
        let file = self.c.file;
        self.names();
        let exempt = &file.exempt_recipients.value;
        self.rules.exempt = exempt
            .iter()
            .map(|name| name.value.to_ascii_lowercase().into())
            .collect();
        self.services = file.policy_service.iter().filter_map(service).collect();
        self.rules.services = self
            .services
            .iter()
            .map(|service| service.name.as_str().into())
            .collect();
        for table in file.access.iter() {
            let rule = self.rule(table);
            match (&table.class, rule) {
                (_, None) => {}
                (None, Some(rule)) => self.rules.rules.push(rule),
                (Some(name), Some(rule)) => {
                    if let Some(class) = self
                        .rules
                        .classes
                        .iter_mut()
                        .find(|class| *class.name == *name.value)
                    {
                        class.rules.push(rule);
                    }
                }
            }
        }
        self.rules.prepare();
        self.warn_of_the_unreachable();
        AccessSettings {
            rules: self.rules,
            tables: self.tables,
            services: self.services,
        }
    }

    /// Names must be unique; classes get their numbers before rules refer to them.
    fn names(&mut self) {
        let file = self.c.file;
        let mut seen: Vec<&str> = Vec::new();
        for table in file.access.iter() {
            if let Some(class) = &table.class
                && !self.rules.classes.iter().any(|known| *known.name == *class.value)
            {
                self.rules.classes.push(Class {
                    name: class.value.as_str().into(),
                    rules: Vec::new(),
                });
            }
            let Some(name) = &table.name else { continue };
            if seen.contains(&name.value.as_str()) {
                self.c.problems.error(
                    name.span.clone(),
                    format!("two access rules are named {:?}", name.value),
                    "used before",
                    "give each its own name: the log names the one that decided",
                );
            }
            seen.push(&name.value);
        }
        let mut seen: Vec<&str> = Vec::new();
        for name in file.policy_service.iter().filter_map(|table| table.name.as_ref()) {
            if seen.contains(&name.value.as_str()) {
                self.c.problems.error(
                    name.span.clone(),
                    format!("two policy services are named {:?}", name.value),
                    "used before",
                    "give each its own name",
                );
            }
            seen.push(&name.value);
        }
    }

    fn rule(&mut self, table: &At<Access>) -> Option<AccessRule> {
        let name = table.name.as_ref()?.value.clone();
        let conditions = self.conditions(table);
        let action = self.action(table, &name)?;
        if relays(&action) || (*table.relay && table.table.is_some()) {
            self.guard_relaying(table, &conditions);
        }
        let delayed = if *self.c.file.delay_checks {
            Stage::Rcpt
        } else {
            Stage::Connect
        };
        // A rule with a condition on the recipient waits for one, unless configured otherwise.
        let usual = match action {
            Action::Service(_) => Stage::Rcpt,
            _ => delayed,
        };
        Some(AccessRule {
            from: table.at.as_ref().map_or(usual, |at| at.value),
            ..AccessRule::new(&name, conditions, action)
        })
    }

    /// A rule that always decides makes those after it unreachable.
    fn warn_of_the_unreachable(&mut self) {
        let Some(last) = self.rules.rules.iter().position(decides_always) else {
            return;
        };
        if let (Some(rule), Some(behind)) = (self.rules.rules.get(last), self.rules.rules.get(last + 1)) {
            let named = |name: &str| {
                self.c
                    .file
                    .access
                    .iter()
                    .find(|table| table.name.as_ref().is_some_and(|written| *written.value == *name))
            };
            let span = named(&behind.name).and_then(|table| table.span.clone());
            let title = format!("the access rule {:?} is never judged", behind.name);
            let label = format!("{:?} before it decides about everything", rule.name);
            self.c.problems.warning(
                span,
                title,
                label,
                "move it before that one, or give that one conditions",
            );
        }
    }

    /// A mistake in a key of `[[access]]`.
    pub(super) fn bad(
        &mut self,
        span: Option<Span>,
        key: &str,
        label: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let title = format!("`{key}` in [[access]] has an invalid value");
        self.c.problems.error(span, title, label, remedy);
    }

    /// The number of a known name; otherwise a mistake.
    pub(super) fn number(
        &mut self,
        written: &At<String>,
        known: &[String],
        what: &str,
        table: &str,
    ) -> Option<usize> {
        let found = known.iter().position(|name| *name == written.value);
        if found.is_none() {
            let remedy = match nearest(&written.value, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None if known.is_empty() => format!("add a {table} with this name"),
                None => format!("there are: {}", known.join(", ")),
            };
            self.c.problems.error(
                written.span.clone(),
                format!("there is no {what} {:?}", written.value),
                "unknown",
                remedy,
            );
        }
        found
    }
}

fn decides_always(rule: &AccessRule) -> bool {
    use postern_policy::access::Action::{Accept, Discard, Refuse};
    rule.conditions.is_empty() && matches!(rule.action, Accept { .. } | Refuse(_) | Discard)
}

fn service(table: &At<PolicyService>) -> Option<ServiceSettings> {
    let (name, address) = (table.name.as_ref()?, table.address.as_ref()?);
    Some(ServiceSettings {
        name: name.value.clone(),
        address: address.value.clone(),
        timeout: *table.timeout,
        optional: *table.optional,
        connections: clamp(*table.connections),
        idle_time: *table.idle_time,
    })
}

/// Whether an action is a reason to relay by itself.
const fn relays(action: &Action) -> bool {
    matches!(action, Action::Accept { relay: true })
}
