//! What the login is good for, as `[[scope]]` says. The scope of an app password is in the file of own users: `postern user app-password list`.

use jiff::Timestamp;
use postern_directory::Account;
use postern_mail::Mailbox;
use postern_policy::rule::{Rule, Ruling};
use postern_policy::scope::{Place, ScopeRefusal};
use postern_receive::scope::{Scoped, separator_of};
use postern_sasl::Mechanism;

use super::Course;
use crate::args::ExplainSessionArgs;

/// Whether the login may be used there, now. Says no only where it may not.
pub(super) async fn place(
    course: &mut Course<'_>,
    accounts: &[&Account],
    mechanism: Mechanism,
    args: &ExplainSessionArgs,
) -> bool {
    let names: Vec<&str> = accounts.iter().map(|account| account.login.as_str()).collect();
    let settings = &course.config.receive;
    let place = Place {
        listener: &course.listener.settings.name,
        mechanism: Some(mechanism.name()),
        peer: Some(args.peer()),
        now: Timestamp::now(),
    };
    let judged = match settings.scopes.about(&names, None).await {
        Ok(scoped) => scoped.admits(&place),
        Err(unsure) => Err(unsure),
    };
    add(course, format!("AUTH {mechanism}"), judged)
}

/// Whether it may be used with the sender and for the recipients.
pub(super) async fn mail(course: &mut Course<'_>, names: &[&str], args: &ExplainSessionArgs) {
    let settings = &course.config.receive;
    if names.is_empty() || settings.scopes.rules.is_empty() {
        return;
    }
    let scoped: Scoped<'_> = match settings.scopes.about(names, None).await {
        Ok(scoped) => scoped,
        Err(unsure) => {
            add(course, format!("MAIL FROM:{}", args.from), Err(unsure));
            return;
        }
    };
    if scoped.is_free() {
        return;
    }
    let separator = |mailbox: &Mailbox| separator_of(mailbox, settings);
    let sender = args.from.mailbox();
    let judged = scoped.sends_as(sender, sender.and_then(separator)).await;
    let mut within = add(course, format!("MAIL FROM:{}", args.from), judged);
    for recipient in &args.to {
        let judged = scoped.reaches(recipient, separator(recipient)).await;
        within &= add(course, format!("RCPT TO:<{recipient}>"), judged);
    }
    if within {
        let ruling = Ruling {
            rule: Rule::ScopeApplies,
            reason: &"the sender and the recipients are in the scope of the login",
        };
        course.add("RCPT", &ruling);
    }
}

/// Adds a refusal; says whether there was none.
fn add(course: &mut Course<'_>, command: String, judged: Result<(), ScopeRefusal>) -> bool {
    match judged {
        Ok(()) => true,
        Err(refusal) => {
            course.add(command, &refusal);
            false
        }
    }
}
