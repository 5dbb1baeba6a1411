//! A worker: one connection to a destination, and one message after the other over it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern_mail::{Notify, Recipient, Status};
use postern_policy::retry::RetrySettings;
use postern_smtp::client::{Order, Stage, Verdict, needs};
use postern_spool::{Message, Outcome, RecipientOutcome, Settlement, SpoolError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, sleep_until};

use crate::claims::Claim;
use crate::connect::Dialer;
use crate::core::{Conclusion, Core, Held, look_again};
use crate::destination::{Destination, Setback, Taken};
use crate::exchange::{EAGER_MAX, Examined, Exchanged, examine, exchange};
use crate::failure::{Failure, success};
use crate::hop::HopKind;
use crate::maildir;
use crate::outcome::{self, Fate, SuccessReport, Times};
use crate::session::Session;
use crate::settings::Settings;
use crate::work::{Due, Work};

/// Messages that a worker may hand over while others wait for a connection.
const SHARE: u32 = 20;

/// How long a goodbye may take when the server stops.
const HURRY: Duration = Duration::from_millis(200);

/// A pause ends this much before the retry that follows the failure, so that the retry is a real one.
const PAUSE_SHARE: f64 = 0.85;

/// Works for a destination until nothing is left to do. Started by [`Core::staff`].
pub(crate) async fn run(core: Arc<Core>, destination: Arc<Destination>) {
    let work = async {
        match &destination.hop.kind {
            HopKind::Maildir(folder) => maildir::serve(&core, &destination, folder).await,
            HopKind::Mx(_) | HopKind::Hosts { .. } => Worker::serve(&core, &destination).await,
        }
    };
    tokio::select! {
        biased;
        () = core.kill.cancelled() => return,
        () = work => {}
    }
    let settings = core.deps.settings.load_full();
    core.staff(&destination, &settings);
}

struct Worker<'a> {
    core: &'a Arc<Core>,
    destination: &'a Arc<Destination>,
    session: Option<Session>,
    /// One permit for each delivery whose outcome may be under way to the disk.
    unsettled: Arc<Semaphore>,
    /// Messages handed over since the connection was made while others wait for one.
    taken: u32,
}

/// Recipients of one message on their way.
struct Load {
    message: Arc<Message>,
    claims: Arc<Vec<Claim>>,
    look_again: Vec<Arc<str>>,
    /// Whether some of its recipients are concluded already.
    begun: bool,
}

/// What came of trying to get a connection.
enum Connected {
    Yes,
    /// Not for this worker: others have all that the destination gives.
    TooMany,
    No(Failure),
}

/// What came of one transaction.
struct Transacted {
    fates: Vec<(Due, Fate)>,
    /// To be tried at once in another transaction.
    again: Vec<Due>,
}

impl<'a> Worker<'a> {
    async fn serve(core: &'a Arc<Core>, destination: &'a Arc<Destination>) {
        let Some(slot) = core.slot().await else {
            destination.leave(true);
            return;
        };
        let unsettled = core.deps.settings.load().limits.unsettled_per_connection;
        let mut worker = Self {
            core,
            destination,
            session: None,
            unsettled: Arc::new(Semaphore::new(unsettled)),
            taken: 0,
        };
        worker.work().await;
        worker.close(true);
        drop(slot);
    }

    /// Takes and delivers; returns when this worker counts no longer.
    async fn work(&mut self) {
        let mut arriving = true;
        loop {
            if self.core.stop.is_cancelled() || self.has_had_its_share() {
                self.destination.leave(arriving);
                return;
            }
            self.core.replenish(self.destination);
            match self.destination.take(self.session.is_some(), arriving) {
                Taken::Work(work) => {
                    arriving = false;
                    self.taken += 1;
                    if !self.deliver(*work).await {
                        self.destination.leave(false);
                        return;
                    }
                }
                Taken::Idle => {
                    if !self.wait().await {
                        return;
                    }
                    arriving = true;
                }
                Taken::Leave => return,
            }
        }
    }

    /// Whether it is time to let another destination have the slot.
    fn has_had_its_share(&self) -> bool {
        self.taken >= SHARE && self.core.is_crowded() && self.destination.has_company()
    }

    /// Keeps the connection for the next message. `false` when this worker ends instead.
    async fn wait(&mut self) -> bool {
        let idle = self.core.deps.settings.load().timeouts.idle;
        let Some(session) = &mut self.session else {
            return !self.destination.withdraw();
        };
        let mut over = false;
        tokio::select! {
            biased;
            () = self.destination.called() => return true,
            () = session.over() => over = true,
            () = sleep(idle) => {}
            () = self.core.pressure.notified() => {}
            () = self.core.stop.cancelled() => {}
        }
        if over {
            self.close(false);
        }
        if self.destination.withdraw() {
            return false;
        }
        self.destination.called().await;
        true
    }

    fn close(&mut self, polite: bool) {
        if let Some(session) = self.session.take() {
            self.destination.disconnected();
            if polite {
                let core = self.core.clone();
                let timeouts = core.deps.settings.load().timeouts.clone();
                core.workers.clone().spawn(async move {
                    let hurry = async {
                        core.stop.cancelled().await;
                        sleep(HURRY).await;
                    };
                    tokio::select! {
                        () = session.quit(&timeouts) => {}
                        () = hurry => {}
                    }
                });
            }
        }
    }

    /// Delivers one message to its recipients here. `false` when this worker is to end.
    async fn deliver(&mut self, work: Work) -> bool {
        let settings = self.core.deps.settings.load_full();
        let Some(message) = self.core.message_of(&settings, &work).await else {
            return true;
        };
        let look_again = if work.is_fresh() {
            Vec::new()
        } else {
            look_again(&message, &work.recipients)
        };
        let mut left = work.recipients;
        let mut load = Load {
            message,
            claims: Arc::new(work.claims),
            look_again,
            begun: false,
        };
        while !left.is_empty() {
            if self.session.is_none() {
                match self.connect(&settings, &load.message, left.len()).await {
                    Connected::Yes => {}
                    Connected::TooMany if !load.begun => {
                        self.put_back(load, left);
                        return false;
                    }
                    Connected::TooMany => {
                        let failure = Failure::temporary(Status(4, 4, 5), "", "no connection to spare");
                        self.fail(&settings, &load, left, &failure).await;
                        return true;
                    }
                    Connected::No(failure) => {
                        self.fail(&settings, &load, left, &failure).await;
                        return true;
                    }
                }
            }
            let Ok(unsettled) = self.unsettled.clone().acquire_owned().await else {
                return false;
            };
            if let Some(rate) = settings.limits.rate_per_destination {
                sleep_until(self.destination.sending_time(rate).into()).await;
            }
            let rest = left.split_off(self.batch_len(&settings, left.len()));
            let Transacted { fates, mut again } = self.transact(&settings, &load.message, left).await;
            again.extend(rest);
            left = again;
            if !fates.is_empty() {
                load.begun = true;
                self.conclude(&settings, &load, fates, Some(unsettled)).await;
            }
        }
        true
    }

    fn put_back(&self, load: Load, recipients: Vec<Due>) {
        let Load { message, claims, .. } = load;
        let fresh = claims.is_empty();
        self.destination.put_back(Work {
            id: message.id,
            received_at: message.received_at,
            message: fresh.then_some(message),
            recipients,
            claims: Arc::into_inner(claims).unwrap_or_default(),
        });
    }

    fn batch_len(&self, settings: &Settings, recipients: usize) -> usize {
        let peer_max = self
            .session
            .as_ref()
            .and_then(|session| session.peer.recipients_max);
        let most = settings
            .limits
            .recipients_per_transaction
            .min(peer_max.unwrap_or(usize::MAX));
        recipients.min(most.max(1))
    }

    async fn connect(&mut self, settings: &Settings, message: &Message, recipients: usize) -> Connected {
        if let Some(pause) = self.destination.paused(Timestamp::now()) {
            return Connected::No(pause.failure);
        }
        let tls = self.core.deps.tls.load_full();
        let dialer = Dialer {
            settings,
            resolver: &self.core.deps.resolver,
            tls: &tls,
            seed: rand::random(),
        };
        let failure = match dialer.open(&self.destination.hop).await {
            Ok(session) => {
                self.destination.connected();
                self.session = Some(session);
                self.taken = 0;
                return Connected::Yes;
            }
            Err(failure) => failure,
        };
        tracing::info!(
            target: "postern::attempt", queue = %message.id, destination = %self.destination.name, relay = %failure.relay,
            recipients, status = %failure.status, reply = %failure.text, "attempt"
        );
        if !failure.permanent {
            let longest = settings.limits.dead_pause_max;
            let pause = |failures| pause_after(failures, &settings.retry, longest);
            if self.destination.connect_failed(Timestamp::now(), &failure, pause) == Setback::Fewer {
                return Connected::TooMany;
            }
        }
        Connected::No(failure)
    }

    /// One transaction for these recipients.
    async fn transact(&mut self, settings: &Settings, message: &Arc<Message>, batch: Vec<Due>) -> Transacted {
        let spool = self.core.deps.spool.clone();
        let Some(session) = &mut self.session else {
            return Transacted {
                fates: Vec::new(),
                again: batch,
            };
        };
        let peer = session.peer.clone();
        let examined = match examine(spool.as_ref(), message, &peer).await {
            Ok(examined) => examined,
            Err(error) => return all_failed(batch, &unreadable(&error)),
        };
        if examined.received > settings.received_max {
            return all_failed(batch, &looping(&examined));
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
            .find(|recipient| !needs::is_ascii(&recipient.address))
            .or_else(|| addressed.first());
        let Some(deciding) = deciding else {
            return Transacted {
                fates,
                again: Vec::new(),
            };
        };
        let declared = match needs::check(
            &message.envelope,
            &deciding.address,
            &examined.content,
            &peer,
            settings.eight_bit,
        ) {
            Ok(declared) => declared,
            Err(unmet) => {
                fates.extend(all_failed(batch, &Failure::unmet(unmet, &session.relay)).fates);
                return Transacted {
                    fates,
                    again: Vec::new(),
                };
            }
        };
        let size = examined.content.size;
        let order = Order {
            envelope: &message.envelope,
            recipients: &addressed,
            declared,
            size,
            chunking: settings.chunking,
            eager: size <= EAGER_MAX,
        };
        let reused = session.transactions > 0;
        let exchanged = exchange(session, &settings.timeouts, spool.as_ref(), message, order).await;
        if reused && exchanged.unanswered {
            // It had been closed while it waited. That is no attempt.
            self.close(false);
            return Transacted { fates, again: batch };
        }
        let success = match (peer.dsn, session.protocol) {
            (true, _) => SuccessReport::NextHop,
            (false, postern_smtp::client::Protocol::Smtp) => SuccessReport::Relayed,
            (false, postern_smtp::client::Protocol::Lmtp) => SuccessReport::Delivered,
        };
        log_attempt(message, session, &exchanged);
        let reusable = exchanged.reusable;
        let transacted = judge(exchanged, batch, &session.relay, success, fates);
        self.follow_up(settings, &transacted, reusable);
        transacted
    }

    /// What a transaction means for session and destination.
    fn follow_up(&mut self, settings: &Settings, transacted: &Transacted, reusable: bool) {
        let mut delivered = false;
        for (_, fate) in &transacted.fates {
            match fate {
                Fate::Delivered { .. } => delivered = true,
                Fate::Failed(failure) => self.destination.note_error(Timestamp::now(), failure.line()),
            }
        }
        if delivered {
            self.destination.succeeded(&settings.limits);
        }
        let worn = self.session.as_ref().is_some_and(|session| {
            let peer_max = session.peer.transactions_max.unwrap_or(u32::MAX);
            session.transactions >= settings.limits.messages_per_connection.min(peer_max)
        });
        if !reusable || worn {
            self.close(reusable);
        }
    }

    async fn fail(&self, settings: &Settings, load: &Load, recipients: Vec<Due>, failure: &Failure) {
        let Ok(unsettled) = self.unsettled.clone().acquire_owned().await else {
            return;
        };
        self.conclude(
            settings,
            load,
            all_failed(recipients, failure).fates,
            Some(unsettled),
        )
        .await;
    }

    async fn conclude(
        &self,
        settings: &Settings,
        load: &Load,
        fates: Vec<(Due, Fate)>,
        unsettled: Option<OwnedSemaphorePermit>,
    ) {
        let held = Held {
            claims: load.claims.clone(),
            unsettled,
            look_again: load.look_again.clone(),
        };
        let not_before = self.destination.paused(Timestamp::now()).map(|pause| pause.until);
        let conclusion = Conclusion {
            message: load.message.clone(),
            fates,
            not_before,
            held,
        };
        self.core.conclude(settings, conclusion).await;
    }
}

impl Core {
    /// The message that work is about; `None` when there is nothing to do about it now.
    pub(crate) async fn message_of(
        self: &Arc<Self>,
        settings: &Settings,
        work: &Work,
    ) -> Option<Arc<Message>> {
        if let Some(message) = &work.message {
            return Some(message.clone());
        }
        match self.deps.spool.load(work.id).await {
            Ok(message) => message,
            Err(error @ SpoolError::Damaged { .. }) => {
                tracing::error!(target: "postern::spool", queue = %work.id, reply = %error, "cannot be delivered");
                self.defer_damaged(settings, work, &error).await;
                None
            }
            Err(error) => {
                tracing::warn!(target: "postern::spool", queue = %work.id, reply = %error, "cannot be read now");
                None
            }
        }
    }

    /// A message that cannot be read back waits for somebody to mend the disk, until it expires. Its sender cannot be told: nobody
    /// knows who that is.
    async fn defer_damaged(&self, settings: &Settings, work: &Work, error: &SpoolError) {
        let now = Timestamp::now();
        let times = Times {
            received_at: work.received_at,
            now,
            not_before: None,
            jitter: rand::random(),
        };
        let decide = |due: &Due| {
            let fate = Fate::Failed(unreadable(error));
            let outcome = outcome::decide(fate, due, Notify::Never, &times, &settings.retry).outcome;
            RecipientOutcome {
                index: due.index,
                outcome,
            }
        };
        let outcomes: Vec<RecipientOutcome> = work.recipients.iter().map(decide).collect();
        if outcomes
            .iter()
            .any(|entry| matches!(entry.outcome, Outcome::Expired(_)))
        {
            tracing::error!(target: "postern::outcome", queue = %work.id, reply = %error, "expired");
        }
        let settlement = Settlement {
            id: work.id,
            at: now,
            outcomes,
            reports: Vec::new(),
        };
        if let Err(error) = self.deps.spool.settle(settlement).await {
            tracing::warn!(target: "postern::spool", queue = %work.id, reply = %error, "not settled");
        }
    }
}

/// How long a destination rests after so many attempts in a row that reached no host.
fn pause_after(failures: u32, retry: &RetrySettings, longest: Duration) -> Duration {
    let place = (failures.max(1) as usize - 1).min(retry.intervals.len().saturating_sub(1));
    let interval = retry.intervals.get(place).copied().unwrap_or(longest);
    interval.mul_f64(PAUSE_SHARE).min(longest)
}

fn unreadable(error: &SpoolError) -> Failure {
    Failure::temporary(Status(4, 3, 0), "", format!("cannot read the message: {error}"))
}

fn looping(examined: &Examined) -> Failure {
    let text = format!(
        "the message has {} Received fields: it goes in circles",
        examined.received
    );
    Failure::permanent(Status(5, 4, 6), "", text)
}

fn all_failed(recipients: Vec<Due>, failure: &Failure) -> Transacted {
    let fates = recipients
        .into_iter()
        .map(|due| (due, Fate::Failed(failure.clone())))
        .collect();
    Transacted {
        fates,
        again: Vec::new(),
    }
}

/// Parts off the recipients whose addresses this peer cannot be told, so that the others get their mail.
fn without_unfit(
    batch: Vec<Due>,
    recipients: &[Recipient],
    smtputf8: bool,
    relay: &str,
) -> (Vec<(Due, Fate)>, Vec<Due>) {
    if smtputf8 {
        return (Vec::new(), batch);
    }
    let fits = |due: &Due| {
        recipients
            .get(due.index as usize)
            .is_some_and(|recipient| needs::is_ascii(&recipient.address))
    };
    let (fit, unfit): (Vec<Due>, Vec<Due>) = batch.into_iter().partition(fits);
    let failure = Failure::unmet(needs::Unmet::Utf8, relay);
    (all_failed(unfit, &failure).fates, fit)
}

/// What the peer's verdicts mean for each recipient.
fn judge(
    exchanged: Exchanged,
    batch: Vec<Due>,
    relay: &str,
    success_report: SuccessReport,
    mut fates: Vec<(Due, Fate)>,
) -> Transacted {
    let mut again = Vec::new();
    let error = exchanged
        .error
        .unwrap_or_else(|| "the connection was lost".to_owned());
    for (due, verdict) in batch.into_iter().zip(exchanged.verdicts) {
        let fate = match verdict {
            Verdict::Taken(reply) => Fate::Delivered {
                attempt: success(&reply, relay),
                success: success_report,
            },
            Verdict::Refused(stage, reply) => Fate::Failed(Failure::refused(stage, &reply, relay)),
            Verdict::Lost(Stage::EndOfData) => Fate::Failed(Failure::lost(
                relay,
                format!("{error}; the host may have taken the message"),
            )),
            Verdict::Lost(_) => Fate::Failed(Failure::lost(relay, error.clone())),
            Verdict::NextTransaction => {
                again.push(due);
                continue;
            }
        };
        fates.push((due, fate));
    }
    Transacted { fates, again }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_over_before_the_retry_that_follows() {
        let retry = RetrySettings {
            intervals: vec![Duration::from_secs(2), Duration::from_secs(4)],
            ..RetrySettings::default()
        };
        let longest = Duration::from_secs(3);
        for (failures, expected_ms) in [(1, 1_700), (2, 3_000), (9, 3_000)] {
            assert_eq!(
                pause_after(failures, &retry, longest),
                Duration::from_millis(expected_ms)
            );
        }
    }
}
