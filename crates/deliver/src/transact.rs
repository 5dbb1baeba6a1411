//! One transaction: whether this peer can take the message, the exchange, and what its verdicts mean for each recipient.

use std::sync::Arc;

use postern_mail::{Recipient, Status};
use postern_smtp::client::{Order, Protocol, Stage, Verdict, needs};
use postern_spool::{Message, Spool, SpoolError};

use crate::exchange::{EAGER_MAX, Examined, Exchanged, examine, exchange};
use crate::failure::{Failure, disowns_login, success};
use crate::outcome::{Fate, SuccessReport};
use crate::session::Session;
use crate::settings::Settings;
use crate::work::Due;

/// What came of one transaction.
pub(crate) struct Transacted {
    pub(crate) fates: Vec<(Due, Fate)>,
    /// To be tried at once in another transaction.
    pub(crate) again: Vec<Due>,
    /// Whether the session can be used further.
    pub(crate) reusable: bool,
    /// Whether the peer let a time limit pass.
    pub(crate) timed_out: bool,
}

/// One transaction for these recipients.
pub(crate) async fn transact(
    session: &mut Session,
    settings: &Settings,
    spool: &dyn Spool,
    message: &Message,
    batch: Vec<Due>,
) -> Transacted {
    let peer = Arc::clone(&session.peer);
    let examined = match examine(spool, message, &peer).await {
        Ok(examined) => examined,
        Err(error) => return Transacted::without_exchange(all_failed(batch, &unreadable(&error))),
    };
    if examined.received > settings.received_max {
        return Transacted::without_exchange(all_failed(batch, &looping(&examined)));
    }
    let recipients = &message.envelope.recipients;
    let (mut fates, batch) = without_unfit(batch, recipients, peer.smtputf8, &session.relay);
    let addressed: Vec<&Recipient> = batch
        .iter()
        .filter_map(|due| recipients.get(due.index as usize))
        .collect();
    // One that needs SMTPUTF8 decides for all; without one, any does.
    let deciding = addressed
        .iter()
        .find(|recipient| !needs::is_ascii(&recipient.address));
    let Some(deciding) = deciding.or_else(|| addressed.first()) else {
        return Transacted::without_exchange(fates);
    };
    let content = &examined.content;
    let declared = match needs::check(
        &message.envelope,
        &deciding.address,
        content,
        &peer,
        settings.eight_bit,
    ) {
        Ok(declared) => declared,
        Err(unmet) => {
            fates.extend(all_failed(batch, &Failure::unmet(unmet, &session.relay)));
            return Transacted::without_exchange(fates);
        }
    };
    let order = Order {
        envelope: &message.envelope,
        recipients: &addressed,
        declared,
        logged_in: session.login.is_some(),
        size: content.size,
        chunking: settings.chunking,
        eager: content.size <= EAGER_MAX,
    };
    let reused = session.transactions > 0;
    let exchanged = exchange(session, &settings.timeouts, spool, message, order).await;
    if reused && exchanged.unanswered {
        // It had been closed while it waited. That is no attempt.
        return Transacted {
            fates,
            again: batch,
            reusable: false,
            timed_out: false,
        };
    }
    log_attempt(message, session, &exchanged);
    let disowned = session.login.is_some()
        && exchanged
            .verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Refused(stage, reply) if disowns_login(*stage, reply)));
    let (reusable, timed_out) = (exchanged.reusable && !disowned, exchanged.timed_out);
    let again = judge(exchanged, batch, session, &mut fates);
    Transacted {
        fates,
        again,
        reusable,
        timed_out,
    }
}

impl Transacted {
    /// Nothing was said to the peer.
    fn without_exchange(fates: Vec<(Due, Fate)>) -> Self {
        Self {
            fates,
            again: Vec::new(),
            reusable: true,
            timed_out: false,
        }
    }
}

/// The same failure for all.
pub(crate) fn all_failed(recipients: Vec<Due>, failure: &Failure) -> Vec<(Due, Fate)> {
    recipients
        .into_iter()
        .map(|due| (due, Fate::Failed(failure.clone())))
        .collect()
}

/// The spool cannot read the message.
pub(crate) fn unreadable(error: &SpoolError) -> Failure {
    Failure::temporary(Status(4, 3, 0), "", format!("cannot read the message: {error}"))
}

fn looping(examined: &Examined) -> Failure {
    let text = format!(
        "the message has {} Received fields: it goes in circles",
        examined.received
    );
    Failure::permanent(Status(5, 4, 6), "", text)
}

/// Parts off the recipients whose addresses this peer cannot be told, so that the others get their mail.
fn without_unfit(
    batch: Vec<Due>,
    recipients: &[Recipient],
    smtputf8: bool,
    relay: &str,
) -> (Vec<(Due, Fate)>, Vec<Due>) {
    let fits = |due: &Due| {
        smtputf8
            || recipients
                .get(due.index as usize)
                .is_some_and(|recipient| needs::is_ascii(&recipient.address))
    };
    if batch.iter().all(fits) {
        return (Vec::new(), batch);
    }
    let (fit, unfit): (Vec<Due>, Vec<Due>) = batch.into_iter().partition(fits);
    (all_failed(unfit, &Failure::unmet(needs::Unmet::Utf8, relay)), fit)
}

/// What the peer's verdicts mean for each recipient; returns those to be tried in another transaction.
fn judge(exchanged: Exchanged, batch: Vec<Due>, session: &Session, fates: &mut Vec<(Due, Fate)>) -> Vec<Due> {
    let relay = &session.relay;
    let report = match (session.peer.dsn, session.protocol) {
        (true, _) => SuccessReport::NextHop,
        (false, Protocol::Smtp) => SuccessReport::Relayed,
        (false, Protocol::Lmtp) => SuccessReport::Delivered,
    };
    let mut again = Vec::new();
    let error = exchanged
        .error
        .unwrap_or_else(|| "the connection was lost".to_owned());
    for (due, verdict) in batch.into_iter().zip(exchanged.verdicts) {
        let fate = match verdict {
            Verdict::Taken(reply) => Fate::Delivered {
                attempt: success(&reply, relay),
                success: report,
            },
            Verdict::Refused(stage, reply) if session.login.is_some() && disowns_login(stage, &reply) => {
                Fate::Failed(Failure::refused(stage, &reply, relay).passing())
            }
            Verdict::Refused(stage, reply) => Fate::Failed(Failure::refused(stage, &reply, relay)),
            Verdict::Lost(Stage::EndOfData) => Fate::Failed(Failure::lost(
                relay,
                format!("{error}; the host may have taken the message"),
            )),
            Verdict::Lost(_) => Fate::Failed(Failure::cut_short(relay, error.clone())),
            Verdict::NextTransaction => {
                again.push(due);
                continue;
            }
        };
        fates.push((due, fate));
    }
    again
}

/// One line an attempt, with the reply that tells most.
fn log_attempt(message: &Message, session: &Session, exchanged: &Exchanged) {
    let taken = exchanged
        .verdicts
        .iter()
        .filter(|verdict| matches!(verdict, Verdict::Taken(_)))
        .count();
    let reply = exchanged.verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Taken(reply) | Verdict::Refused(_, reply) => Some(tracing::field::display(reply)),
        Verdict::Lost(_) | Verdict::NextTransaction => None,
    });
    tracing::info!(
        target: "postern::attempt", queue = %message.id, session = message.session.as_deref().unwrap_or_default(),
        relay = %session.relay, tls = %session.tls, recipients = exchanged.verdicts.len(), taken, reply,
        error = exchanged.error.as_deref(), "attempt"
    );
}
