//! Collects the steps of a session: each with its rule, and the setting behind it.

use std::fmt;
use std::sync::Arc;

use postern_directory::aliases::Aliases;
use postern_policy::route::Detour;
use postern_policy::rule::{Rule, Says, Verdict};
use serde::Serialize;

use crate::config::checked::ListenerConfig;
use crate::config::{Config, Shown, place};

/// One question with its answer.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Step {
    /// What the client does.
    pub(in crate::commands) command: String,
    pub(in crate::commands) allowed: bool,
    pub(in crate::commands) rule: &'static str,
    pub(in crate::commands) reason: String,
    /// The setting behind the rule, if there is one.
    pub(in crate::commands) setting: Option<Setting>,
    /// What would change the verdict.
    pub(in crate::commands) remedy: &'static str,
    /// The reply code for the client, if known.
    #[serde(skip)]
    pub(in crate::commands) code: Option<u16>,
}

impl Step {
    /// Whether the refusal is temporary: the client tries again.
    pub(in crate::commands) fn is_for_now(&self) -> bool {
        !self.allowed && self.code.is_some_and(|code| code < 500)
    }
}

/// Where a setting is written.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Setting {
    pub(in crate::commands) key: &'static str,
    /// The file, and the line from 1; none if it is not set and its default applies.
    pub(in crate::commands) file: Option<String>,
    pub(in crate::commands) line: Option<usize>,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{} in {file}:{line}", self.key),
            _ => write!(f, "{}, default", self.key),
        }
    }
}

/// The setting behind a rule, if it has one; `name` is the name of its table if there are several.
pub(in crate::commands) fn setting_behind(rule: Rule, name: Option<&str>, shown: &Shown) -> Option<Setting> {
    let key = rule.setting();
    let (file, line) = place::of_setting(shown, key, name).cloned().unzip();
    (!key.is_empty()).then_some(Setting { key, file, line })
}

/// The name of a setting's table, if the reason of a verdict mentions it.
pub(in crate::commands) fn table_in_reason(rule: Rule, reason: &str) -> Option<String> {
    match rule {
        Rule::RelayCertificate | Rule::RelayDevice => Some(reason.to_owned()),
        Rule::BudgetApplies
        | Rule::BudgetWarned
        | Rule::BudgetDelayed
        | Rule::BudgetRefused
        | Rule::BudgetHeld => reason.split('"').nth(1).map(str::to_owned),
        Rule::ScopeListener
        | Rule::ScopeMechanism
        | Rule::ScopeNetwork
        | Rule::ScopeHour
        | Rule::ScopeSender
        | Rule::ScopeRecipient
        | Rule::ScopeUnsure => reason.split('"').nth(1).map(str::to_owned),
        Rule::IdentityGrant | Rule::IdentityGroup => reason.split('"').nth(1).map(str::to_owned),
        _ => None,
    }
}

/// The parts of `postern.toml:12`.
fn file_and_line(place: &str) -> Option<(&str, usize)> {
    let (file, line) = place.rsplit_once(':')?;
    Some((file, line.parse().ok()?)).filter(|(file, _)| !file.is_empty())
}

/// Collects the steps.
pub(in crate::commands) struct Course<'a> {
    pub(in crate::commands) config: &'a Config,
    pub(in crate::commands) listener: &'a ListenerConfig,
    pub(in crate::commands) steps: Vec<Step>,
    /// The special route that a rule or check has given the message.
    pub(in crate::commands) detour: Option<Arc<Detour>>,
}

impl<'a> Course<'a> {
    /// The aliases of the configuration.
    pub(in crate::commands) const fn aliases(&self) -> &'a Aliases {
        &self.config.aliases
    }

    pub(in crate::commands) fn add(&mut self, command: impl Into<String>, verdict: &dyn Verdict) {
        let name = self.name_behind(verdict.rule(), &verdict.reason().to_string());
        self.add_named(command, verdict, name.as_deref());
    }

    /// The same for a setting in one of several tables, the one with this name.
    pub(in crate::commands) fn add_named(
        &mut self,
        command: impl Into<String>,
        verdict: &dyn Verdict,
        name: Option<&str>,
    ) {
        self.push(command, verdict, name, verdict.rule().says() != Says::No);
    }

    /// The same if an action in the configuration says whether the rule refuses.
    pub(in crate::commands) fn add_judged(
        &mut self,
        command: impl Into<String>,
        verdict: &dyn Verdict,
        allowed: bool,
    ) {
        self.push(command, verdict, None, allowed);
    }

    /// The same for a setting whose place is known: a file and a line, as `postern.toml:12`.
    pub(in crate::commands) fn add_at(
        &mut self,
        command: impl Into<String>,
        verdict: &dyn Verdict,
        (key, place): (Option<&'static str>, &str),
    ) {
        self.add(command, verdict);
        let Some(step) = self.steps.last_mut() else { return };
        if let Some((file, line)) = file_and_line(place) {
            let key = key.or_else(|| step.setting.as_ref().map(|setting| setting.key));
            step.setting = key.map(|key| Setting {
                key,
                file: Some(file.to_owned()),
                line: Some(line),
            });
        }
    }

    /// The same for this top-level setting.
    pub(in crate::commands) fn add_for(
        &mut self,
        command: impl Into<String>,
        verdict: &dyn Verdict,
        key: &'static str,
    ) {
        self.add(command, verdict);
        let (file, line) = place::of_setting(&self.config.shown, key, None).cloned().unzip();
        if let Some(step) = self.steps.last_mut() {
            step.setting = Some(Setting { key, file, line });
        }
    }

    /// Sets the reply code of the last step.
    pub(in crate::commands) fn with_code(&mut self, code: u16) {
        if let Some(step) = self.steps.last_mut() {
            step.code = Some(code);
        }
    }

    /// The last step has no setting of its own: it concerns all of several tables.
    pub(in crate::commands) fn without_setting(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.setting = None;
        }
    }

    fn push(&mut self, command: impl Into<String>, verdict: &dyn Verdict, name: Option<&str>, allowed: bool) {
        let rule = verdict.rule();
        let reason = verdict.reason().to_string();
        let setting = setting_behind(rule, name, &self.config.shown);
        self.steps.push(Step {
            command: command.into(),
            allowed,
            rule: rule.name(),
            reason,
            setting,
            remedy: rule.remedy(),
            code: verdict.reply().map(|(code, ..)| code),
        });
    }

    /// The name of the table with the setting, if there are several.
    fn name_behind(&self, rule: Rule, reason: &str) -> Option<String> {
        match rule {
            _ if rule.setting().split('.').next() == Some("milter") => {
                reason.split('"').nth(1).map(str::to_owned)
            }
            _ if rule.setting().starts_with("listener.") => {
                let name = &self.listener.settings.name;
                let named = place::of_setting(&self.config.shown, "listener", Some(name)).is_some();
                Some(if named {
                    name.clone()
                } else {
                    self.listener.address.to_string()
                })
            }
            _ if matches!(rule.setting(), "rewrite" | "header_check" | "copy") => {
                self.named_before(rule.setting(), reason)
            }
            _ => table_in_reason(rule, reason),
        }
    }

    /// The table of this kind whose name precedes a colon in a reason; if several, the last.
    fn named_before(&self, table: &str, reason: &str) -> Option<String> {
        let mut names = reason.match_indices(": ").map(|(at, _)| &reason[..at]);
        names.find_map(|names| {
            let last = names.rsplit(" + ").next()?;
            place::of_setting(&self.config.shown, table, Some(last)).map(|_| last.to_owned())
        })
    }
}
