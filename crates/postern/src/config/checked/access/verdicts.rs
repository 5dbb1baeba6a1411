//! What a rule does, with everything it needs.

use std::sync::Arc;

use postern_mail::{NewField, Status};
use postern_policy::access::condition::Test;
use postern_policy::access::keys::{Form, Subject};
use postern_policy::access::written::status;
use postern_policy::access::{Action, Condition, Limit, Words};
use postern_policy::route::Detour;

use super::build::Build;
use crate::config::file::{AcceptEnds, Access, VerdictWord};
use crate::config::read::At;

impl Build<'_, '_> {
    /// What a rule does; `None` after a mistake.
    pub(super) fn action(&mut self, table: &At<Access>, name: &str) -> Option<Action> {
        let verdict = table.verdict.as_ref()?.value;
        let reason = || table.reason.as_ref().map_or(name, |reason| reason.value.as_str());
        Some(match verdict {
            VerdictWord::Accept => Action::Accept { relay: *table.relay },
            VerdictWord::Continue => Action::Continue,
            VerdictWord::Discard => Action::Discard,
            VerdictWord::Refuse => Action::Refuse(self.words(table, Words::USUAL)?),
            VerdictWord::Defer => Action::Refuse(self.words(table, Words::USUAL_FOR_NOW)?),
            VerdictWord::Hold => Action::Hold(reason().into()),
            VerdictWord::Note => Action::Note(reason().into()),
            VerdictWord::Redirect => match &table.to {
                Some(to) => Action::Redirect(to.value.clone()),
                None => return self.lacks(table, "to", "\"moderator@example.org\""),
            },
            VerdictWord::Copy => match &table.to {
                Some(to) => Action::Copy(to.value.clone()),
                None => return self.lacks(table, "to", "\"archive@example.org\""),
            },
            VerdictWord::Detour => {
                let Some(way) = &table.way else {
                    return self.lacks(table, "way", "\"smtp:[127.0.0.1]:10024\"");
                };
                match Detour::parse(&way.value) {
                    Ok(detour) => Action::Detour(Arc::new(detour)),
                    Err(error) => {
                        let whole = error.to_string();
                        let (label, remedy) = whole.split_once("; ").unwrap_or((&whole, "correct it"));
                        self.bad(way.span.clone(), "way", label, remedy);
                        return None;
                    }
                }
            }
            VerdictWord::Tag => {
                let Some(field) = &table.field else {
                    return self.lacks(table, "field", "\"X-Partner: yes\"");
                };
                let parts = field.value.split_once(':');
                let made = parts.map(|(name, value)| NewField::new(name.trim(), value.trim().as_bytes()));
                match made {
                    Some(Ok(made)) => Action::Tag(made),
                    _ => {
                        self.bad(
                            field.span.clone(),
                            "field",
                            "not a header field",
                            "write it as \"X-Partner: yes\"",
                        );
                        return None;
                    }
                }
            }
            VerdictWord::Limit => {
                let Some(limit) = &table.limit else {
                    return self.lacks(table, "limit", "\"bulk\"");
                };
                let known: Vec<String> = self.limits.iter().map(|limit| limit.name.to_string()).collect();
                self.number(limit, &known, "limit", "[[limit]]")?;
                let words = self.words(table, Words::USUAL_FOR_NOW)?;
                self.rules.limits.push(Limit {
                    name: limit.value.as_str().into(),
                    words,
                });
                Action::Limit(self.rules.limits.len() - 1)
            }
            VerdictWord::Policy => {
                let Some(service) = &table.service else {
                    return self.lacks(table, "service", "\"greylist\"");
                };
                let known: Vec<String> = self.rules.services.iter().map(ToString::to_string).collect();
                Action::Service(self.number(service, &known, "policy service", "[[policy_service]]")?)
            }
            VerdictWord::Class => {
                let Some(class) = &table.judge else {
                    return self.lacks(table, "judge", "\"greylist\"");
                };
                let known: Vec<String> = self
                    .rules
                    .classes
                    .iter()
                    .map(|class| class.name.to_string())
                    .collect();
                let number = self.number(class, &known, "class", "`class` of [[access]]")?;
                match *table.accept_ends {
                    AcceptEnds::List => Action::Class(number),
                    AcceptEnds::Class => Action::Part(number),
                }
            }
            VerdictWord::Table => {
                let Some(named) = &table.table else {
                    return self.lacks(table, "table", "\"hash:/etc/postfix/sender_access\"");
                };
                let Some(subject) = &table.look_up else {
                    return self.lacks(table, "look_up", "\"sender\"");
                };
                Action::LookUp(self.decides(named, subject.value, *table.form, *table.relay)?)
            }
        })
    }

    fn lacks(&mut self, table: &At<Access>, key: &str, example: &str) -> Option<Action> {
        let verdict = table.verdict.as_ref().and_then(|verdict| verdict.span.clone());
        self.c.problems.error(
            verdict.or_else(|| table.span.clone()),
            format!("`{key}` is missing in [[access]]"),
            "this verdict needs it",
            format!("add for example `{key} = {example}`"),
        );
        None
    }

    /// The text of a refusal.
    fn words(&mut self, table: &At<Access>, usual: (u16, Status, &'static str)) -> Option<Words> {
        let code = table
            .code
            .as_ref()
            .map_or(usual.0, |code| u16::try_from(code.value).unwrap_or(usual.0));
        let for_now = usual.0 < 500;
        if (code < 500) != for_now {
            let span = table.code.as_ref().and_then(|code| code.span.clone());
            let (label, remedy) = if for_now {
                (
                    "refuses for good",
                    "write a code of 4xx, or `verdict = \"refuse\"`",
                )
            } else {
                ("refuses for now", "write a code of 5xx, or `verdict = \"defer\"`")
            };
            self.bad(span, "code", label, remedy);
            return None;
        }
        let digit = if for_now { 4 } else { 5 };
        let status = match &table.status {
            None => Status(digit, usual.1.1, usual.1.2),
            Some(written) => match status(&written.value).filter(|status| status.0 == digit) {
                Some(status) => status,
                None => {
                    let remedy = format!("write it as \"{digit}.7.1\"");
                    self.bad(
                        written.span.clone(),
                        "status",
                        "not an enhanced status code of this class",
                        remedy,
                    );
                    return None;
                }
            },
        };
        let text = table.text.as_ref().map_or(usual.2, |text| text.value.as_str());
        match Words::new(code, status, text) {
            Ok(words) => Some(words),
            Err(error) => {
                let whole = error.to_string();
                let (label, remedy) = whole.rsplit_once("; ").unwrap_or((&whole, "change it"));
                let span = table.text.as_ref().and_then(|text| text.span.clone());
                self.bad(span, "text", label, remedy);
                None
            }
        }
    }

    /// A rule that permits relaying must say for whom: a network that can belong to a site, a certificate or a login.
    pub(super) fn guard_relaying(&mut self, table: &At<Access>, conditions: &[Condition]) {
        let by_table = table.table.is_some()
            && table
                .look_up
                .as_ref()
                .is_some_and(|subject| subject.value == Subject::Client);
        let names_somebody = conditions.iter().any(|condition| {
            !condition.negated
                && !condition.tests.is_empty()
                && condition.tests.iter().all(|test| match test {
                    Test::Client(networks) => !networks.is_everybody(),
                    Test::Certificate(_) | Test::Login(_) => true,
                    Test::LookUp(number, _) => self.rules.look_ups.get(*number).is_some_and(|look_up| {
                        look_up.subject == Subject::Client && look_up.form == Form::Members
                    }),
                    _ => false,
                })
        });
        if !names_somebody && !by_table {
            let span = table.relay.span.clone().or_else(|| table.span.clone());
            self.c.problems.error(
                span,
                "an access rule with `relay = true` that is not limited to clients of yours",
                "an open relay",
                "add `client` with your networks, `certificate` or `login`; for domains that anybody may send to, use `relay_domains`",
            );
        }
    }
}
