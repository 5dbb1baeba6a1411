//! Whether a user may send as it wants to: the sender of the envelope, the submitter in `AUTH=`, the author in the message.

use postern_events::SubmitterForgotten;
use postern_mail::head::HeadRules;
use postern_mail::header::HeaderScan;
use postern_mail::{Mailbox, ParseOptions};
use postern_policy::identity::{Basis, Claims, SenderRule, StrangerRule, claimed};
use postern_policy::rule::{Rule, Ruling, Verdict};
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskRecipient, AskSender, Transaction};

use crate::Role;
use crate::session::{About, Login, Session};

/// Looks up the sender and the submitter in the tables of owners, if they matter. Returns the reply if that fails.
pub(crate) async fn learn<'d>(ask: AskSender<'d>, session: &Session) -> Result<AskSender<'d>, Answer> {
    let settings = &session.profile.settings;
    let counts = session.login.is_some() || settings.identity.strangers != StrangerRule::Any;
    if settings.owner_tables.is_none() || !counts {
        return Ok(ask);
    }
    let submitter = ask
        .submitter()
        .and_then(|text| Mailbox::parse(text, &ParseOptions::default()).ok());
    let addresses = ask
        .sender()
        .mailbox()
        .cloned()
        .into_iter()
        .chain(submitter)
        .collect();
    match settings.learn_owners(addresses).await {
        Ok(()) => Ok(ask),
        Err(refusal) => {
            let reply = texts::refused_path(ask.sender(), refusal.told(), &session.mark());
            session.refused(&refusal, &reply, &About::sender(ask.sender()));
            Err(Answer::stay(ask.refuse(reply)))
        }
    }
}

/// The reply to a stranger whose sender is reserved for authenticated users.
pub(crate) fn refused_stranger(ask: &AskRecipient<'_>, session: &Session) -> Option<Reply> {
    let sender = ask.sender()?;
    let refusal = session.judge().stranger_sender(sender)?.err()?;
    let reply = texts::refused_path(sender, refusal.told(), &session.mark());
    session.refused(&refusal, &reply, &About::recipient(Some(sender), ask.path()));
    Some(reply)
}

/// Why the user may use the sender, or the reply if it may not. Without authentication nothing is decided yet.
pub(crate) fn judge<'s>(ask: &AskSender<'_>, session: &'s Session) -> Result<Option<Basis<'s>>, Answer> {
    let aliases = session.shared.deps.aliases.load();
    let refusal = match session.judge().sender(ask.sender(), &aliases) {
        None => return Ok(None),
        Some(Ok(basis)) => return Ok(Some(basis)),
        Some(Err(refusal)) => refusal,
    };
    let reply = texts::refused_path(ask.sender(), refusal.told(), &session.mark());
    let ruling = Ruling {
        rule: refusal.rule(),
        reason: &format_args!("{}: {refusal}", ask.sender()),
    };
    session.refused(&ruling, &reply, &About::sender(ask.sender()));
    Err(Answer::stay(reply))
}

/// The reply to a remote recipient to which the client may relay by network or certificate, but not with this sender.
pub(crate) fn refused_machine(ask: &AskRecipient<'_>, session: &Session) -> Option<Reply> {
    let sender = ask.sender()?;
    let aliases = session.shared.deps.aliases.load();
    let refusal = session.judge().machine_sender(sender, &aliases)?.err()?;
    let reply = texts::refused_path(sender, refusal.told(), &session.mark());
    session.refused(&refusal, &reply, &About::recipient(Some(sender), ask.path()));
    Some(reply)
}

/// Treats `AUTH=` as `AUTH=<>` unless the user is trusted to say who submitted a message (RFC 4954 section 5) and may itself use
/// that address.
pub(crate) fn judge_submitter(ask: &mut AskSender<'_>, session: &Session) {
    let Some(submitter) = ask.submitter().filter(|submitter| !submitter.is_empty()) else {
        return;
    };
    let aliases = session.shared.deps.aliases.load();
    let Err(refusal) = session.judge().submitter(submitter, &aliases) else {
        return;
    };
    session.shared.deps.observers.tell(SubmitterForgotten {
        session: &session.id,
        login: session.login.as_ref().map(Login::authcid),
        rule: refusal.rule(),
        reason: &refusal,
        submitter,
    });
    ask.forget_submitter();
}

/// How much of the header of a message is cleaned up.
pub(crate) fn head_rules(transaction: &Transaction, session: &Session, device: bool) -> HeadRules {
    let claimant = session.judge().claimant(transaction.ground);
    let judged = claimant.is_some_and(|claimant| claimant.is_judged(session.judge().identity_rules()));
    HeadRules {
        submission: session.profile.listener.role == Role::Submission
            || session.login.is_some()
            || judged
            || device,
        utf8: transaction.envelope.smtputf8,
        every_from: judged,
    }
}

/// Looks up the authors of a message in the tables of owners, if they matter. Returns the reply if that fails.
pub(crate) async fn learn_authors(
    scan: &HeaderScan,
    transaction: &Transaction,
    session: &Session,
) -> Result<(), Answer> {
    let settings = &session.profile.settings;
    let rules = &settings.identity;
    let counts = settings.owner_tables.is_some() && (rules.senders == SenderRule::Own || rules.signs);
    if !counts || session.login.is_none() {
        return Ok(());
    }
    settings
        .learn_owners(claimed(&claims(scan)))
        .await
        .map_err(|refusal| {
            let reply = texts::refusal(refusal.told(), &session.mark());
            session.refused(&refusal, &reply, &About::message(transaction));
            Answer::stay(reply)
        })
}

/// What a header says of its authors.
pub(crate) fn claims(scan: &HeaderScan) -> Claims<'_> {
    Claims {
        from: scan.from_values().collect(),
        sender: scan.sender_values().collect(),
        resent: scan.resent_values().collect(),
        in_doubt: scan.from_is_in_doubt(),
    }
}

/// Who the client sends this message as, by the rule that decided, or the reply to one with an author that it may not use.
pub(crate) fn judge_author(
    scan: &HeaderScan,
    transaction: &Transaction,
    session: &Session,
) -> Result<Option<Rule>, Answer> {
    let judge = session.judge();
    if judge.claimant(transaction.ground).is_none() && session.user.is_none() {
        return Ok(None);
    }
    let claims = claims(scan);
    let aliases = session.shared.deps.aliases.load();
    let Some(verdict) = judge.author(transaction.ground, &claims, &aliases) else {
        return Ok(None);
    };
    verdict.map(|basis| Some(basis.rule())).map_err(|refusal| {
        let reply = texts::refusal(refusal.told(), &session.mark());
        session.refused(&refusal, &reply, &About::message(transaction));
        Answer::stay(reply)
    })
}

/// Whether the client is responsible for the author of this message even where users may write any address. Asked only if mail is
/// signed.
pub(crate) fn answers_for_author(scan: &HeaderScan, transaction: &Transaction, session: &Session) -> bool {
    let rules = &session.profile.settings.identity;
    if !rules.signs || rules.senders != SenderRule::Any || scan.from_is_in_doubt() {
        return false;
    }
    let from: Vec<&str> = scan.from_values().collect();
    let aliases = session.shared.deps.aliases.load();
    session
        .judge()
        .answers_for(&from, &transaction.envelope.sender, &aliases)
}
