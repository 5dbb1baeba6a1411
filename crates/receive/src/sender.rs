//! Whether a login may send as it wants to: the sender of the envelope, the submitter in `AUTH=`, the author in the message.

use postern_mail::head::HeadRules;
use postern_mail::header::HeaderScan;
use postern_mail::{Mailbox, ParseOptions};
use postern_policy::identity::{self, Claimant, Claims, SenderRule};
use postern_policy::rule::{Rule, Ruling, Verdict};
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskRecipient, AskSender, Ground, Transaction};

use crate::Role;
use crate::identity::alias_targets;
use crate::session::{About, Login, Session};

/// The answer to `MAIL` with a sender that the login may not use.
pub(crate) fn refused(ask: &AskSender<'_>, session: &Session) -> Option<Answer> {
    let login = session.login.as_ref()?;
    let rules = &session.profile.settings.identity;
    let refusal = identity::send_as(&login.identity, ask.sender(), rules, &targets(session)).err()?;
    let reply = texts::refused_path(ask.sender(), refusal.told(), &session.mark());
    let ruling = Ruling {
        rule: refusal.rule(),
        reason: &format_args!("{}: {refusal}", ask.sender()),
    };
    session.refused(&ruling, &reply, &About::sender(ask.sender()));
    Some(Answer::stay(reply))
}

/// The reply to a recipient elsewhere, where the client may relay to it by network or certificate, but not with this sender.
pub(crate) fn refused_machine(ask: &AskRecipient<'_>, session: &Session) -> Option<Reply> {
    if session.login.is_some() {
        return None;
    }
    let settings = &session.profile.settings;
    let (sender, claimant) = (ask.sender()?, Claimant::Machine(&settings.relay));
    let refusal = identity::send_as(claimant, sender, &settings.identity, &targets(session)).err()?;
    let reply = texts::refused_path(sender, refusal.told(), &session.mark());
    session.refused(&refusal, &reply, &About::recipient(Some(sender), ask.path()));
    Some(reply)
}

/// Takes `AUTH=` for `AUTH=<>` unless the login is trusted to say who submitted a message (RFC 4954 section 5), and may
/// itself use that address.
pub(crate) fn judge_submitter(ask: &mut AskSender<'_>, session: &Session) {
    let Some(submitter) = ask.submitter().filter(|submitter| !submitter.is_empty()) else {
        return;
    };
    let reason = match &session.login {
        None => "no login",
        Some(login) if !login.trusted => "mechanism or bits not trusted",
        Some(login) if !may_name(login, submitter, session) => "not an address of this login",
        Some(_) => return,
    };
    tracing::info!(
        target: "postern::login",
        session = %session.id,
        login = session.login.as_ref().map(Login::authcid),
        rule = %Rule::SenderSubmitter,
        reason,
        submitter,
        "AUTH= taken for <>"
    );
    ask.forget_submitter();
}

fn may_name(login: &Login, submitter: &str, session: &Session) -> bool {
    let rules = &session.profile.settings.identity;
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    rules.senders == SenderRule::Any
        || Mailbox::parse(submitter, &options).is_ok_and(|mailbox| {
            identity::covers(&login.identity, &mailbox, rules, &targets(session)).is_some()
        })
}

/// Who has to answer for the author of a message: a login, or a machine that has a recipient elsewhere.
fn claimant<'a>(transaction: &Transaction, session: &'a Session) -> Option<Claimant<'a>> {
    match &session.login {
        Some(login) => Some(Claimant::Login(&login.identity)),
        None if transaction.ground == Ground::Relayed => {
            Some(Claimant::Machine(&session.profile.settings.relay))
        }
        None => None,
    }
}

/// How much of the head of a message is put in order.
pub(crate) fn head_rules(transaction: &Transaction, session: &Session) -> HeadRules {
    let settings = &session.profile.settings;
    let claimant = claimant(transaction, session);
    let judged = claimant.is_some_and(|claimant| claimant.is_judged(&settings.identity));
    HeadRules {
        submission: session.profile.listener.role == Role::Submission || session.login.is_some() || judged,
        utf8: transaction.envelope.smtputf8,
        every_from: judged,
    }
}

/// As whom the client sends this message, by the rule that decided, or the answer to one that names an author whom it may not be.
pub(crate) fn judge_author(
    scan: &HeaderScan,
    transaction: &Transaction,
    session: &Session,
) -> Result<Option<Rule>, Answer> {
    let Some(claimant) = claimant(transaction, session) else {
        return Ok(None);
    };
    let rules = &session.profile.settings.identity;
    let claims = Claims {
        from: scan.from_values().collect(),
        sender: scan.sender_values().collect(),
        resent: scan.resent_values().collect(),
        in_doubt: scan.from_is_in_doubt(),
    };
    identity::write_as(claimant, &claims, rules, &targets(session))
        .map(|basis| Some(basis.rule()))
        .map_err(|refusal| {
            let reply = texts::refusal(refusal.told(), &session.mark());
            session.refused(&refusal, &reply, &About::message(transaction));
            Answer::stay(reply)
        })
}

fn targets(session: &Session) -> impl Fn(&Mailbox) -> Vec<Mailbox> {
    let aliases = session.shared.deps.aliases.load_full();
    let settings = &session.profile.settings;
    move |address| alias_targets(address, &aliases, settings)
}
