//! One transaction: whether this peer can take the message, the exchange, and what its verdicts mean for each recipient.

use std::fmt::Display;
use std::sync::Arc;

use postern_events::{Attempted, Converted, Observers};
use postern_mail::{FailureKind, Header, Proof, Recipient, Status};
use postern_smtp::client::needs::EightBit;
use postern_smtp::client::{Content, Protocol, Stage, Unmet, Verdict, needs};
use postern_spool::{Message, SpoolError};

use crate::Deps;
use crate::courtesy;
use crate::examine::{Examined, conversion, examine};
use crate::exchange::Exchanged;
use crate::failure::{Cause, Failure, disowns_login, insists_on_tls, success};
use crate::leave;
use crate::offer::{Offer, deciding};
use crate::outcome::{Fate, SuccessReport};
use crate::relay::Relay;
use crate::sender;
use crate::session::Session;
use crate::settings::Settings;
use crate::work::Due;

/// The result of one transaction.
pub(crate) struct Transacted {
    pub(crate) fates: Vec<(Due, Fate)>,
    /// To be tried at once in another transaction.
    pub(crate) again: Vec<Due>,
    /// Whether the session can be used further.
    pub(crate) reusable: bool,
    /// Whether the peer timed out.
    pub(crate) timed_out: bool,
    /// Whether the peer announced `CHUNKING` but failed with `BDAT`.
    pub(crate) broke_by_bdat: bool,
}

/// One transaction for these recipients, who have the same sender (see [`sender::batch`]).
pub(crate) async fn transact(
    session: &mut Session,
    settings: &Settings,
    deps: &Deps,
    message: &Message,
    batch: Vec<Due>,
) -> Transacted {
    let spool = &*deps.spool;
    let peer = Arc::clone(&session.peer);
    let changed = match leave::changed(session, settings, deps, message, &batch).await {
        Ok(changed) => changed,
        Err(failure) => return Transacted::without_exchange(all_failed(batch, &failure)),
    };
    let original = message;
    let message = changed.as_ref().unwrap_or(original);
    let examined = match examine(spool, message, &peer).await {
        Ok(examined) => examined,
        Err(error) => return Transacted::without_exchange(all_failed(batch, &unreadable(&error))),
    };
    if examined.received > settings.received_max {
        return Transacted::without_exchange(all_failed(batch, &looping(&examined, settings.received_max)));
    }
    let recipients = &message.envelope.recipients;
    let (mut fates, batch) = without_unfit(batch, recipients, peer.smtputf8, &session.relay);
    let addressed: Vec<&Recipient> = batch
        .iter()
        .filter_map(|due| recipients.get(due.index as usize))
        .collect();
    let Some(deciding) = deciding(&addressed) else {
        return Transacted::without_exchange(fates);
    };
    let mut content = examined.content;
    let check = |content: &Content| {
        let recipient = &deciding.address;
        needs::check(&message.envelope, recipient, content, &peer, settings.eight_bit)
    };
    let mut checked = check(&content);
    let mut plan = None;
    if matches!(checked, Err(Unmet::EightBit | Unmet::Binary)) && settings.eight_bit == EightBit::Convert {
        checked = match conversion(spool, message).await {
            Ok(Ok(made)) => {
                content = made.content;
                plan = Some(made.plan);
                check(&content)
            }
            Ok(Err(obstacle)) => Err(Unmet::Unconvertible(obstacle)),
            Err(error) => {
                fates.extend(all_failed(batch, &unreadable(&error)));
                return Transacted::without_exchange(fates);
            }
        };
    }
    let declared = match checked {
        Ok(declared) => declared,
        Err(unmet) => {
            fates.extend(all_failed(batch, &Failure::unmet(unmet, &session.relay)));
            return Transacted::without_exchange(fates);
        }
    };
    let offer = Offer {
        settings,
        spool,
        message,
        plan: plan.as_ref(),
        size: content.size,
        // All of them have the same sender. In a changed message it is already in the envelope.
        rewritten: match changed {
            Some(_) => None,
            None => sender::rewritten(settings, original, deciding),
        },
    };
    let reused = session.transactions > 0;
    let mut exchanged = offer.make(session, &peer, declared, &addressed).await;
    if reused && (exchanged.unanswered || exchanged.is_mail_refused()) {
        // It was closed while idle, or the host refuses because of earlier events in the session. A new connection decides.
        tracing::debug!(
            target: "postern::attempt", queue = %message.id, relay = %session.relay, error = exchanged.error.as_deref(),
            "once more over a fresh connection"
        );
        return Transacted {
            fates,
            again: batch,
            reusable: false,
            timed_out: false,
            broke_by_bdat: false,
        };
    }
    let plainly = courtesy::ask_without(session, &offer, declared, &addressed, &mut exchanged).await;
    note_capacity(session, &exchanged);
    if plan.is_some() {
        tell_converted(message, session, &exchanged, &deps.observers);
    }
    if let Some(sender) = &offer.rewritten {
        sender::tell_rewritten(message, sender, &deps.observers);
    }
    tell_attempt(message, session, &exchanged, &deps.observers);
    let disowned = session.login.is_some()
        && exchanged
            .verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Refused(stage, reply) if disowns_login(*stage, reply)));
    let (reusable, timed_out) = (exchanged.reusable && !disowned, exchanged.timed_out);
    let broke_by_bdat = exchanged.broke_by_bdat();
    let handed = Handed {
        dsn: peer.dsn,
        plainly,
        exchanged,
    };
    let again = judge(handed, batch, session, &mut fates);
    Transacted {
        fates,
        again,
        reusable,
        timed_out,
        broke_by_bdat,
    }
}

/// Learns from a peer that accepted some recipients and wants the others in further transactions: exceeding its limit causes
/// replies that some hosts count as errors.
fn note_capacity(session: &mut Session, exchanged: &Exchanged) {
    let verdicts = &exchanged.verdicts;
    if !verdicts.contains(&Verdict::NextTransaction) {
        return;
    }
    let refused = |verdict: &&Verdict| {
        matches!(
            verdict,
            Verdict::NextTransaction | Verdict::Refused(Stage::Recipient, _)
        )
    };
    let taken = verdicts.len() - verdicts.iter().filter(refused).count();
    if taken > 0 {
        Arc::make_mut(&mut session.peer).recipients_max = Some(taken);
    }
}

/// The result of an exchange, and what was passed on in it.
struct Handed {
    exchanged: Exchanged,
    /// Whether requests for reports were passed on to the peer.
    dsn: bool,
    /// The recipients for whom they were finally not passed on.
    plainly: Vec<bool>,
}

impl Exchanged {
    /// Whether no recipient was tried, since the sender was refused.
    fn is_mail_refused(&self) -> bool {
        let refused = |verdict: &Verdict| matches!(verdict, Verdict::Refused(Stage::Mail, _));
        self.verdicts.iter().all(refused)
    }

    /// Whether the peer does not know `BDAT`, or closed the connection in the middle of it.
    fn broke_by_bdat(&self) -> bool {
        let broke = |verdict: &Verdict| match verdict {
            Verdict::NoBdat(_) => true,
            Verdict::Lost(Stage::EndOfData) => self.chunked,
            _ => false,
        };
        self.verdicts.iter().any(broke)
    }
}

impl Transacted {
    /// For recipients decided without an exchange.
    fn without_exchange(fates: Vec<(Due, Fate)>) -> Self {
        Self {
            fates,
            again: Vec::new(),
            reusable: true,
            timed_out: false,
            broke_by_bdat: false,
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
    let text = format!("cannot read the message: {error}");
    Failure::temporary(Status(4, 3, 0), &Relay::Nowhere, Cause::Local(text.into()))
}

fn looping(examined: &Examined, limit: u32) -> Failure {
    let text = format!("mail loop: {} Received fields, limit {limit}", examined.received);
    Failure::permanent(Status(5, 4, 6), &Relay::Nowhere, Cause::Loop(text.into()))
}

/// Splits off recipients whose addresses this peer cannot handle, so that the others get their mail.
fn without_unfit(
    batch: Vec<Due>,
    recipients: &[Recipient],
    smtputf8: bool,
    relay: &Relay,
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
    (all_failed(unfit, &Failure::unmet(Unmet::Utf8, relay)), fit)
}

/// What the peer's verdicts mean for each recipient; returns those to be tried in another transaction.
fn judge(handed: Handed, batch: Vec<Due>, session: &Session, fates: &mut Vec<(Due, Fate)>) -> Vec<Due> {
    let relay = &session.relay;
    let report = |plainly: bool| match (handed.dsn && !plainly, session.protocol) {
        (true, _) => SuccessReport::NextHop,
        (false, Protocol::Smtp) => SuccessReport::Relayed,
        (false, Protocol::Lmtp) => SuccessReport::Delivered,
    };
    let mut again = Vec::new();
    let error = handed
        .exchanged
        .error
        .unwrap_or_else(|| "the connection was lost".to_owned());
    let verdicts = handed.exchanged.verdicts.into_iter().zip(handed.plainly);
    for (due, (verdict, plainly)) in batch.into_iter().zip(verdicts) {
        let fate = match verdict {
            Verdict::Taken(reply) => Fate::Delivered {
                relay: relay.clone(),
                attempt: success(&reply, relay),
                success: report(plainly),
            },
            // A host that requires the TLS that failed may have fixed it by the next attempt.
            Verdict::Refused(stage, reply)
                if (session.login.is_some() && disowns_login(stage, &reply))
                    || (session.gave_up_tls && insists_on_tls(stage, &reply)) =>
            {
                Fate::Failed(Failure::refused(stage, &reply, relay).passing())
            }
            Verdict::Refused(stage, reply) => Fate::Failed(Failure::refused(stage, &reply, relay)),
            Verdict::Lost(Stage::EndOfData) => Fate::Failed(Failure::lost(
                relay,
                Some(Stage::EndOfData),
                format!("{error}; the host may have taken the message"),
            )),
            Verdict::Lost(stage) => Fate::Failed(Failure::cut_short(relay, stage, error.clone())),
            Verdict::NextTransaction | Verdict::NoBdat(_) => {
                again.push(due);
                continue;
            }
        };
        fates.push((due, fate));
    }
    again
}

/// Reports that the content was converted for the host that now has it, and which signatures this breaks. Our own signatures are
/// made over 7 bits, so those that cover converted parts are others'.
fn tell_converted(message: &Message, session: &Session, exchanged: &Exchanged, observers: &Observers) {
    let is_taken = |verdict: &Verdict| matches!(verdict, Verdict::Taken(_));
    if !exchanged.verdicts.iter().any(is_taken) {
        return;
    }
    let header = Header::parse(Header::split(&message.prefix).0.to_vec());
    let signatures = ["DKIM-Signature", "ARC-Message-Signature"];
    observers.tell(Converted {
        queue: &message.id,
        session: message.session.as_deref(),
        relay: &session.relay,
        broken: signatures.iter().map(|name| header.named(name).count()).sum(),
    });
}

/// Logs one line for each attempt in which not all recipients were accepted, with the most telling reply. Accepted ones have
/// their outcomes.
fn tell_attempt(message: &Message, session: &Session, exchanged: &Exchanged, observers: &Observers) {
    let taken = exchanged
        .verdicts
        .iter()
        .filter(|verdict| matches!(verdict, Verdict::Taken(_)))
        .count();
    if taken == exchanged.verdicts.len() && exchanged.error.is_none() {
        return;
    }
    let reply = exchanged.verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Taken(reply) | Verdict::Refused(_, reply) | Verdict::NoBdat(reply) => {
            Some(reply as &dyn Display)
        }
        Verdict::Lost(_) | Verdict::NextTransaction => None,
    });
    let failure = exchanged.verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Refused(stage, _) => Some((FailureKind::Refused, *stage)),
        Verdict::Lost(stage) => Some((FailureKind::Lost, *stage)),
        Verdict::Taken(_) | Verdict::NoBdat(_) | Verdict::NextTransaction => None,
    });
    observers.tell(Attempted {
        queue: &message.id,
        session: message.session.as_deref(),
        destination: None,
        relay: &session.relay,
        proof: session.way.whole().map(Proof::name),
        tls: Some(&session.tls),
        recipients: exchanged.verdicts.len(),
        taken: Some(taken),
        status: None,
        failure: failure.map(|(kind, _)| kind),
        stage: failure.map(|(_, stage)| stage.name()),
        reply,
        error: exchanged.error.as_deref(),
    });
}
