//! `[system_users]`: mail for the users of this machine.

use std::path::Path;

use std::collections::HashSet;

use postern_deliver::SystemUsers;
use postern_mda::Pipe;
use postern_mda::agent::{PIPE_PLACEHOLDERS, PLACEHOLDERS};
use postern_policy::route::Target;

use super::hostname::name_of_host;
use super::{Checking, clamp, values};
use crate::config::file::{PipeTable, Postern, RouteTo};
use crate::config::problem::Problems;
use crate::config::read::At;

/// Where mail for the users of this machine goes.
pub(super) fn target(file: &Postern) -> Target {
    Target::System {
        per_user: clamp(*file.system_users.deliveries_per_user),
    }
}

/// Whether any mail goes there, or to a program run by the helper.
fn is_used(file: &Postern) -> bool {
    let leads_there = |to: Option<RouteTo>| to == Some(RouteTo::System);
    *file.delivery.system_users
        || !file.pipe.is_empty()
        || file
            .route
            .iter()
            .any(|route| leads_there(route.to.as_ref().map(|to| to.value)))
}

/// How the helper is reached; `None` if no mail goes there.
pub(super) fn check(c: &mut Checking<'_>) -> Option<SystemUsers> {
    let written = &c.file.system_users;
    check_mailbox(c);
    check_agent(c);
    check_pipes(c);
    is_used(c.file).then(|| {
        let settings = system_users(c.file);
        SystemUsers {
            socket: written.socket.value.clone(),
            // Others may be ahead of it in the helper's queue.
            patience: 3 * settings.longest(),
            place: match settings.agent.first() {
                Some(agent) => agent.clone(),
                None => settings.mailbox,
            },
        }
    })
}

/// The helper's part of the configuration.
pub(crate) fn system_users(file: &Postern) -> postern_mda::Settings {
    let written = &file.system_users;
    postern_mda::Settings {
        mailbox: written.mailbox.value.clone(),
        agent: values(&written.agent.value),
        forward: *written.forward,
        forward_programs: *written.forward_programs,
        forward_files: *written.forward_files,
        min_uid: clamp(*written.min_uid),
        timeout: *written.timeout,
        lock_timeout: *written.lock_timeout,
        min_free: *file.admission.min_free,
        hostname: name_of_host(file),
        pipes: file.pipe.iter().map(|pipe| one(pipe)).collect(),
    }
}

/// The pattern must give each user a separate mailbox.
fn check_mailbox(c: &mut Checking<'_>) {
    let pattern = &c.file.system_users.mailbox;
    let is_home = pattern.starts_with("~/") && pattern.len() > 2;
    let known = pattern.replace("{user}", "");
    let (title, remedy) = if known.contains(['{', '}']) {
        (
            "`mailbox` in [system_users] has an unknown placeholder",
            "the only one is {user}",
        )
    } else if !is_home && !pattern.starts_with('/') {
        (
            "`mailbox` in [system_users] is neither in the home folder nor an absolute path",
            "write for example \"~/Maildir/\" or \"/var/mail/{user}\"",
        )
    } else if !is_home && !pattern.contains("{user}") {
        (
            "`mailbox` in [system_users] puts all mail into one mailbox",
            "write for example \"/var/mail/{user}\"",
        )
    } else if Path::new(&pattern.value)
        .components()
        .any(|part| part.as_os_str() == "..")
    {
        (
            "`mailbox` in [system_users] leads upwards",
            "write the path without `..`",
        )
    } else {
        return;
    };
    c.problems
        .error(pattern.span.clone(), title, "cannot be used", remedy);
}

/// A program, as passed to the helper.
fn one(pipe: &PipeTable) -> Pipe {
    Pipe {
        name: pipe.name.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        command: pipe
            .command
            .as_ref()
            .map(|at| values(&at.value))
            .unwrap_or_default(),
        user: pipe.user.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        group: pipe.group.as_ref().map(|at| at.value.clone()),
        add: values(&pipe.add.value),
        lowercase: values(&pipe.lowercase),
        size_max: pipe.size_limit.as_ref().map_or(0, |at| at.value),
    }
}

/// Where mail for a program goes, by its name; `None` after a mistake.
pub(super) fn program(name: &At<String>, pipes: &[At<PipeTable>], problems: &mut Problems) -> Option<Target> {
    let is_there = |pipe: &At<PipeTable>| pipe.name.as_ref().is_some_and(|known| known.value == name.value);
    if !pipes.iter().any(is_there) {
        problems.error(
            name.span.clone(),
            format!("there is no [[pipe]] with the name {:?}", name.value),
            "unknown",
            "write a [[pipe]] with `name`, `command` and `user`",
        );
        return None;
    }
    Some(Target::Pipe {
        name: name.value.as_str().into(),
        next_hop: "".into(),
    })
}

fn check_pipes(c: &mut Checking<'_>) {
    let mut names = HashSet::new();
    for pipe in &c.file.pipe.value {
        if let Some(name) = &pipe.name
            && !names.insert(name.value.as_str())
        {
            c.problems.error(
                name.span.clone(),
                format!("two [[pipe]] have the name {:?}", name.value),
                "the second one",
                "give it another name",
            );
        }
        if let Some(user) = pipe.user.as_ref().filter(|user| user.value == "root") {
            c.problems.error(
                user.span.clone(),
                "a [[pipe]] with the rights of root",
                "never run",
                "name a user that the program needs no more rights than",
            );
        }
        let command = pipe.command.iter().flat_map(|command| &command.value);
        let words: Vec<&At<String>> = command.collect();
        let Some(program) = words.first() else { continue };
        if !program.starts_with('/') || program.contains('{') {
            c.problems.error(
                program.span.clone(),
                "`command` in [[pipe]] does not begin with the path of a program",
                "not an absolute path",
                "write for example `command = [\"/usr/bin/maildrop\", \"-d\", \"{recipient}\"]`",
            );
        }
        for word in words.iter().skip(1) {
            let known = PIPE_PLACEHOLDERS
                .iter()
                .fold(word.value.clone(), |text, name| text.replace(name, ""));
            if known.contains(['{', '}']) {
                c.problems.error(
                    word.span.clone(),
                    "a word of `command` in [[pipe]] has an unknown placeholder",
                    "not filled in",
                    format!("known: {}", PIPE_PLACEHOLDERS.join(", ")),
                );
            }
        }
    }
}

fn check_agent(c: &mut Checking<'_>) {
    let agent = &c.file.system_users.agent;
    let Some(program) = agent.first() else { return };
    if !program.starts_with('/') || program.contains('{') {
        c.problems.error(
            program.span.clone(),
            "`agent` in [system_users] does not begin with the path of a program",
            "not an absolute path",
            "write for example `agent = [\"/usr/bin/procmail\", \"-d\", \"{user}\"]`",
        );
    }
    for word in agent.iter().skip(1) {
        let known = PLACEHOLDERS
            .iter()
            .fold(word.value.clone(), |text, name| text.replace(name, ""));
        if known.contains(['{', '}']) {
            c.problems.error(
                word.span.clone(),
                "a word of `agent` in [system_users] has an unknown placeholder",
                "not filled in",
                format!("known: {}", PLACEHOLDERS.join(", ")),
            );
        }
    }
    if let Some(mailbox) = &c.file.system_users.mailbox.span {
        c.problems.error(
            Some(mailbox.clone()),
            "`mailbox` and `agent` in [system_users] exclude each other",
            "never used",
            "keep the one that takes the mail",
        );
    }
}

/// Mail for local domains can only go one way.
pub(super) fn warn_of_exclusion(c: &mut Checking<'_>) {
    let delivery = &c.file.delivery;
    if !*delivery.system_users {
        return;
    }
    let maildir = delivery
        .maildir
        .as_ref()
        .map(|maildir| ("maildir", maildir.span.clone()));
    let pipe = delivery.pipe.as_ref().map(|pipe| ("pipe", pipe.span.clone()));
    let lmtp = (!delivery.lmtp.is_empty()).then(|| ("lmtp", delivery.lmtp.span.clone()));
    for (key, span) in maildir.into_iter().chain(lmtp).chain(pipe) {
        c.problems.error(
            span,
            format!("`{key}` and `system_users` in [delivery] exclude each other"),
            "never used",
            "keep the one that local mail is to go to",
        );
    }
}
