//! Budgets in a session: judged when a sender and recipients are named, and counted when the message is complete.

use std::time::Duration;

use postern_events::Ruled;
use postern_mail::{ForwardPath, QueueId, ReversePath};
use postern_policy::budget::deed::Note as Counted;
use postern_policy::budget::ledger::{Holding, Judged, Refused, Terms, account_name};
use postern_policy::budget::rules::network_name;
use postern_policy::budget::verdict::REFUSED;
use postern_policy::budget::{Action, Deed, Exceeded, Spent, rules::Who};
use postern_policy::rule::{Rule, Verdict};
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, Ground};
use postern_spool::{Assembly, Hold, Note};

use super::BudgetSettings;
use super::named::Named;
use crate::device;
use crate::session::{About, Session};

/// Who sends, in this session.
struct Sender<'a> {
    who: Who<'a>,
    network: Option<Box<str>>,
    country: Option<&'a str>,
}

impl<'a> Sender<'a> {
    fn of(session: &'a Session, domain: Option<&'a str>, settings: &'a BudgetSettings) -> Self {
        // Programs on this machine have no network.
        let peer = session.user.is_none().then(|| session.peer.ip());
        let countries = settings.countries.as_deref();
        Self {
            who: Who {
                login: session.account(),
                peer,
                sender_domain: domain,
            },
            network: peer.map(network_name),
            country: peer.and_then(|peer| countries?.of(peer)),
        }
    }

    fn deed(&self) -> Deed<'_> {
        Deed {
            network: self.network.as_deref(),
            country: self.country,
            ..Deed::default()
        }
    }
}

/// Whether the mail of a session counts: it is from somebody who is known, or is `relayed` all the same by an access rule, and does not
/// come back from the filter behind the queue. Where no budget is in use, that is one load of a flag.
fn counts(session: &Session, relayed: bool) -> bool {
    session.shared.deps.budgets.is_in_use()
        && (relayed || !session.is_stranger() || device::of(session).is_some())
        && !session.is_filtered()
}

/// By what a message is judged.
fn terms<'a>(settings: &'a BudgetSettings, has_waited: bool) -> Terms<'a> {
    Terms {
        budgets: &settings.budgets,
        held: settings.held,
        pace: (settings.delay.as_secs().max(1), settings.delay_most.as_secs()),
        has_waited,
    }
}

/// Judges `MAIL`: the reply, if nothing may be sent now. A sender that is slowed down waits here.
pub(crate) async fn sender(from: &ReversePath, size: u64, session: &Session) -> Option<Reply> {
    if !session.shared.deps.budgets.is_in_use() {
        return None;
    }
    *session.named.lock() = Named::default();
    if !counts(session, false) {
        return None;
    }
    let settings = &session.profile.settings.budgets;
    let domain = domain_of(from);
    let sender = Sender::of(session, domain.as_deref(), settings);
    let deed = Deed {
        messages: 1,
        named: 1,
        octets: size,
        ..sender.deed()
    };
    let budgets = &session.shared.deps.budgets;
    let judged = judged(&sender, &deed, session)?;
    if let Some(exceeded) = judged.refusal() {
        return Some(refused(exceeded, &About::sender(from), session));
    }
    let exceeded = judged.with(Action::Delay)?;
    let pace = terms(settings, false).pace;
    let slowed = budgets.ledger.lock().slowed(exceeded, pace, budgets.now());
    match slowed {
        Ok((exceeded, seconds)) => {
            session.named.lock().has_waited = true;
            wait(&exceeded, seconds, from, session).await;
            None
        }
        Err(refusal) => Some(not_taken(&refusal, from, session)),
    }
}

/// Waits for its turn, and tells why.
async fn wait(exceeded: &Exceeded, seconds: u64, from: &ReversePath, session: &Session) {
    if seconds > 0 {
        tell(exceeded, None, from, session);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Judges `RCPT` of a stranger for whom an access rule relays: the reply, where there may be no more recipients now.
pub(crate) fn relayed_recipient(
    from: Option<&ReversePath>,
    to: &ForwardPath,
    session: &Session,
) -> Option<Reply> {
    (session.is_stranger() && counts(session, true))
        .then(|| recipient_of(from, to, session))
        .flatten()
}

/// Judges `RCPT`: the reply, where there may be no more recipients now.
pub(crate) fn recipient(from: Option<&ReversePath>, to: &ForwardPath, session: &Session) -> Option<Reply> {
    counts(session, false)
        .then(|| recipient_of(from, to, session))
        .flatten()
}

fn recipient_of(from: Option<&ReversePath>, to: &ForwardPath, session: &Session) -> Option<Reply> {
    let settings = &session.profile.settings.budgets;
    let domain = from.and_then(domain_of);
    let sender = Sender::of(session, domain.as_deref(), settings);
    let hash = session.shared.deps.budgets.recipient(to);
    let mut named = session.named.lock();
    // One that is named twice counts once.
    let is_new = !named.recipients.contains(&hash);
    if is_new {
        named.recipients.push(hash);
    }
    let deed = Deed {
        messages: 1,
        named: named.recipients.len() as u64,
        recipients: &named.recipients,
        refused_recipients: 1,
        ..sender.deed()
    };
    let judged = judged(&sender, &deed, session);
    if is_new {
        named.recipients.pop();
    }
    drop(named);
    let judged = judged?;
    let exceeded = judged.refusal()?;
    Some(refused(exceeded, &About::recipient(from, to), session))
}

/// The budgets' verdict on a deed; `None` if the account is on hold, so that everything is accepted.
fn judged(sender: &Sender<'_>, deed: &Deed<'_>, session: &Session) -> Option<Judged> {
    let budgets = &session.shared.deps.budgets;
    let rules = &session.profile.settings.budgets.budgets;
    let ledger = budgets.ledger.lock();
    let is_on_hold = ledger.mark(&account_name(&sender.who)).is_some();
    (!is_on_hold).then(|| ledger.judge(rules, &sender.who, deed, budgets.now()))
}

/// A recipient was taken.
pub(crate) fn recipient_taken(to: &ForwardPath, ground: Ground, session: &Session) {
    if counts(session, ground == Ground::Relayed) {
        let hash = session.shared.deps.budgets.recipient(to);
        let mut named = session.named.lock();
        if !named.recipients.contains(&hash) {
            named.recipients.push(hash);
        }
    }
}

/// A counted message that is about to be queued.
pub(crate) struct Charge {
    spent: Spent,
}

/// Counts a message that is complete, has it held or wait where a budget says so, and gives it the note from which it is counted again
/// after a crash.
///
/// # Errors
///
/// The answer to one that is refused: nothing was counted.
pub(crate) async fn charge(
    assembly: &mut Assembly,
    others: &mut [Assembly],
    (size, ground): (u64, Ground),
    session: &Session,
) -> Result<Option<Charge>, Answer> {
    if !counts(session, ground == Ground::Relayed) {
        return Ok(None);
    }
    let from = assembly.envelope.sender.clone();
    let settings = &session.profile.settings.budgets;
    let domain = domain_of(&from);
    let sender = Sender::of(session, domain.as_deref(), settings);
    let Named {
        recipients: named,
        has_waited,
    } = std::mem::take(&mut *session.named.lock());
    let queue = assembly.id.to_string();
    let deed = Deed {
        queue: &queue,
        messages: 1,
        named: named.len() as u64,
        recipients: &named,
        octets: size,
        ..sender.deed()
    };
    let budgets = &session.shared.deps.budgets;
    let (outcome, recipients_matter) = {
        let mut ledger = budgets.ledger.lock();
        let outcome = ledger.spend(&terms(settings, has_waited), &sender.who, &deed, budgets.now());
        (outcome, ledger.knows_recipients())
    };
    let spent = match outcome {
        Ok(spent) => spent,
        Err(refusal) => return Err(Answer::stay(not_taken(&refusal, &from, session))),
    };
    if let Some((exceeded, seconds)) = &spent.slowed {
        let waiting = TakenBack::unless_done(&spent, session);
        wait(exceeded, *seconds, &from, session).await;
        waiting.done();
    }
    if let Some(hold) = spent.hold.as_ref().map(|holding| hold_of(holding, &sender.who)) {
        for one in std::iter::once(&mut *assembly).chain(others) {
            one.hold.get_or_insert_with(|| hold.clone());
        }
    }
    let counted = Counted {
        number: spent.number,
        at: spent.at,
        login: sender.who.login.map(Into::into),
        peer: sender.who.peer,
        domain: sender.who.sender_domain.map(Into::into),
        queue: queue.as_str().into(),
        named: deed.named,
        recipients: if recipients_matter {
            named.clone()
        } else {
            Vec::new()
        },
        octets: size,
        country: sender.country.map(Into::into),
        hold: match &spent.hold {
            Some(Holding::Exceeded(exceeded)) => Some((exceeded.budget.clone(), exceeded.to_string().into())),
            _ => None,
        },
    };
    assembly.note = serde_json::to_string(&counted).ok().map(|text| Note {
        number: i64::try_from(spent.number).unwrap_or(i64::MAX),
        text,
    });
    Ok(Some(Charge { spent }))
}

/// A message that waits for its turn, counted already: taken back if its session ends before.
struct TakenBack<'a> {
    spent: Option<&'a Spent>,
    session: &'a Session,
}

impl<'a> TakenBack<'a> {
    fn unless_done(spent: &'a Spent, session: &'a Session) -> Self {
        Self {
            spent: Some(spent),
            session,
        }
    }

    fn done(mut self) {
        self.spent = None;
    }
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        if let Some(spent) = self.spent {
            self.session.shared.deps.budgets.ledger.lock().take_back(spent);
        }
    }
}

/// The queue could not take it.
pub(crate) fn take_back(charge: Option<Charge>, session: &Session) {
    if let Some(charge) = charge {
        session.shared.deps.budgets.ledger.lock().take_back(&charge.spent);
    }
}

/// The message is queued: reports what budgets have said.
pub(crate) fn tell_charged(charge: Option<Charge>, queue: &QueueId, from: &ReversePath, session: &Session) {
    let Some(Charge { spent }) = charge else { return };
    let more_than_usual = spent
        .news
        .iter()
        .filter(|exceeded| exceeded.bound.usual.is_some());
    session
        .shared
        .deps
        .budgets
        .add_unusual(more_than_usual.cloned().collect());
    for exceeded in &spent.news {
        tell(exceeded, Some(queue), from, session);
    }
    match &spent.hold {
        Some(Holding::Exceeded(exceeded)) => {
            tell(exceeded, Some(queue), from, session);
            let login = session.login.as_ref();
            let addresses = login.map(|login| login.identity.own_addresses());
            let first = addresses.and_then(|addresses| addresses.first().map(|&first| first.to_owned()));
            let account = session.account().map(Box::from);
            let account = account.unwrap_or_else(|| network_name(session.peer.ip()));
            session.shared.deps.budgets.is_on_hold(&account, first);
        }
        Some(Holding::OnHold(mark)) => {
            tell_of(Rule::AccountHeld, &mark.reason, Some(queue), from, session);
        }
        None => {}
    }
}

/// Why a message is held, for listings: the account comes first, by which all of its messages are found.
fn hold_of(holding: &Holding, who: &Who<'_>) -> Hold {
    let account = account_name(who);
    match holding {
        Holding::Exceeded(exceeded) => {
            Hold::by_rule(Rule::BudgetHeld, format_args!("account {account}: {exceeded}"))
        }
        Holding::OnHold(mark) => Hold::by_rule(
            Rule::AccountHeld,
            format_args!("account {account}: {}", mark.reason),
        ),
    }
}

/// The reply to a message that is not taken.
fn not_taken(refusal: &Refused, from: &ReversePath, session: &Session) -> Reply {
    match refusal {
        Refused::Exceeded(exceeded) => refused(exceeded, &About::sender(from), session),
        Refused::Full(full) => {
            let reply = full
                .reply()
                .map_or(texts::LOCAL_ERROR, |told| texts::refusal(told, ""));
            session.refused(full, &reply, &About::sender(from));
            reply
        }
    }
}

fn refused(exceeded: &Exceeded, about: &About<'_>, session: &Session) -> Reply {
    let (code, status) = REFUSED;
    let reply = Reply::new(code, Some(status), exceeded.text());
    session.refused(exceeded, &reply, about);
    reply
}

fn tell(exceeded: &Exceeded, queue: Option<&QueueId>, from: &ReversePath, session: &Session) {
    tell_of(exceeded.rule(), exceeded, queue, from, session);
}

fn tell_of(
    rule: Rule,
    reason: &dyn std::fmt::Display,
    queue: Option<&QueueId>,
    from: &ReversePath,
    session: &Session,
) {
    session.shared.deps.observers.tell(Ruled {
        session: &session.id,
        queue: queue.map(|queue| queue as &dyn std::fmt::Display),
        listener: session.listener(),
        peer: session.peer.ip(),
        rule,
        reason,
        from: Some(from),
        to: None,
    });
}

/// The domain of a sender, in lower case.
fn domain_of(from: &ReversePath) -> Option<String> {
    from.mailbox()
        .map(|mailbox| mailbox.domain().to_string().to_ascii_lowercase())
}
