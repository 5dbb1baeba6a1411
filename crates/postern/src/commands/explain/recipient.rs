//! A recipient of an explained session: whether it is accepted, and where its mail goes.

use jiff::Timestamp;
use postern_directory::addresses::Step;
use postern_directory::{Directories, Lead, Member};
use postern_mail::{Domain, ForwardPath, Mailbox};
use postern_net::dial;
use postern_policy::access::Destination;
use postern_policy::admission;
use postern_policy::identity::Identity;
use postern_policy::origin::Origin;
use postern_policy::recipient::RecipientRefusal;
use postern_policy::relay::{RelayRefusal, RelayVerdict};
use postern_policy::route::route;
use postern_policy::rule::{Rule, Ruling};
use postern_receive::judge::{Ground, Judge};

use super::content;
use super::course::Course;
use crate::args::ExplainSessionArgs;
use crate::commands::auth_explain::either;
use crate::commands::explain_access as access;

/// Whether a recipient in a relay domain exists, if there are tables of recipients.
async fn listed(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    command: &str,
    recipient: &Mailbox,
) -> Option<()> {
    if !judge.settings.lists_recipients(recipient) {
        return Some(());
    }
    match judge.settings.relay_recipient(recipient).await {
        Ok(Some(hit)) => {
            let at = hit
                .answer
                .at
                .map(|(file, line)| format!(", {}:{line}", file.display()));
            let reason = format!("{} has {}{}", hit.table, hit.key.text, at.unwrap_or_default());
            let ruling = Ruling {
                rule: Rule::RelayDomain,
                reason: &reason,
            };
            course.add(command, &ruling);
            Some(())
        }
        Ok(None) => Some(()),
        // This needs a connection, which only the server makes.
        Err(RecipientRefusal::NextHopDown(_)) => {
            let ruling = Ruling {
                rule: Rule::RelayDomain,
                reason: &"if its next hop takes it, which the server asks",
            };
            course.add(command, &ruling);
            Some(())
        }
        Err(refusal) => {
            course.add(command, &refusal);
            None
        }
    }
}

/// What access rules say about a recipient.
pub(super) async fn ruled_of(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    rules: &access::Telling<'_>,
    mailbox: &Mailbox,
) -> access::Said {
    let path = ForwardPath::Mailbox {
        mailbox: mailbox.clone(),
        source_route: false,
    };
    let own_literal = matches!(mailbox.domain(), Domain::Literal(ip) if dial::is_own(*ip));
    // One that cannot be queried is reported with the recipient.
    if judge.settings.learn(mailbox.domain()).await.is_err() {
        return access::Said::default();
    }
    let destination = match judge.relay(&path, own_literal) {
        RelayVerdict::Local { .. } => Destination::Local,
        RelayVerdict::RelayDomain { .. } => Destination::Relay,
        RelayVerdict::Relay { .. } => Destination::Elsewhere,
        RelayVerdict::Refuse(RelayRefusal::Denied) if judge.settings.access.rules.judges_denied => {
            Destination::Elsewhere
        }
        RelayVerdict::Refuse(_) => return access::Said::default(),
    };
    rules.recipient(course, (mailbox, destination)).await
}

/// `RCPT`; returns where the mail goes, and why.
pub(super) async fn recipient(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    directories: &Directories,
    (before, mailbox, said): (usize, &Mailbox, access::Said),
    args: &ExplainSessionArgs,
) -> Option<(Ground, Vec<Member>)> {
    let command = format!("RCPT TO:<{mailbox}>");
    if let Err(refusal) = admission::admit_recipient(before, &judge.settings.admission) {
        course.add(command, &refusal);
        return None;
    }
    let path = ForwardPath::Mailbox {
        mailbox: mailbox.clone(),
        source_route: false,
    };
    let own_literal = matches!(mailbox.domain(), Domain::Literal(ip) if dial::is_own(*ip));
    if let Err(down) = judge.settings.learn(mailbox.domain()).await {
        course.add(&command, &RecipientRefusal::Table(down.to_string()));
        return None;
    }
    let verdict = match judge.by_lane(judge.relay(&path, own_literal), &args.from, &path) {
        Ok(verdict) => verdict,
        Err(refusal) => {
            course.add_named(&command, &refusal, Some(&refusal.name));
            return None;
        }
    };
    if matches!(verdict, RelayVerdict::Refuse(RelayRefusal::Denied)) && said.relays {
        return Some((
            Ground::Relayed,
            vec![Member::new(said.redirect.unwrap_or_else(|| mailbox.clone()))],
        ));
    }
    course.add(&command, &verdict);
    if said.over {
        return None;
    }
    if let Some(to) = said.redirect {
        return Some((Ground::Here, vec![Member::new(to)]));
    }
    let is_for_us = matches!(
        verdict,
        RelayVerdict::RelayDomain { .. } | RelayVerdict::Local { .. }
    );
    if is_for_us && let Some(Err(refusal)) = judge.stranger_sender(&args.from) {
        course.add(&command, &refusal);
        return None;
    }
    let aliases = &course.config.aliases;
    let (ground, mailbox) = match verdict {
        RelayVerdict::Refuse(_) => return None,
        RelayVerdict::RelayDomain { recipient } => (Ground::Behind, recipient),
        RelayVerdict::Relay { recipient, .. } => {
            if let Some(verdict) = judge.machine_sender(&args.from, aliases) {
                course.add(&command, either(&verdict));
                verdict.ok()?;
            }
            (Ground::Relayed, recipient)
        }
        RelayVerdict::Local { recipient } => {
            let ForwardPath::Mailbox { mailbox, .. } = recipient else {
                return None;
            };
            match judge.returned(&mailbox, Timestamp::now()) {
                Some(Ok(original)) => {
                    let ruling = Ruling {
                        rule: Rule::SrsReturned,
                        reason: &original,
                    };
                    course.add(command, &ruling);
                    return Some((Ground::Here, vec![Member::new(original)]));
                }
                Some(Err(refusal)) => {
                    course.add(command, &refusal);
                    return None;
                }
                None => {}
            }
            (Ground::Here, mailbox)
        }
    };
    let named = mailbox.clone();
    let mailbox = content::recipient(course, judge, &command, mailbox).await?;
    let rewritten = mailbox != named;
    let asks_aliases = rewritten || ground == Ground::Here || !aliases.addresses().is_empty();
    if judge.listener.filtered || !asks_aliases {
        if ground == Ground::Behind && !judge.listener.filtered {
            listed(course, judge, &command, &mailbox).await?;
        }
        return routed(course, judge, command, (ground, vec![Member::new(mailbox)]), args).await;
    }
    let residents = judge.settings.residents(directories, aliases);
    let trail = residents.trail(&mailbox).await;
    for step in &trail {
        let leads = match refused(&step.value) {
            Some(words) => format!("is refused: {words}"),
            None => format!("leads to {}", step.value),
        };
        let reason = format!("{} {leads}, in {}", step.key, step.place);
        let ruling = Ruling {
            rule: Rule::RecipientEntry,
            reason: &reason,
        };
        // An alias by address is in an `[[alias]]`, one by name in the file.
        let of_file = aliases.place(&step.key).is_some_and(|place| place == step.place);
        let key = of_file.then_some("aliases");
        course.add_at(format!("alias of {}", step.address), &ruling, (key, &step.place));
    }
    let refusal = match residents.lead(&mailbox).await {
        Lead::Itself if ground == Ground::Behind && !rewritten => {
            listed(course, judge, &command, &mailbox).await?;
            return routed(course, judge, command, (ground, vec![Member::new(mailbox)]), args).await;
        }
        Lead::Itself => {
            return routed(course, judge, command, (ground, vec![Member::new(mailbox)]), args).await;
        }
        Lead::Alias(members) => {
            return routed(course, judge, command, (ground, members), args).await;
        }
        Lead::Nobody if ground != Ground::Here && !rewritten => {
            if ground == Ground::Behind {
                listed(course, judge, &command, &mailbox).await?;
            }
            return routed(course, judge, command, (ground, vec![Member::new(mailbox)]), args).await;
        }
        Lead::Refused(text) => RecipientRefusal::Told(text),
        Lead::Broken => RecipientRefusal::Alias(mailbox.to_string()),
        Lead::Nobody => RecipientRefusal::Unknown(mailbox.to_string()),
        Lead::Unknown(reason) => RecipientRefusal::Directory(reason),
    };
    let is_refused = |step: &&Step| refused(&step.value).is_some();
    match (&refusal, trail.iter().rfind(is_refused)) {
        (RecipientRefusal::Told(_), Some(last)) => {
            let of_file = aliases.place(&last.key).is_some_and(|place| place == last.place);
            let key = if of_file { "aliases" } else { "alias" };
            course.add_at(command, &refusal, (Some(key), &last.place));
        }
        _ => course.add(command, &refusal),
    }
    None
}

/// The text of an entry that refuses.
fn refused(value: &str) -> Option<&str> {
    let value = value.trim();
    value
        .strip_prefix("refused: ")
        .or_else(|| value.strip_prefix("error:"))
}

/// The final recipients, unless the route refuses.
async fn routed(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    command: String,
    (ground, reached): (Ground, Vec<Member>),
    args: &ExplainSessionArgs,
) -> Option<(Ground, Vec<Member>)> {
    let all: Vec<&Mailbox> = reached.iter().map(|member| &member.address).collect();
    if let Some(text) = judge.route_refusal(&args.from, &all).await {
        let origin = Origin {
            sender: &args.from,
            login: judge.identity.map(Identity::login),
            filtered: true,
            detour: None,
        };
        let routes = &course.config.deliver.routes;
        let place = all
            .first()
            .map(|address| route(address, &origin, routes).place.to_string())
            .unwrap_or_default();
        let refusal = RecipientRefusal::Told(text);
        course.add_at(command, &refusal, (Some("route"), &place));
        return None;
    }
    Some((ground, reached))
}
