//! With which keys a message would be signed, and why: part of `postern explain`.

use postern_mail::{Mailbox, mailbox_list};
use postern_policy::rule::Rule;
use postern_policy::signing::{SigningFacts, Source, signing};

use crate::config::Config;
use crate::dkim::signers;

/// What is known about the message.
pub(super) struct Message<'a> {
    /// Whether its client may relay.
    pub(super) relays: bool,
    /// The values of its `From` fields; none for a message without.
    pub(super) from: &'a [&'a str],
    /// The sender of the envelope.
    pub(super) sender: Option<&'a Mailbox>,
    /// The rule by which the client may be its author, if that was judged.
    pub(super) author_rule: Option<Rule>,
    /// Whether the client is responsible for its author if every login may use any address.
    pub(super) answers: bool,
}

/// The rule that decides, and its basis; `None` if no mail is signed.
pub(super) fn verdict(config: &Config, message: &Message<'_>) -> Option<(Rule, String)> {
    if config.dkim.is_empty() {
        return None;
    }
    let (signers, problems) = signers(&config.dkim, &config.state_dir);
    // A sender without an author becomes the author.
    let authors = match message.from {
        [] => Some(message.sender.cloned().into_iter().collect()),
        from => from
            .iter()
            .map(|value| mailbox_list(value))
            .collect::<Option<Vec<_>>>()
            .map(|lists| lists.concat()),
    };
    let judged: Vec<_> = authors
        .iter()
        .flatten()
        .map(|author| author.domain().clone())
        .collect();
    let facts = SigningFacts {
        source: if message.relays {
            Source::Client
        } else {
            Source::Stranger
        },
        from_fields: message.from.len().max(1),
        authors: authors.as_deref(),
        author_rule: message.author_rule,
        answers: message.answers,
        judged: &judged,
        completed: message.from.is_empty(),
    };
    Some(match signing(&facts, &signers) {
        Err(unsigned) => (postern_policy::Verdict::rule(&unsigned), unsigned.to_string()),
        Ok(found) if found.with.is_empty() => {
            let problem = problems
                .into_iter()
                .find(|problem| problem.contains(found.domain));
            let none = || format!("no key of {} signs", found.domain);
            (Rule::DkimNoKey, problem.unwrap_or_else(none))
        }
        Ok(found) => {
            let keys: Vec<_> = found
                .with
                .iter()
                .map(|key| format!("{} ({})", key.selector, key.algorithm()))
                .collect();
            (
                Rule::DkimSigned,
                format!("{} of {}", keys.join(" and "), found.domain),
            )
        }
    })
}
