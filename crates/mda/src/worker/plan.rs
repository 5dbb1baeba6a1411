//! What to do with a message, from the user's `.forward` and what that is allowed to do.

use postern_mail::{Mailbox, ParseOptions};

use crate::forward::{Entry, Found};
use crate::trouble::clean;
use crate::wire::{FORWARD_MAX, Request};

/// One copy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// To a program.
    Program(String),
    /// Into a file, or a Maildir.
    File(String),
    /// Nowhere: to `/dev/null`.
    Discard,
    /// To the mailbox, or the agent.
    Mailbox,
}

/// What to do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Plan {
    /// Those that are most likely to fail come first, so that little is repeated.
    pub(super) steps: Vec<Step>,
    /// The addresses to which the server forwards it.
    pub(super) forward: Vec<String>,
    /// What was ignored.
    pub(super) warnings: Vec<String>,
}

/// What a `.forward` may have besides addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct May {
    pub(super) programs: bool,
    pub(super) files: bool,
    /// Whether the user's shell is one of `/etc/shells`.
    pub(super) shell: bool,
}

/// Most copies of one message; further entries are ignored.
const STEPS_MAX: usize = 20;

/// Most warnings that are reported individually.
const WARNINGS_MAX: usize = 10;

/// Decides. If nothing else is left, the message goes to the mailbox, and so does one that this user has already forwarded. That
/// is not returned: anybody can write the mark into a message, without the sender's doing.
pub(super) fn plan(found: Found, request: &Request, user: &str, may: May) -> Plan {
    let mut plan = Plan::default();
    let entries = match found {
        Found::None => Vec::new(),
        Found::PassedBy(why) => {
            plan.warnings.push(why);
            Vec::new()
        }
        Found::Entries(entries) => entries,
    };
    let own = [request.recipient.clone(), format!("{user}@{}", request.domain)];
    let is_own = |address: &str| own.iter().any(|one| one.eq_ignore_ascii_case(address));
    let mut keep = false;
    for entry in entries {
        match permitted(entry, may) {
            Err(why) => plan.warnings.push(format!(".forward of {user}: {why}")),
            Ok(Entry::Keep) => keep = true,
            Ok(Entry::Address(address)) if is_own(&address) => keep = true,
            Ok(Entry::Address(address)) if plan.forward.len() >= FORWARD_MAX => {
                plan.warnings.push(format!(
                    ".forward of {user}: {address} is ignored: it names more than {FORWARD_MAX} addresses"
                ));
                keep = true;
            }
            Ok(Entry::Address(text)) => match qualified(&text, &request.domain) {
                Some(address) => push(&mut plan.forward, address),
                None => {
                    plan.warnings.push(format!(
                        ".forward of {user}: {text} is ignored: it is not an address"
                    ));
                    keep = true;
                }
            },
            Ok(Entry::Program(_) | Entry::File(_)) if plan.steps.len() >= STEPS_MAX => {
                plan.warnings.push(format!(
                    ".forward of {user}: it names more than {STEPS_MAX} programs and files; the others are ignored"
                ));
            }
            Ok(Entry::Program(command)) => push(&mut plan.steps, Step::Program(command)),
            Ok(Entry::File(path)) if path == "/dev/null" => push(&mut plan.steps, Step::Discard),
            Ok(Entry::File(path)) => push(&mut plan.steps, Step::File(path)),
            // `permitted` removes those.
            Ok(Entry::Unknown(_) | Entry::Include(_)) => {}
        }
    }
    if request.forwarded_before && !plan.forward.is_empty() {
        plan.warnings.push(format!(
            "the .forward of {user} leads back to {}: the message stays here",
            request.recipient
        ));
        plan.forward.clear();
        keep = true;
    }
    if keep || plan.steps.is_empty() && plan.forward.is_empty() {
        plan.steps.push(Step::Mailbox);
    }
    plan.steps.sort_by_key(|step| match step {
        Step::Program(_) => 0,
        Step::File(_) => 1,
        Step::Discard | Step::Mailbox => 2,
    });
    let more = plan.warnings.len().saturating_sub(WARNINGS_MAX);
    if more > 0 {
        plan.warnings.truncate(WARNINGS_MAX);
        plan.warnings.push(format!(
            ".forward of {user}: {more} more of its entries are ignored"
        ));
    }
    for warning in &mut plan.warnings {
        *warning = clean(warning);
    }
    plan
}

/// The address in the form of the queue; a bare name gets the recipient's domain. `None` for what is not an address.
fn qualified(text: &str, domain: &str) -> Option<String> {
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    let text = match text.contains('@') {
        true => text.to_owned(),
        false => format!("{text}@{domain}"),
    };
    Mailbox::parse(&text, &options)
        .ok()
        .map(|address| address.to_string())
}

fn push<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if !list.contains(&one) {
        list.push(one);
    }
}

/// The entry, or why it is ignored.
fn permitted(entry: Entry, may: May) -> Result<Entry, String> {
    match entry {
        Entry::Program(command) if !may.programs => Err(format!(
            "the program |{command} is ignored: `forward_programs` in [system_users] is off"
        )),
        Entry::File(path) if !may.files && path != "/dev/null" => Err(format!(
            "the file {path} is ignored: `forward_files` in [system_users] is off"
        )),
        Entry::Program(_) | Entry::File(_) if !may.shell => {
            Err("programs and files are ignored: the user's shell is not in /etc/shells".into())
        }
        Entry::Unknown(text) if text.starts_with(":include:") => Err(format!("{text} is ignored")),
        // Lists were read before, and their entries stand in their place.
        Entry::Include(path) => Err(format!(":include:{path} is ignored")),
        Entry::Unknown(text) => Err(format!(
            "{text} is ignored: it is not an address, file or program"
        )),
        entry => Ok(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::parse;
    use crate::wire::testing::request;

    /// What it shows, a `.forward`, what it may have; steps, addresses, and how many warnings.
    type Case<'a> = (&'a str, &'a str, May, Vec<Step>, &'a [&'a str], usize);

    #[test]
    fn what_is_done() {
        let request = request();
        const ALL: May = May {
            programs: true,
            files: true,
            shell: true,
        };
        const NO_PROGRAMS: May = May {
            programs: false,
            ..ALL
        };
        const NO_FILES: May = May { files: false, ..ALL };
        const NO_SHELL: May = May { shell: false, ..ALL };
        let mailbox = || Step::Mailbox;
        let program = || Step::Program("p".into());
        let file = || Step::File("/f".into());
        #[rustfmt::skip]
        let cases: [Case<'_>; 17] = [
            ("none",                      "",                        ALL,         vec![mailbox()],                   &[],           0),
            ("an address",                "b@far.test",              ALL,         vec![],                            &["b@far.test"], 0),
            ("a copy stays",              "\\ann\nb@far.test",       ALL,         vec![mailbox()],                   &["b@far.test"], 0),
            ("by the own address",        "ann@example.org, b@far.test", ALL,     vec![mailbox()],                   &["b@far.test"], 0),
            ("by the recipient's",        "Ann+shop@example.org",    ALL,         vec![mailbox()],                   &[],           0),
            ("another's of this name",    "ann@far.test",            ALL,         vec![],                            &["ann@far.test"], 0),
            ("a name alone",              "bob",                     ALL,         vec![],                            &["bob@example.org"], 0),
            ("no address, beside one",    "a b@c, b@far.test",       ALL,         vec![mailbox()],                   &["b@far.test"], 1),
            ("twice",                     "b@x.test\nb@x.test",      ALL,         vec![],                            &["b@x.test"], 0),
            ("those that fail first",     "\\ann, /f, |p",           ALL,         vec![program(), file(), mailbox()], &[],          0),
            ("no programs",               "|p",                      NO_PROGRAMS, vec![mailbox()],                   &[],           1),
            ("no programs, but others",   "|p, b@x.test",            NO_PROGRAMS, vec![],                            &["b@x.test"], 1),
            ("no files",                  "/f",                      NO_FILES,    vec![mailbox()],                   &[],           1),
            ("no shell",                  "/f, |p, b@x.test",        NO_SHELL,    vec![],                            &["b@x.test"], 2),
            ("thrown away",               "/dev/null",               NO_FILES,    vec![Step::Discard],               &[],           0),
            ("a list of another file",    ":include:/x",             ALL,         vec![mailbox()],                   &[],           1),
            ("only nonsense",             "<>",                      ALL,         vec![mailbox()],                   &[],           1),
        ];
        for (shows, text, may, steps, forward, warnings) in cases {
            let made = plan(Found::Entries(parse(text, "ann")), &request, "ann", may);
            assert_eq!(made.steps, steps, "{shows}");
            assert_eq!(made.forward, forward, "{shows}");
            assert_eq!(made.warnings.len(), warnings, "{shows}: {:?}", made.warnings);
        }
        let made = plan(Found::PassedBy("why".into()), &request, "ann", ALL);
        assert_eq!(
            (made.steps, made.warnings),
            (vec![Step::Mailbox], vec!["why".to_owned()])
        );
        let many: String = (0..150).map(|number| format!("u{number}@x.test\n")).collect();
        let made = plan(Found::Entries(parse(&many, "ann")), &request, "ann", ALL);
        assert_eq!(
            (made.forward.len(), made.steps),
            (FORWARD_MAX, vec![Step::Mailbox])
        );
    }
}
