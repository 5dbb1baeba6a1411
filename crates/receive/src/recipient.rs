//! Whether a recipient is taken, and where its mail goes.

use postern_directory::Existence;
use postern_directory::aliases::Target;
use postern_mail::{ForwardPath, Mailbox, Notify, Recipient};
use postern_policy::admission;
use postern_policy::relay::{RelayVerdict, relay};
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskRecipient};

use crate::probe;
use crate::sender;
use crate::session::Session;

/// Answers `RCPT`.
pub(crate) async fn judge(ask: AskRecipient<'_>, session: &Session) -> Answer {
    let settings = &session.profile.settings;
    if ask.is_repeated() {
        return Answer::stay(ask.accept([]));
    }
    if let Err(refusal) = admission::admit_recipient(ask.taken(), &settings.admission) {
        let reply = texts::refusal(refusal.reply(), "");
        session.log_refusal(refusal.rule(), &reply, &refusal);
        return ask.refuse(reply);
    }
    match relay(&session.relay_facts(ask.path()), &settings.relay) {
        RelayVerdict::RelayDomain { recipient } => {
            let recipient = as_asked(&ask, recipient, session);
            Answer::stay(ask.accept([recipient]))
        }
        RelayVerdict::Relay { recipient, .. } => {
            if let Some(reply) = sender::refused_machine(&ask, session) {
                return ask.refuse(reply);
            }
            let recipient = as_asked(&ask, recipient, session);
            Answer::stay(ask.accept_relayed(recipient))
        }
        RelayVerdict::Local { recipient } => Box::pin(local(ask, recipient, session)).await,
        RelayVerdict::Refuse(refusal) => {
            let reply = texts::refused_path(ask.path(), refusal.reply(), &session.mark());
            session.log_refusal(refusal.rule(), &reply, &refusal);
            ask.refuse(reply)
        }
    }
}

fn as_asked(ask: &AskRecipient<'_>, address: Mailbox, session: &Session) -> Recipient {
    let (notify, orcpt) = requests(ask, session);
    Recipient {
        address,
        notify,
        orcpt,
    }
}

/// Which reports the client is heard to ask for. One that may not relay can have forged the sender: it hears of failures alone, and
/// what it calls the recipient goes nowhere.
fn requests(ask: &AskRecipient<'_>, session: &Session) -> (Notify, Option<String>) {
    if session.may_relay() {
        (ask.notify(), ask.orcpt().map(str::to_owned))
    } else {
        (ask.notify().without_success_and_delay(), None)
    }
}

/// Answers for a recipient in a local domain: an alias, `postmaster`, or an account.
async fn local(ask: AskRecipient<'_>, path: ForwardPath, session: &Session) -> Answer {
    let Some(mailbox) = mailbox_of(path, session) else {
        return Answer::stay(texts::LOCAL_ERROR);
    };
    if !is_postmaster(&mailbox)
        && let Err(spend) = probe::admit(session)
    {
        let reply = texts::recipient_later(ask.path());
        session.log_refusal("recipient.probe", &reply, &spend);
        return ask.refuse(reply);
    }
    if let Some(recipients) = behind_alias(&ask, &mailbox, session) {
        return if recipients.is_empty() {
            refuse(ask, "recipient.alias", texts::alias_broken(&mailbox), session)
        } else {
            Answer::stay(ask.accept(recipients))
        };
    }
    match lives_here(&mailbox, session).await {
        Existence::Yes => {
            let recipient = as_asked(&ask, mailbox, session);
            Answer::stay(ask.accept([recipient]))
        }
        Existence::No => {
            probe::found_nobody(session);
            let reply = texts::user_unknown(ask.path());
            refuse(ask, "recipient.unknown", reply, session)
        }
        Existence::Unknown(reason) => {
            let reply = texts::recipient_undecided(ask.path());
            session.log_refusal("recipient.directory", &reply, &reason);
            ask.refuse(reply)
        }
    }
}

fn refuse(ask: AskRecipient<'_>, rule: &str, reply: Reply, session: &Session) -> Answer {
    session.log_refusal(rule, &reply, &ask.path());
    ask.refuse(reply)
}

/// The mailbox that a path in a local domain means; a bare `postmaster` is that of this host.
fn mailbox_of(path: ForwardPath, session: &Session) -> Option<Mailbox> {
    match path {
        ForwardPath::Mailbox { mailbox, .. } => Some(mailbox),
        ForwardPath::Postmaster => Mailbox::new("postmaster", session.profile.settings.domain.clone()).ok(),
    }
}

/// Where an alias leads; `None` when the name is none.
///
/// Reports for what is behind an alias name the alias (RFC 3461 section 5.2.7.1), unless the client gave a name itself.
fn behind_alias(ask: &AskRecipient<'_>, mailbox: &Mailbox, session: &Session) -> Option<Vec<Recipient>> {
    let targets = session
        .shared
        .deps
        .aliases
        .load()
        .lookup(&mailbox.unquoted_local())?;
    let (notify, orcpt) = requests(ask, session);
    let orcpt = orcpt.unwrap_or_else(|| {
        let kind = if mailbox.is_ascii() { "rfc822" } else { "utf-8" };
        format!("{kind};{mailbox}")
    });
    let addresses = targets
        .into_iter()
        .filter_map(|target| address_of(target, mailbox));
    let recipients = addresses.map(|address| Recipient {
        address,
        notify,
        orcpt: Some(orcpt.clone()),
    });
    Some(recipients.collect())
}

/// The address of an alias's target; a local name lives in the domain of the alias.
pub(crate) fn address_of(target: Target, alias: &Mailbox) -> Option<Mailbox> {
    match target {
        Target::Local(name) => Mailbox::new(&name, alias.domain().clone()).ok(),
        Target::Address(mailbox) => Some(mailbox),
    }
}

/// Whether it is the one address that is always there.
fn is_postmaster(mailbox: &Mailbox) -> bool {
    mailbox.unquoted_local().eq_ignore_ascii_case("postmaster")
}

/// Whether an address in a local domain exists, aliases aside. `postmaster` always does (RFC 5321 section 4.5.1).
pub(crate) async fn lives_here(mailbox: &Mailbox, session: &Session) -> Existence {
    if is_postmaster(mailbox) {
        return Existence::Yes;
    }
    let directories = session.shared.deps.directories.load_full();
    directories.recipient_exists(mailbox).await
}
