//! Judges clients, senders and recipients by access rules.

use std::fmt::Display;

use postern_mail::{ForwardPath, Mailbox, Status};
use postern_policy::access::names::AddressKey;
use postern_policy::access::{AccessRefusal, Destination, Outcome, Scope, Stage, Why};
use postern_policy::rule::{Rule, Verdict as _};
use postern_smtp::Reply;
use postern_smtp::server::{Answer, AskRecipient, AskSender};

use super::noted;
use super::state::{Accessing, Matter, Open};
use crate::io::{End, Io};
use crate::session::{About, Session};

/// The rules' verdict on a recipient.
pub(crate) enum Judged {
    /// They do not object.
    May(AtRecipient),
    /// It is refused.
    Refused(Reply),
    /// Its mail is discarded.
    Discarded,
}

/// How a recipient may be accepted.
#[derive(Default)]
pub(crate) struct AtRecipient {
    /// Whether a rule accepts it: then a stranger is not checked any further.
    pub(crate) accepted: bool,
    /// The rule that is a reason to relay, if one is.
    pub(crate) relay: Option<String>,
    /// Where its mail is redirected.
    pub(crate) redirect: Option<Mailbox>,
    /// Whether some rules must wait for the message.
    pub(crate) open: bool,
}

impl<'a> Matter<'a> {
    /// For a session that has named no recipient yet.
    fn at(stage: Stage, size: u64, session: &Session) -> Self {
        Self {
            stage,
            now: super::facts::now(session),
            recipient: None,
            authors: &[],
            size,
            recipients: 0,
            queue: "",
        }
    }

    /// The same for a recipient.
    pub(super) const fn of(self, key: &'a AddressKey, destination: Destination) -> Self {
        Self {
            recipient: Some((key, destination)),
            ..self
        }
    }
}

/// Judges a client that has connected: the reply in place of a greeting, if it is refused.
pub(crate) async fn connect(session: &mut Session) -> Option<Reply> {
    let reply = early(Stage::Connect, session).await?;
    let code = match reply.code {
        code @ (521 | 554) => code,
        _ if reply.is_permanent() => 554,
        _ => 421,
    };
    Some(Reply { code, ..reply })
}

/// Judges a client that has introduced itself.
pub(crate) async fn helo(name: &str, session: &mut Session) -> Option<Answer> {
    let name = name.to_ascii_lowercase();
    let faults = super::facts::faults_in(&name, session);
    if let Some(access) = &mut session.access {
        access.calls_itself(&name, faults);
    }
    early(Stage::Helo, session).await.map(closing)
}

/// A 421 reply closes the connection.
fn closing(reply: Reply) -> Answer {
    if reply.code == 421 {
        Answer::close(reply)
    } else {
        Answer::stay(reply)
    }
}

/// Judges a stage before the transaction.
async fn early(stage: Stage, session: &mut Session) -> Option<Reply> {
    if !session.profile.access.rules.are_judged_at(stage) {
        return None;
    }
    let mut access = session.access.take()?;
    let matter = Matter::at(stage, 0, session);
    // Nothing is flushed here, and so nothing can fail.
    let _ = access.settle(&matter, None, session).await;
    let reply = refused(&access, &matter, None, &About::default(), session);
    session.access = Some(access);
    reply
}

/// Judges `MAIL`, which begins a transaction.
pub(crate) async fn sender(
    ask: &AskSender<'_>,
    io: &mut Io,
    session: &mut Session,
) -> Result<Option<Answer>, End> {
    let Some(mut access) = session.access.take() else {
        return Ok(None);
    };
    access.begin_transaction(ask.sender(), session.profile.settings.identity.tag_separator);
    let reply = if session.profile.access.rules.are_judged_at(Stage::Mail) {
        let matter = Matter::at(Stage::Mail, ask.declared_size().unwrap_or(0), session);
        access.settle(&matter, Some(io), session).await?;
        let about = About::sender(ask.sender());
        refused(&access, &matter, Some(ask.sender()), &about, session)
    } else {
        None
    };
    session.access = Some(access);
    Ok(reply.map(closing))
}

/// Judges `RCPT` with a recipient that exists.
pub(crate) async fn recipient(
    ask: &AskRecipient<'_>,
    mailbox: &Mailbox,
    destination: Destination,
    io: &mut Io,
    session: &mut Session,
) -> Result<Judged, End> {
    let Some(mut access) = session.access.take() else {
        return Ok(Judged::May(AtRecipient::default()));
    };
    access.forget(Scope::Recipient);
    let key = AddressKey::new(mailbox, session.profile.settings.identity.tag_separator);
    let matter = Matter {
        recipients: ask.taken() + 1,
        ..Matter::at(Stage::Rcpt, ask.declared_size().unwrap_or(0), session).of(&key, destination)
    };
    access.settle(&matter, Some(io), session).await?;
    let about = About::recipient(ask.sender(), ask.path());
    let judged = match refused(&access, &matter, Some(ask.path()), &about, session) {
        Some(reply) => Judged::Refused(reply),
        None => passed(&mut access, &matter, ask.path(), session),
    };
    session.access = Some(access);
    Ok(judged)
}

/// Applies the actions for a recipient that no rule refuses.
fn passed(access: &mut Accessing, matter: &Matter<'_>, path: &ForwardPath, session: &Session) -> Judged {
    // Taken out first, since `outcome` borrows `access`.
    let mut notes = std::mem::take(&mut access.notes);
    let mut at = AtRecipient::default();
    let mut discarded = None;
    match access.outcome(matter, session) {
        Outcome::Passed(noted) => {
            notes.add(&noted);
            at.redirect = redirected(noted.redirect, path, session);
        }
        Outcome::Accepted { rule, relay, noted } => {
            notes.add(&noted);
            at.accepted = true;
            at.relay = relay.then(|| rule.to_string());
            at.redirect = redirected(noted.redirect, path, session);
        }
        Outcome::Exempt => at.accepted = true,
        Outcome::Discarded { rule, .. } => discarded = Some(rule.to_string()),
        Outcome::NotYet | Outcome::Refused { .. } | Outcome::Ask(_) | Outcome::Unsure { .. } => {
            at.open = true
        }
    }
    access.notes = notes;
    match discarded {
        Some(reason) => {
            noted::tell(Rule::AccessDiscarded, &reason, None, None, Some(path), session);
            Judged::Discarded
        }
        None => Judged::May(at),
    }
}

/// Where a rule redirects mail; this is reported at once.
fn redirected(
    redirect: Option<(&postern_policy::access::AccessRule, &Mailbox)>,
    path: &ForwardPath,
    session: &Session,
) -> Option<Mailbox> {
    let (rule, to) = redirect?;
    let reason = format!("{rule}: to {to}");
    noted::tell(Rule::AccessRedirected, &reason, None, None, Some(path), session);
    Some(to.clone())
}

impl Accessing {
    /// Notes an accepted recipient for which some rules must wait for the message; its mail goes to these addresses.
    pub(crate) fn stays_open(
        &mut self,
        mailbox: &Mailbox,
        destination: Destination,
        goes: Vec<Mailbox>,
        separator: Option<char>,
    ) {
        self.open.push(Open {
            named: mailbox.clone(),
            key: AddressKey::new(mailbox, separator),
            destination,
            goes,
            answers: self.answers.clone(),
        });
    }

    /// Notes the rule by which a remote recipient was accepted.
    pub(crate) fn relayed_by(&mut self, rule: String) {
        self.relayed_by = Some(rule);
    }

    /// What the rules want done with the message.
    pub(crate) const fn notes(&self) -> &super::notes::Notes {
        &self.notes
    }

    /// The rule by which a remote recipient was accepted.
    pub(crate) fn relay_rule(&self) -> Option<&str> {
        self.relayed_by.as_deref()
    }
}

/// The reply, which is also logged, if the rules refuse with what is known now. `path` precedes its text.
pub(super) fn refused(
    access: &Accessing,
    matter: &Matter<'_>,
    path: Option<&dyn Display>,
    about: &About<'_>,
    session: &Session,
) -> Option<Reply> {
    let outcome = access.outcome(matter, session);
    let (refusal, code, status, text) = match &outcome {
        Outcome::Refused { rule, words, limit } => {
            let refusal = AccessRefusal {
                rule,
                why: limit.map_or(Why::Verdict, Why::Limit),
            };
            (
                refusal,
                words.code,
                words.status,
                filled(words, matter, access, session),
            )
        }
        Outcome::Unsure { rule, reason } => {
            let refusal = AccessRefusal {
                rule,
                why: Why::Unsure(reason),
            };
            let (code, status, text) = postern_policy::access::refusal::UNSURE;
            (refusal, code, status, text.to_owned())
        }
        // Too many questions: tables refer to each other in a loop.
        Outcome::Ask(_) => {
            let (code, status, text) = postern_policy::access::refusal::UNSURE;
            let ruling = postern_policy::Ruling {
                rule: Rule::AccessUnsure,
                reason: &"access rules ask without end: tables lead back to each other",
            };
            let reply = Reply::new(code, Some(status), text);
            session.refused(&ruling, &reply, about);
            return Some(reply);
        }
        Outcome::Passed(_)
        | Outcome::Accepted { .. }
        | Outcome::Exempt
        | Outcome::Discarded { .. }
        | Outcome::NotYet => return None,
    };
    let reply = said(code, status, &text, path, session);
    session.refused(&refusal, &reply, about);
    debug_assert!(refusal.rule().says() == postern_policy::rule::Says::No);
    Some(reply)
}

fn said(code: u16, status: Status, text: &str, path: Option<&dyn Display>, session: &Session) -> Reply {
    let mark = session.mark();
    let text = match path {
        Some(path) => format!("{path}... {text}{mark}"),
        None => format!("{text}{mark}"),
    };
    Reply::new(code, Some(status), text)
}

/// The text of a rule with its placeholders filled in.
fn filled(
    words: &postern_policy::access::Words,
    matter: &Matter<'_>,
    access: &Accessing,
    session: &Session,
) -> String {
    let address = session.peer.ip().to_canonical().to_string();
    let sender = access.sender.as_ref().and_then(|sender| sender.key.as_ref());
    words.filled(&[
        ("address", &address),
        ("name", session.peer_name().unwrap_or("unknown")),
        ("helo", session.helo()),
        ("sender", sender.map_or("<>", AddressKey::whole)),
        ("recipient", matter.recipient.map_or("", |(key, _)| key.whole())),
    ])
}
