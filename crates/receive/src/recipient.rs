//! Whether a recipient is accepted, and where its mail goes.

use std::fmt::{self, Display};
use std::sync::Arc;

use jiff::Timestamp;
use postern_directory::rewriting::Rewritten;
use postern_directory::{Lead, Member, is_postmaster};
use postern_events::RecipientTaken;
use postern_mail::{ForwardPath, Mailbox, Notify, Recipient, ReversePath, Status};
use postern_policy::access::Destination;
use postern_policy::access::names::AddressKey;
use postern_policy::admission;
use postern_policy::limit::Counted;
use postern_policy::recipient::RecipientRefusal;
use postern_policy::relay::{RelayReason, RelayRefusal, RelayVerdict};
use postern_policy::rule::{Rule, Verdict};
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskRecipient, Ground};

use crate::Settings;
use crate::access::{self, AtRecipient};
use crate::budgets::session as budgets;
use crate::content::{self, Copy};
use crate::count::Signal;
use crate::device;
use crate::io::{End, Io};
use crate::limits;
use crate::probe;
use crate::scope::session as scope;
use crate::screen;
use crate::sender;
use crate::session::{About, Session};

/// The verdict on a recipient.
pub(crate) enum Judged<'d> {
    /// It is accepted, unless a filter refuses it.
    Taken(Taken<'d>),
    /// It is refused.
    Refused(Answer),
    /// The client is told that it is accepted, but its mail is discarded.
    Discarded(Answer),
}

/// An accepted recipient.
pub(crate) struct Taken<'d> {
    pub(crate) ask: AskRecipient<'d>,
    /// Why it is accepted.
    pub(crate) ground: Ground,
    /// Where its mail goes; empty if it was named before.
    pub(crate) recipients: Vec<Recipient>,
    /// The rule that accepted it.
    rule: Rule,
    reason: Reason,
    /// Who gets copies of its mail.
    copies: Vec<Copy>,
}

/// Why a recipient is accepted.
enum Reason {
    Words(&'static str),
    /// The client may relay.
    Relay(RelayReason),
    /// It stands for the original sender of forwarded mail.
    Original(Mailbox),
    /// A rule redirects its mail there.
    Redirected(Mailbox),
    /// It was rewritten to another address.
    Rewritten(Rewritten),
}

impl Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => out.write_str(words),
            Self::Relay(reason) => reason.fmt(out),
            Self::Original(sender) => sender.fmt(out),
            Self::Redirected(to) => write!(out, "to {to}"),
            Self::Rewritten(made) => write!(out, "{}: becomes {}", made.rules.join(" + "), made.to),
        }
    }
}

impl Judged<'_> {
    /// The reply, if no filter is asked.
    pub(crate) fn answer(self, session: &Session) -> Answer {
        match self {
            Self::Taken(taken) => taken.accept(session),
            Self::Refused(answer) | Self::Discarded(answer) => answer,
        }
    }
}

impl Taken<'_> {
    /// Accepts it, and returns the reply.
    pub(crate) fn accept(self, session: &Session) -> Answer {
        session.copies.add(self.copies);
        budgets::recipient_taken(self.ask.path(), self.ground, session);
        if !self.recipients.is_empty() {
            session.shared.deps.observers.tell(RecipientTaken {
                session: &session.id,
                from: self.ask.sender().map(|from| from as &dyn Display),
                to: self.ask.path(),
                rule: self.rule,
                reason: &self.reason,
            });
        }
        Answer::stay(self.ask.accept(self.ground, self.recipients))
    }
}

impl From<Answer> for Judged<'_> {
    fn from(answer: Answer) -> Self {
        Self::Refused(answer)
    }
}

/// Judges `RCPT`, which may involve waiting.
pub(crate) async fn judge<'d>(
    ask: AskRecipient<'d>,
    io: &mut Io,
    session: &mut Session,
    signal: &Signal,
) -> Result<Judged<'d>, End> {
    let profile = Arc::clone(&session.profile);
    let settings = &profile.settings;
    if ask.is_repeated() {
        return Ok(taken(
            ask,
            Ground::Here,
            Vec::new(),
            Rule::LocalRecipient,
            Reason::Words(""),
        ));
    }
    if let Err(refusal) = admission::admit_recipient(ask.taken(), &settings.admission) {
        let reply = texts::refusal(refusal.told(), "");
        session.refused(&refusal, &reply, &about(&ask));
        return Ok(ask.refuse(reply).into());
    }
    if let Some(reply) = unknown_domain(&ask, settings, session).await {
        return Ok(ask.refuse(reply).into());
    }
    if session.login.is_some()
        && let Some(reply) = Box::pin(scope::refused_recipient(&ask, session)).await
    {
        return Ok(ask.refuse(reply).into());
    }
    if let Some(reply) = limits::count(Counted::Recipient, &about(&ask), session) {
        return Ok(ask.refuse(reply).into());
    }
    if let Some(reply) = budgets::recipient(ask.sender(), ask.path(), session) {
        return Ok(ask.refuse(reply).into());
    }
    let mut verdict = match device::judge(session.relay(ask.path()), &ask, session) {
        Ok(verdict) => verdict,
        Err(reply) => return Ok(ask.refuse(reply).into()),
    };
    let mut ruled = AtRecipient::default();
    if session.access.is_some()
        && let Some((mailbox, destination)) = matter(&verdict, ask.path(), session)
    {
        match Box::pin(access::recipient(&ask, &mailbox, destination, io, session)).await? {
            access::Judged::Refused(reply) if reply.code == 421 => return Ok(Answer::close(reply).into()),
            access::Judged::Refused(reply) => return Ok(ask.refuse(reply).into()),
            access::Judged::Discarded if !matches!(verdict, RelayVerdict::Refuse(_)) => {
                return Ok(Judged::Discarded(Answer::stay(ask.discard())));
            }
            access::Judged::Discarded => {}
            access::Judged::May(at) => ruled = at,
        }
        if let (RelayVerdict::Refuse(_), Some(rule)) = (&verdict, ruled.relay.take()) {
            if let Some(reply) = budgets::relayed_recipient(ask.sender(), ask.path(), session) {
                return Ok(ask.refuse(reply).into());
            }
            if let Some(access) = &mut session.access {
                access.relayed_by(rule.clone());
            }
            verdict = RelayVerdict::Relay {
                recipient: mailbox.clone(),
                reason: RelayReason::Access(rule),
            };
        }
        let judged = with_copies(
            taken_or_not(ask, verdict, &ruled, io, session, signal).await?,
            session,
        )
        .await;
        if let Judged::Taken(taken) = &judged
            && ruled.open
        {
            let goes = taken
                .recipients
                .iter()
                .map(|recipient| recipient.address.clone())
                .collect();
            let separator = settings.identity.tag_separator;
            if let Some(access) = &mut session.access {
                access.stays_open(&mailbox, destination, goes, separator);
            }
        }
        return Ok(judged);
    }
    ruled.accepted = session.screening.is_some() && is_always_reached(ask.path(), session);
    let judged = taken_or_not(ask, verdict, &ruled, io, session, signal).await?;
    Ok(with_copies(judged, session).await)
}

/// Adds who gets copies of an accepted recipient's mail.
async fn with_copies<'d>(judged: Judged<'d>, session: &Session) -> Judged<'d> {
    let Judged::Taken(mut taken) = judged else {
        return judged;
    };
    // Redirected mail goes nowhere else.
    if session.profile.settings.content.is_none() || taken.rule == Rule::AccessRedirected {
        return Judged::Taken(taken);
    }
    let Some(mailbox) = mailbox_of(taken.ask.path().clone(), session) else {
        return Judged::Taken(taken);
    };
    match content::copies(&mailbox, session).await {
        Ok(copies) => {
            taken.copies = copies;
            Judged::Taken(taken)
        }
        Err(refusal) => put_off(taken.ask, refusal.reason, session).into(),
    }
}

/// The reply to a recipient that cannot be judged now, since a table does not answer.
fn put_off(ask: AskRecipient<'_>, reason: String, session: &Session) -> Answer {
    let refusal = RecipientRefusal::Table(reason);
    refuse(ask, &refusal, refusal.told(), "", session)
}

/// Whether strangers may always write to this recipient.
fn is_always_reached(path: &ForwardPath, session: &Session) -> bool {
    let separator = session.profile.settings.identity.tag_separator;
    let rules = &session.profile.access.rules;
    mailbox_of(path.clone(), session)
        .is_some_and(|mailbox| rules.always_reach(&AddressKey::new(&mailbox, separator)))
}

/// A recipient's key and destination for access rules; `None` for one that is refused whatever they say.
fn matter(verdict: &RelayVerdict, path: &ForwardPath, session: &Session) -> Option<(Mailbox, Destination)> {
    let here = |destination| mailbox_of(path.clone(), session).map(|mailbox| (mailbox, destination));
    match verdict {
        RelayVerdict::Local { .. } => here(Destination::Local),
        RelayVerdict::RelayDomain { .. } => here(Destination::Relay),
        RelayVerdict::Relay { .. } => here(Destination::Elsewhere),
        RelayVerdict::Refuse(RelayRefusal::Denied | RelayRefusal::LoginUntrusted)
            if session.profile.access.rules.judges_denied =>
        {
            here(Destination::Elsewhere)
        }
        RelayVerdict::Refuse(_) => None,
    }
}

/// The verdict once access rules have been judged.
async fn taken_or_not<'d>(
    ask: AskRecipient<'d>,
    verdict: RelayVerdict,
    ruled: &AtRecipient,
    io: &mut Io,
    session: &mut Session,
    signal: &Signal,
) -> Result<Judged<'d>, End> {
    let is_for_us = matches!(
        verdict,
        RelayVerdict::RelayDomain { .. } | RelayVerdict::Local { .. }
    );
    if is_for_us && let Some(reply) = sender::refused_stranger(&ask, session) {
        return Ok(ask.refuse(reply).into());
    }
    if is_for_us
        && !ruled.accepted
        && session.screening.is_some()
        && let Some(reply) = Box::pin(screen::refused(&ask, io, session, signal)).await?
    {
        return Ok(ask.refuse(reply).into());
    }
    let session = &*session;
    if session.is_filtered()
        && let Some(judged) = handed_back(&verdict, session)
    {
        let (rule, reason, mailbox) = judged;
        let recipients = vec![as_asked(&ask, mailbox, session)];
        return Ok(taken(ask, Ground::Relayed, recipients, rule, reason));
    }
    if let Some(to) = &ruled.redirect
        && let Some(judged) = led_elsewhere(&verdict, session)
    {
        let (ground, mailbox) = judged;
        let members = match content::members(to, session).await {
            Ok(members) => members,
            Err(reason) => return Ok(put_off(ask, reason, session).into()),
        };
        let recipients = behind_alias(requests(&ask, session), &mailbox, members);
        let reason = Reason::Redirected(to.clone());
        return Ok(taken(ask, ground, recipients, Rule::AccessRedirected, reason));
    }
    let ask = match rewritten(ask, &verdict, session).await {
        Ok(ask) => ask,
        Err(judged) => return Ok(judged),
    };
    let judged = match verdict {
        RelayVerdict::RelayDomain { recipient } => {
            let ruling = (Rule::RelayDomain, Reason::Words("in a domain behind this server"));
            return beyond(ask, recipient, ruling, Ground::Behind, io, session).await;
        }
        RelayVerdict::Relay { recipient, reason } => {
            if let Some(reply) = sender::refused_machine(&ask, session) {
                return Ok(ask.refuse(reply).into());
            }
            let ruling = (reason.rule(), Reason::Relay(reason));
            return beyond(ask, recipient, ruling, Ground::Relayed, io, session).await;
        }
        RelayVerdict::Local { recipient } => return Box::pin(local(ask, recipient, io, session)).await,
        RelayVerdict::Refuse(refusal) => {
            refuse(ask, &refusal, refusal.told(), &session.mark(), session).into()
        }
    };
    Ok(judged)
}

/// Rewrites a recipient that is not refused, and follows the result like an alias target. Returns the question if it stays as it
/// is.
async fn rewritten<'d>(
    ask: AskRecipient<'d>,
    verdict: &RelayVerdict,
    session: &Session,
) -> Result<AskRecipient<'d>, Judged<'d>> {
    if session.profile.settings.content.is_none() {
        return Ok(ask);
    }
    let Some((ground, mailbox)) = led_elsewhere(verdict, session) else {
        return Ok(ask);
    };
    let made = match content::rewritten(&mailbox, session).await {
        Ok(Some(made)) => made,
        Ok(None) => return Ok(ask),
        Err(trouble) => return Err(put_off(ask, trouble.to_string(), session).into()),
    };
    if let RelayVerdict::Relay { .. } = verdict
        && let Some(reply) = sender::refused_machine(&ask, session)
    {
        return Err(ask.refuse(reply).into());
    }
    let members = match lead(&made.to, session).await {
        Lead::Itself => vec![Member::new(made.to.clone())],
        Lead::Alias(members) => members,
        Lead::Refused(text) => return Err(refuse_local(ask, &RecipientRefusal::Told(text), session).into()),
        Lead::Unknown(reason) => return Err(put_off(ask, reason, session).into()),
        Lead::Broken | Lead::Nobody => {
            probe::found_nobody(session);
            let refusal = RecipientRefusal::Unknown(format!("{}, rewritten to {}", ask.path(), made.to));
            return Err(refuse_local(ask, &refusal, session).into());
        }
    };
    let recipients = behind_alias(requests(&ask, session), &mailbox, members);
    let ruling = (Rule::RewriteChanged, Reason::Rewritten(made));
    Err(settle(ask, ruling, ground, recipients, session).await)
}

/// The ground on which a recipient whose mail is redirected is accepted, and its mailbox; `None` if it is not accepted.
fn led_elsewhere(verdict: &RelayVerdict, session: &Session) -> Option<(Ground, Mailbox)> {
    match verdict {
        RelayVerdict::Local { recipient } => Some((Ground::Here, mailbox_of(recipient.clone(), session)?)),
        RelayVerdict::RelayDomain { recipient } => Some((Ground::Behind, recipient.clone())),
        RelayVerdict::Relay { recipient, .. } => Some((Ground::Relayed, recipient.clone())),
        RelayVerdict::Refuse(_) => None,
    }
}

/// A recipient of mail that the after-queue filter hands back: aliases were already expanded, and it was checked to exist.
fn handed_back(verdict: &RelayVerdict, session: &Session) -> Option<(Rule, Reason, Mailbox)> {
    let mailbox = match verdict {
        RelayVerdict::Local { recipient } => mailbox_of(recipient.clone(), session)?,
        RelayVerdict::RelayDomain { recipient } | RelayVerdict::Relay { recipient, .. } => recipient.clone(),
        RelayVerdict::Refuse(_) => return None,
    };
    let reason = session.judge().relay_reason()?;
    Some((reason.rule(), Reason::Relay(reason), mailbox))
}

/// Accepts a recipient whose mail goes to these, unless there is only one and its route refuses it. With several, delivery
/// reports it for each.
async fn settle<'d>(
    ask: AskRecipient<'d>,
    (rule, reason): (Rule, Reason),
    ground: Ground,
    recipients: Vec<Recipient>,
    session: &Session,
) -> Judged<'d> {
    let reached: Vec<&Mailbox> = recipients.iter().map(|recipient| &recipient.address).collect();
    let sender = ask.sender().unwrap_or(&ReversePath::Null);
    let refusal = session.judge().route_refusal(sender, &reached).await;
    if let Some(text) = refusal {
        return refuse_local(ask, &RecipientRefusal::Told(text), session).into();
    }
    taken(ask, ground, recipients, rule, reason)
}

/// Judges a remote recipient: in a relay domain, or in any domain for clients that may relay. Aliases by address apply there too.
async fn beyond<'d>(
    ask: AskRecipient<'d>,
    recipient: Mailbox,
    ruling: (Rule, Reason),
    ground: Ground,
    io: &mut Io,
    session: &Session,
) -> Result<Judged<'d>, End> {
    let lead = match session.shared.deps.aliases.load().addresses().is_empty() {
        true => Lead::Itself,
        false => lead(&recipient, session).await,
    };
    let refusal = match lead {
        Lead::Alias(members) => {
            let recipients = behind_alias(requests(&ask, session), &recipient, members);
            return Ok(settle(ask, ruling, ground, recipients, session).await);
        }
        Lead::Refused(text) => RecipientRefusal::Told(text),
        Lead::Unknown(reason) => RecipientRefusal::Directory(reason),
        Lead::Broken => RecipientRefusal::Alias(ask.path().to_string()),
        // An address with an alias exists; others are looked up in the tables of existing recipients.
        Lead::Itself | Lead::Nobody => match unlisted(&recipient, ground, io, session).await? {
            Some(refusal) => refusal,
            None => {
                let recipients = vec![as_asked(&ask, recipient, session)];
                return Ok(settle(ask, ruling, ground, recipients, session).await);
            }
        },
    };
    Ok(refuse_local(ask, &refusal, session).into())
}

fn about<'a>(ask: &'a AskRecipient<'_>) -> About<'a> {
    About::recipient(ask.sender(), ask.path())
}

fn as_asked(ask: &AskRecipient<'_>, address: Mailbox, session: &Session) -> Recipient {
    let (notify, orcpt) = requests(ask, session);
    Recipient {
        notify,
        orcpt,
        ..Recipient::new(address)
    }
}

/// The reports that the client may ask for. One that may not relay may have forged the sender: it gets only failures, and its
/// `ORCPT` is dropped.
fn requests(ask: &AskRecipient<'_>, session: &Session) -> (Notify, Option<String>) {
    if session.may_relay() {
        (ask.notify(), ask.orcpt().map(str::to_owned))
    } else {
        (ask.notify().without_success_and_delay(), None)
    }
}

/// Looks up the domains of recipient and sender in the tables of domains. Returns a refusal if that fails.
async fn unknown_domain(ask: &AskRecipient<'_>, settings: &Settings, session: &Session) -> Option<Reply> {
    let recipient = match ask.path() {
        ForwardPath::Mailbox { mailbox, .. } => Some(mailbox.domain()),
        ForwardPath::Postmaster => None,
    };
    let sender = ask.sender().and_then(ReversePath::mailbox).map(Mailbox::domain);
    for domain in [recipient, sender].into_iter().flatten() {
        if let Err(down) = settings.learn(domain).await {
            let refusal = RecipientRefusal::Table(down.to_string());
            let reply = texts::refused_path(ask.path(), refusal.told(), "");
            session.refused(&refusal, &reply, &about(ask));
            return Some(reply);
        }
    }
    None
}

/// Why a recipient in a relay domain is refused: no table of existing recipients has it, or its next hop refuses it.
async fn unlisted(
    recipient: &Mailbox,
    ground: Ground,
    io: &mut Io,
    session: &Session,
) -> Result<Option<RecipientRefusal>, End> {
    let settings = &session.profile.settings;
    if ground != Ground::Behind || !settings.lists_recipients(recipient) {
        return Ok(None);
    }
    probe::wait(io, session).await?;
    // The next hop may take a while, and earlier replies must not wait with it.
    if settings.next_hops.is_some() {
        io.flush().await?;
    }
    let refusal = settings.relay_recipient(recipient).await.err();
    if refusal.as_ref().is_some_and(|refusal| refusal.told().0 == 550) {
        probe::found_nobody(session);
    }
    Ok(refusal)
}

/// Judges a recipient in a local domain: an alias, `postmaster`, or an account.
async fn local<'d>(
    ask: AskRecipient<'d>,
    path: ForwardPath,
    io: &mut Io,
    session: &Session,
) -> Result<Judged<'d>, End> {
    let Some(mailbox) = mailbox_of(path, session) else {
        return Ok(Answer::stay(texts::LOCAL_ERROR).into());
    };
    if !is_postmaster(&mailbox) {
        probe::wait(io, session).await?;
    }
    match session.judge().returned(&mailbox, Timestamp::now()) {
        Some(Ok(original)) => return Ok(lead_back(ask, &mailbox, original, session)),
        Some(Err(refusal)) => {
            probe::found_nobody(session);
            return Ok(refuse(ask, &refusal, refusal.told(), "", session).into());
        }
        None => {}
    }
    let judged = match lead(&mailbox, session).await {
        Lead::Itself => {
            let recipients = vec![as_asked(&ask, mailbox, session)];
            let ruling = (Rule::LocalRecipient, Reason::Words("it exists here"));
            settle(ask, ruling, Ground::Here, recipients, session).await
        }
        Lead::Alias(members) => {
            let recipients = behind_alias(requests(&ask, session), &mailbox, members);
            let ruling = (Rule::LocalRecipient, Reason::Words("an alias"));
            settle(ask, ruling, Ground::Here, recipients, session).await
        }
        Lead::Refused(text) => refuse_local(ask, &RecipientRefusal::Told(text), session).into(),
        Lead::Broken => {
            let refusal = RecipientRefusal::Alias(ask.path().to_string());
            refuse_local(ask, &refusal, session).into()
        }
        Lead::Nobody => {
            probe::found_nobody(session);
            let refusal = RecipientRefusal::Unknown(ask.path().to_string());
            refuse_local(ask, &refusal, session).into()
        }
        Lead::Unknown(reason) => refuse_local(ask, &RecipientRefusal::Directory(reason), session).into(),
    };
    Ok(judged)
}

fn taken(
    ask: AskRecipient<'_>,
    ground: Ground,
    recipients: Vec<Recipient>,
    rule: Rule,
    reason: Reason,
) -> Judged<'_> {
    Judged::Taken(Taken {
        ask,
        ground,
        recipients,
        rule,
        reason,
        copies: Vec::new(),
    })
}

/// Accepts mail for a rewritten sender, which goes to the original one: a report on forwarded mail.
fn lead_back<'d>(
    ask: AskRecipient<'d>,
    rewritten: &Mailbox,
    original: Mailbox,
    session: &Session,
) -> Judged<'d> {
    let members = vec![Member::new(original.clone())];
    let recipients = behind_alias(requests(&ask, session), rewritten, members);
    let reason = Reason::Original(original);
    taken(ask, Ground::Here, recipients, Rule::SrsReturned, reason)
}

fn refuse_local(ask: AskRecipient<'_>, refusal: &RecipientRefusal, session: &Session) -> Answer {
    let (code, status, _) = refusal.told();
    refuse(ask, refusal, (code, status, refusal.words()), "", session)
}

fn refuse(
    ask: AskRecipient<'_>,
    verdict: &dyn Verdict,
    told: (u16, Status, &str),
    mark: &str,
    session: &Session,
) -> Answer {
    let reply = texts::refused_path(ask.path(), told, mark);
    session.refused(verdict, &reply, &about(&ask));
    ask.refuse(reply)
}

/// The mailbox of a path in a local domain; a bare `postmaster` is that of the main domain (RFC 5321 section 4.5.1).
pub(crate) fn mailbox_of(path: ForwardPath, session: &Session) -> Option<Mailbox> {
    match path {
        ForwardPath::Mailbox { mailbox, .. } => Some(mailbox),
        ForwardPath::Postmaster => {
            Mailbox::new("postmaster", session.profile.settings.main_domain().clone()).ok()
        }
    }
}

/// The recipients behind an alias.
///
/// Reports about an alias's targets name the alias (RFC 3461 section 5.2.7.1), unless the client gave `ORCPT` itself.
pub(crate) fn behind_alias(
    (notify, orcpt): (Notify, Option<String>),
    alias: &Mailbox,
    members: Vec<Member>,
) -> Vec<Recipient> {
    let orcpt = orcpt.unwrap_or_else(|| {
        let kind = if alias.is_ascii() { "rfc822" } else { "utf-8" };
        format!("{kind};{alias}")
    });
    let recipient = |Member { address, sender }| Recipient {
        address,
        notify,
        orcpt: Some(orcpt.clone()),
        sender,
    };
    members.into_iter().map(recipient).collect()
}

/// Where mail for a local address goes.
pub(crate) async fn lead(mailbox: &Mailbox, session: &Session) -> Lead {
    let deps = &session.shared.deps;
    let (directories, aliases) = (deps.directories.load_full(), deps.aliases.load_full());
    let residents = session.profile.settings.residents(&directories, &aliases);
    residents.lead(mailbox).await
}
