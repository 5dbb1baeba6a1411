//! What all parts of delivery share: destinations, limits, and the recording of outcomes in the spool.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use postern_events::{notice, shown};
use postern_mail::{Domain, Mailbox, QueueId};
use postern_policy::concurrency::Class;
use postern_policy::origin;
use postern_spool::{Message, NewMessage, Origin, Outcome, RecipientOutcome, Settlement};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Deps;
use crate::agenda::Agenda;
use crate::claims::{Claim, Claims};
use crate::destination::Destination;
use crate::gather::{Gather, Gathered};
use crate::hop::NextHop;
use crate::in_line::InLine;
use crate::outcome::{self, Fate, Notice, Times};
use crate::places::Places;
use crate::post::Post;
use crate::quirks::Quirks;
use crate::relay::Relay;
use crate::report::{self, Note};
use crate::settings::Settings;
use crate::storage::Storage;
use crate::telling::Telling;
use crate::ways;
use crate::work::{self, Due, Work};

/// Most domains whose destination is remembered, and most idle destinations kept.
const KNOWN_MAX: usize = 20_000;

/// How long a destination without mail is kept in the listing.
const QUIET: Duration = Duration::from_secs(600);

/// What a worker does from start to end; see `worker::run`. The core starts workers without knowing what they do.
pub(crate) type Labour = fn(Arc<Core>, Arc<Destination>, Post) -> Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Core {
    labour: Labour,
    pub(crate) deps: Deps,
    pub(crate) agenda: Arc<Agenda>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) quirks: Quirks,
    gather: Gather<Part>,
    registry: Mutex<Registry>,
    pub(crate) places: Arc<Places>,
    pub(crate) storage: Storage,
    /// For each class, and for hosts that accepted mail recently and others, whether due mail was left in the spool because
    /// memory was full.
    starved: [[AtomicBool; 2]; 3],
    /// Whether there was a message with a route of its own: from then on the domain alone never decides.
    detours: AtomicBool,
    /// Cancelled: no new work.
    pub(crate) stop: CancellationToken,
    /// Cancelled: stop waiting for attempts.
    pub(crate) kill: CancellationToken,
    pub(crate) workers: TaskTracker,
    pub(crate) settling: TaskTracker,
}

/// Destinations by name, and by the domains that lead to them.
#[derive(Default)]
struct Registry {
    by_name: HashMap<String, Arc<Destination>>,
    by_domain: HashMap<Box<str>, Arc<Destination>>,
    /// The settings for which `by_domain` is valid.
    settings: Option<Arc<Settings>>,
    /// Whether routes also depend on sender and login.
    asks_origin: bool,
    /// Domains in which routes depend on the whole address.
    address_domains: HashSet<Box<str>>,
    /// The number of names from which the next search for unused ones is worthwhile.
    next_clearance: usize,
}

impl Registry {
    /// Whether the route depends on the whole address in a domain.
    fn asks_address(&self, domain: &Domain, text: &str, settings: &Settings) -> bool {
        self.address_domains.contains(text)
            || settings.routes.asks_tables()
            || settings.system.is_some() && settings.routes.is_by_user(domain)
    }

    /// Keeps strangers from filling it with names: if there are too many, idle ones are dropped first.
    fn make_room(&mut self, now: Timestamp) {
        if self.by_name.len() < self.next_clearance.max(KNOWN_MAX) {
            return;
        }
        self.by_domain.clear();
        self.forget_disused(now, Duration::ZERO);
        if self.by_name.len() >= KNOWN_MAX {
            // Pauses are lost too, which only costs one attempt each.
            self.by_name
                .retain(|_, destination| Arc::strong_count(destination) > 1 || !destination.is_empty());
        }
        // Searched again when it has grown by half, so that the amortised cost per name is small.
        self.next_clearance = self.by_name.len() + self.by_name.len() / 2;
    }

    /// Forgets what has not been used for this long.
    fn forget_disused(&mut self, now: Timestamp, quiet: Duration) {
        // With a count of one, only the registry holds it, and nobody can get it while the registry is locked.
        self.by_name.retain(|_, destination| {
            Arc::strong_count(destination) > 1 || !destination.is_disused(now, quiet)
        });
    }
}

impl Core {
    pub(crate) fn new(deps: Deps, labour: Labour) -> Arc<Self> {
        let settings = deps.settings.load();
        let places = Places::new(settings.limits.connections, settings.timeouts.crowded);
        let claims = Claims::new(settings.limits.waiting);
        drop(settings);
        Arc::new(Self {
            labour,
            deps,
            agenda: Arc::default(),
            claims,
            quirks: Quirks::default(),
            gather: Gather::default(),
            registry: Mutex::default(),
            places,
            storage: Storage::default(),
            starved: Default::default(),
            detours: AtomicBool::new(false),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            workers: TaskTracker::new(),
            settling: TaskTracker::new(),
        })
    }

    /// The time for waits and ages; see [`Spool::now`](postern_spool::Spool::now).
    pub(crate) fn now(&self) -> Timestamp {
        self.deps.spool.now()
    }

    /// A notice with its time in system time, for people.
    pub(crate) fn shown(&self, notice: Notice) -> Notice {
        match notice {
            Notice::Delayed { until } => Notice::Delayed {
                until: self.deps.spool.shown_time(until),
            },
            notice => notice,
        }
    }

    /// Tells the spool the current wait times.
    pub(crate) fn announce_waits(&self) {
        let settings = self.deps.settings.load();
        let longest = settings.retry.intervals.iter().max().copied().unwrap_or_default();
        self.deps
            .spool
            .expect_waits(longest.max(settings.limits.dead_pause_max));
    }

    /// The destination of mail for `recipient` from `origin`.
    pub(crate) fn destination(
        &self,
        recipient: &Mailbox,
        origin: &origin::Origin<'_>,
        settings: &Arc<Settings>,
    ) -> Arc<Destination> {
        let text = domain_text(recipient.domain());
        let registry = self.registry(settings);
        let by_domain = origin.detour.is_none()
            && !registry.asks_origin
            && !registry.asks_address(recipient.domain(), &text, settings);
        if by_domain && let Some(known) = registry.by_domain.get(&*text) {
            return known.clone();
        }
        // Many rules take a while, and everything needs the registry.
        drop(registry);
        let hop = NextHop::find(recipient, origin, &settings.routes, settings.mx_port);
        let name = hop.name();
        let mut registry = self.registry(settings);
        registry.make_room(self.now());
        let destination = registry
            .by_name
            .entry(name)
            .or_insert_with_key(|name| Arc::new(Destination::new(name.clone(), hop)))
            .clone();
        if by_domain {
            registry.by_domain.insert(text.into(), destination.clone());
        }
        destination
    }

    /// What the destination of mail for one domain may depend on.
    pub(crate) fn asks(&self, domain: &Domain, settings: &Arc<Settings>) -> Asks {
        let registry = self.registry(settings);
        Asks {
            origin: registry.asks_origin || self.detours.load(Ordering::Relaxed),
            address: registry.asks_address(domain, &domain_text(domain), settings),
        }
    }

    /// Notes that there are messages with a route of their own.
    pub(crate) fn note_detour(&self) {
        self.detours.store(true, Ordering::Relaxed);
    }

    /// The registry, without entries from other settings.
    fn registry(&self, settings: &Arc<Settings>) -> MutexGuard<'_, Registry> {
        let mut registry = self.registry.lock();
        let same = registry
            .settings
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, settings));
        if !same {
            registry.asks_origin = settings.routes.asks_origin();
            registry.address_domains = settings.routes.domains_of_addresses();
            registry.settings = Some(settings.clone());
        }
        if !same || registry.by_domain.len() >= KNOWN_MAX {
            registry.by_domain.clear();
        }
        registry
    }

    /// All destinations, by name.
    pub(crate) fn destinations(&self) -> Vec<Arc<Destination>> {
        let mut all: Vec<_> = self.registry.lock().by_name.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Forgets destinations that have not been used for long, and follows changed limits.
    pub(crate) fn tidy(&self) {
        let now = self.now();
        let mut registry = self.registry.lock();
        registry.forget_disused(now, QUIET);
        drop(registry);
        self.gather.tidy();
        self.follow_settings();
    }

    /// Applies the limits of new settings.
    fn follow_settings(&self) {
        let settings = self.deps.settings.load();
        self.places
            .follow(settings.limits.connections, settings.timeouts.crowded);
        self.claims.follow(settings.limits.waiting);
    }

    /// Hands a message that was just put to the destinations of its recipients.
    pub(crate) fn dispatch(self: &Arc<Self>, message: &Arc<Message>) {
        self.gather.expect(message.id, message.envelope.recipients.len());
        self.hand_out(message, (0..message.envelope.recipients.len()).map(Due::fresh));
    }

    /// Hands these recipients of a fresh message to their destinations.
    pub(crate) fn hand_out(self: &Arc<Self>, message: &Arc<Message>, dues: impl IntoIterator<Item = Due>) {
        if message.detour.is_some() {
            self.note_detour();
        }
        let settings = self.deps.settings.load_full();
        if settings.route_tables.is_empty() {
            return self.hand_out_known(message, dues, &settings);
        }
        let dues: Vec<Due> = dues.into_iter().collect();
        match ways::are_known(ways::addresses(message, &dues), &settings) {
            true => self.hand_out_known(message, dues, &settings),
            false => self.learn_and_hand_out(message, dues),
        }
    }

    /// Asks the tables of routes about recipients of a fresh message, then hands them to their destinations.
    fn learn_and_hand_out(self: &Arc<Self>, message: &Arc<Message>, dues: Vec<Due>) {
        let (core, message) = (self.clone(), message.clone());
        self.workers.spawn(async move {
            loop {
                let settings = core.deps.settings.load_full();
                let recipients = ways::addresses(&message, &dues).cloned().collect();
                tokio::select! {
                    biased;
                    // It is in the spool.
                    () = core.stop.cancelled() => return,
                    () = ways::learn(recipients, &settings) => {}
                }
                // Other settings have other tables.
                if Arc::ptr_eq(&settings, &core.deps.settings.load()) {
                    return core.hand_out_known(&message, dues, &settings);
                }
            }
        });
    }

    /// The same, once the tables of routes have been asked.
    pub(crate) fn hand_out_known(
        self: &Arc<Self>,
        message: &Arc<Message>,
        dues: impl IntoIterator<Item = Due>,
        settings: &Arc<Settings>,
    ) {
        let mut groups: Vec<(Arc<Destination>, Vec<Due>)> = Vec::with_capacity(1);
        for due in dues {
            let Some(recipient) = message.envelope.recipients.get(due.index as usize) else {
                continue;
            };
            let destination = self.destination(&recipient.address, &from(message), settings);
            match groups
                .iter_mut()
                .find(|(other, _)| Arc::ptr_eq(other, &destination))
            {
                Some((_, recipients)) => recipients.push(due),
                None => groups.push((destination, vec![due])),
            }
        }
        for (destination, recipients) in groups {
            let work = Work {
                id: message.id,
                queued_at: message.queued_at,
                message: Some(message.clone()),
                recipients,
                class: message.origin.class(),
                submitter: work::submitter(message.login.as_deref()),
                claims: Vec::new(),
            };
            match destination.offer(work, &settings.limits) {
                Ok(()) => self.staff(&destination, settings),
                Err(work) => self.leave_to_spool(&destination, message, work),
            }
        }
    }

    /// Moves all waiting mail to the destinations chosen by new settings, and retries where a pause may no longer be justified.
    pub(crate) fn reroute(self: &Arc<Self>) {
        self.announce_waits();
        self.follow_settings();
        for destination in self.destinations() {
            destination.end_pause();
            // What was read from the spool is still due there.
            for work in destination.drain() {
                if let Some(message) = work.message {
                    self.hand_out(&message, work.recipients);
                }
            }
        }
        self.agenda.look_everywhere();
    }

    /// Starts workers for what waits, as far as the limits allow.
    pub(crate) fn staff(self: &Arc<Self>, destination: &Arc<Destination>, settings: &Settings) {
        for class in destination.short_of(&settings.limits) {
            let room = || self.places.room(class, destination);
            while !self.stop.is_cancelled() && destination.wants(class, &settings.limits, room()) {
                let Some(seat) = self.places.take(class, destination) else {
                    if let Some(in_line) = InLine::stand(destination, class) {
                        self.places.line_up(in_line);
                    }
                    break;
                };
                // Another task may have been quicker.
                let Some(post) = Post::take_up(destination, seat, &settings.limits, room()) else {
                    break;
                };
                self.start_worker(post, destination.clone());
            }
        }
    }

    /// Starts a worker that its destination counts.
    pub(crate) fn start_worker(self: &Arc<Self>, post: Post, destination: Arc<Destination>) {
        self.workers.spawn((self.labour)(self.clone(), destination, post));
    }

    /// Reads more from the spool if a destination runs short while there is more.
    pub(crate) fn replenish(&self, destination: &Destination) {
        if let Some(shortage) = destination.shortage() {
            for domain in shortage.domains {
                self.agenda.look(domain);
            }
            if shortage.everywhere {
                self.agenda.look_everywhere();
            }
        }
    }

    /// Notes that memory was too full to read due mail of a class; when half of its share is free again, the spool is read.
    pub(crate) fn note_starved(&self, class: Class, proven: bool) {
        self.starved[class.index()][usize::from(proven)].store(true, Ordering::Relaxed);
    }

    fn feed_again(&self) {
        for class in Class::ALL {
            for proven in [false, true] {
                let starved = &self.starved[class.index()][usize::from(proven)];
                if starved.load(Ordering::Relaxed)
                    && self.claims.is_half_empty(class, proven)
                    && starved.swap(false, Ordering::Relaxed)
                {
                    self.agenda.look_everywhere();
                }
            }
        }
    }

    /// There is no room for a fresh message: it is tried later, from the spool.
    fn leave_to_spool(self: &Arc<Self>, destination: &Arc<Destination>, message: &Arc<Message>, work: Work) {
        let all = message.envelope.recipients.len();
        let gathered = self
            .gather
            .concluded(message.id, work.recipients.len(), all, None);
        self.follow(message.id, gathered);
        let outcomes = work
            .recipients
            .iter()
            .map(|due| RecipientOutcome {
                index: due.index,
                // When it arrived, so that the oldest is read back first.
                outcome: Outcome::Deferred {
                    until: work.queued_at,
                    attempt: None,
                    warned: false,
                },
            })
            .collect();
        let settlement = Settlement {
            id: work.id,
            at: Timestamp::now(),
            outcomes,
            reports: Vec::new(),
        };
        let mut domains: Vec<Arc<str>> = work
            .recipients
            .iter()
            .filter_map(|due| domain_of(message, due))
            .collect();
        domains.sort_unstable();
        domains.dedup();
        for domain in &domains {
            destination.note_backlog(domain);
        }
        let (core, destination) = (self.clone(), destination.clone());
        self.settling.spawn(async move {
            if let Err(error) = core.deps.spool.settle(settlement).await {
                tracing::debug!(target: "postern::spool", queue = %work.id, %error, "not settled");
            }
            drop(work);
            for domain in &domains {
                destination.note_backlog(domain);
            }
            core.replenish(&destination);
        });
    }

    /// Decides, logs, reports and records the outcomes of recipients of one message. What must be reported is held back briefly
    /// for other outcomes of the message.
    pub(crate) fn conclude(self: &Arc<Self>, settings: &Settings, conclusion: Conclusion) {
        let Conclusion {
            message,
            fates,
            not_before,
            public,
            held,
            sent_on,
        } = conclusion;
        // Waits and ages use queue time, which cannot be set; people are shown system time.
        let now = self.now();
        let wall = Timestamp::now();
        let count = fates.len();
        let mut silent = Part::new(message.clone(), wall);
        let mut reported = Part::new(message.clone(), wall);
        for (due, fate) in fates {
            let Some(recipient) = message.envelope.recipients.get(due.index as usize) else {
                continue;
            };
            let (relay, replied) = match &fate {
                Fate::Failed(failure) => (failure.relay.clone(), failure.is_reply()),
                // Where mail is stored on this machine is not disclosed.
                Fate::Delivered { relay, .. } => (relay.clone(), public),
            };
            let words_of_peer = match &fate {
                Fate::Failed(failure) => failure.is_reply(),
                Fate::Delivered { relay, .. } => {
                    !matches!(relay, Relay::Maildir | Relay::System | Relay::Nowhere)
                }
            };
            let times = Times {
                queued_at: message.queued_at,
                now,
                not_before,
                jitter: jitter(message.id, due.attempts),
            };
            // A report's `NOTIFY=NEVER` is meant for other servers: double bounces are still reported here if configured.
            let notify = match message.origin {
                Origin::Report => postern_mail::Notify::Unspecified,
                _ => recipient.notify,
            };
            let decision = outcome::decide(fate, &due, notify, &times, &settings.retry);
            let telling = Telling {
                attempts: due.attempts,
                replied: words_of_peer,
                now,
            };
            let note = decision
                .notice
                .map(|notice| self.shown(notice))
                .and_then(|notice| note(due.index, notice, &decision.outcome, relay, replied, public));
            let outcome = RecipientOutcome {
                index: due.index,
                outcome: decision.outcome,
            };
            let part = if note.is_some() {
                // It is logged with the report.
                reported.tellings.push(telling);
                &mut reported
            } else {
                telling.tell(&self.deps, &message, &outcome, None);
                &mut silent
            };
            if let Outcome::Deferred { until, .. } = &outcome.outcome {
                part.timers
                    .extend(domain_of(&message, &due).map(|domain| (*until, domain)));
            }
            part.notes.extend(note);
            part.outcomes.push(outcome);
        }
        // Only what is being written counts as unsettled.
        reported.held = Held {
            claims: held.claims.clone(),
            unsettled: None,
            look_again: held.look_again.clone(),
        };
        silent.held = held;
        // In one transaction with an outcome that they belong to.
        match silent.outcomes.is_empty() {
            false => silent.sent_on = sent_on,
            true => reported.sent_on = sent_on,
        }
        if !silent.outcomes.is_empty() {
            self.settle(silent, Vec::new());
        }
        let part = (!reported.outcomes.is_empty()).then_some(reported);
        let all = message.envelope.recipients.len();
        let gathered = self.gather.concluded(message.id, count, all, part);
        self.follow(message.id, gathered);
    }

    /// Reports what must be reported now, or waits for more of it. When delivery stops, nothing waits.
    fn follow(self: &Arc<Self>, id: QueueId, gathered: Gathered<Part>) {
        let wait = match gathered {
            Gathered::Now(parts) => return self.report(parts),
            Gathered::Later => return,
            Gathered::After(wait) => wait,
        };
        let core = self.clone();
        self.settling.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = core.stop.cancelled() => {}
            }
            core.report(core.gather.take(id));
        });
    }

    /// Makes the reports of one message, and logs and records the outcomes that they are about.
    fn report(self: &Arc<Self>, parts: Vec<Part>) {
        let mut parts = parts.into_iter();
        let Some(mut part) = parts.next() else { return };
        for other in parts {
            part.join(other);
        }
        let core = self.clone();
        self.settling.spawn(async move {
            let settings = core.deps.settings.load_full();
            let made = report::make(&core.deps, &settings, &part.message, &part.notes, part.at).await;
            for (telling, outcome) in part.tellings.iter().zip(&part.outcomes) {
                telling.tell(&core.deps, &part.message, outcome, made.about(outcome.index));
            }
            core.settle(part, made.messages);
        });
    }

    fn settle(self: &Arc<Self>, part: Part, mut reports: Vec<NewMessage>) {
        let Part {
            message,
            at,
            outcomes,
            timers,
            held,
            further,
            sent_on,
            ..
        } = part;
        reports.extend(sent_on);
        let settlement = Settlement {
            id: message.id,
            at,
            outcomes,
            reports,
        };
        let core = self.clone();
        self.settling.spawn(async move {
            let id = settlement.id;
            match core.deps.spool.settle(settlement).await {
                Ok(settled) => {
                    for duplicate in settled.duplicates {
                        let first = duplicate.first.map(|first| format!("{first:?}").to_lowercase());
                        notice!(
                            core.deps.observers,
                            Outcome Info "settled before",
                            Queue = shown(&id),
                            Index = duplicate.index,
                            First = first,
                        );
                    }
                }
                Err(error) => {
                    let observers = &core.deps.observers;
                    notice!(observers, Spool Warning "not settled, it will be tried again", Queue = shown(&id), Error = shown(&error));
                }
            }
            // Dropping both tells the spool, which must not happen before it has the outcomes.
            let Held { claims, unsettled, look_again } = held;
            drop((claims, further, message, unsettled));
            let now = core.now();
            for (until, domain) in timers {
                core.agenda.at(now, until, &domain);
            }
            for domain in look_again {
                core.agenda.look(domain);
            }
            core.feed_again();
        });
    }
}

/// Outcomes of one message that are recorded together.
struct Part {
    message: Arc<Message>,
    at: Timestamp,
    outcomes: Vec<RecipientOutcome>,
    /// The log events of the outcomes; empty if already logged.
    tellings: Vec<Telling>,
    /// What a report says about them.
    notes: Vec<Note>,
    /// When to look at which domain again.
    timers: Vec<(Timestamp, Arc<str>)>,
    held: Held,
    /// Claims of parts that were merged.
    further: Vec<Arc<Vec<Claim>>>,
    /// Messages that are queued with the outcomes.
    sent_on: Vec<NewMessage>,
}

impl Part {
    fn new(message: Arc<Message>, at: Timestamp) -> Self {
        Self {
            message,
            at,
            outcomes: Vec::new(),
            tellings: Vec::new(),
            notes: Vec::new(),
            timers: Vec::new(),
            held: Held::default(),
            further: Vec::new(),
            sent_on: Vec::new(),
        }
    }

    fn join(&mut self, other: Self) {
        self.at = self.at.max(other.at);
        self.outcomes.extend(other.outcomes);
        self.tellings.extend(other.tellings);
        self.notes.extend(other.notes);
        self.timers.extend(other.timers);
        self.held.look_again.extend(other.held.look_again);
        self.further.push(other.held.claims);
        self.further.extend(other.further);
        self.sent_on.extend(other.sent_on);
    }
}

/// A number from 0 to 1 that differs between messages and attempts, but is the same for all recipients of a message: they stay
/// together to the end, and share its report.
fn jitter(id: QueueId, attempts: u32) -> f64 {
    let mut bits = id.as_i64().unsigned_abs() ^ (u64::from(attempts) << 56);
    for factor in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        bits = (bits ^ (bits >> 30)).wrapping_mul(factor);
    }
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}

/// The outcomes of recipients of one message.
pub(crate) struct Conclusion {
    pub(crate) message: Arc<Message>,
    pub(crate) fates: Vec<(Due, Fate)>,
    /// No further attempt before this.
    pub(crate) not_before: Option<Timestamp>,
    /// Whether the hosts of this route are public in DNS; details about others are not disclosed.
    pub(crate) public: bool,
    pub(crate) held: Held,
    /// Messages for others that replace what was concluded: queued with it, all or nothing.
    pub(crate) sent_on: Vec<NewMessage>,
}

/// What is released when the outcomes are on stable storage.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) claims: Arc<Vec<Claim>>,
    pub(crate) unsettled: Option<OwnedSemaphorePermit>,
    /// Domains that may have come due while the message was claimed.
    pub(crate) look_again: Vec<Arc<str>>,
}

/// What a route may depend on besides the domain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Asks {
    /// Sender, login, and whether the after-queue filter has seen the mail.
    pub(crate) origin: bool,
    /// The whole address of the recipient.
    pub(crate) address: bool,
}

/// Who a message is from.
pub(crate) fn from(message: &Message) -> origin::Origin<'_> {
    origin::Origin {
        sender: &message.envelope.sender,
        login: message.login.as_deref(),
        filtered: is_filtered(message.origin),
        detour: message.detour.as_deref(),
    }
}

/// Whether mail of this origin need not go to the after-queue filter: it has been there, or is this server's own.
pub(crate) fn is_filtered(origin: Origin) -> bool {
    matches!(origin, Origin::Filtered | Origin::Report)
}

/// A domain as text, as in the spool.
fn domain_text(domain: &Domain) -> Cow<'_, str> {
    match domain {
        Domain::Name(name) => Cow::Borrowed(name),
        literal @ Domain::Literal(_) => Cow::Owned(literal.to_string()),
    }
}

pub(crate) fn domain_of(message: &Message, due: &Due) -> Option<Arc<str>> {
    let recipient = message.envelope.recipients.get(due.index as usize)?;
    Some(domain_text(recipient.address.domain()).into())
}

/// Domains of a claimed message of which the work did not have all recipients: the others may have become due meanwhile.
pub(crate) fn look_again(message: &Message, recipients: &[Due]) -> Vec<Arc<str>> {
    let all = &message.envelope.recipients;
    if all.len() == recipients.len() {
        return Vec::new();
    }
    let mut left_out = vec![true; all.len()];
    for due in recipients {
        if let Some(mark) = left_out.get_mut(due.index as usize) {
            *mark = false;
        }
    }
    let domains = |wanted: bool| -> BTreeSet<Cow<'_, str>> {
        let chosen = all.iter().zip(&left_out).filter(|(_, mark)| **mark == wanted);
        chosen
            .map(|(recipient, _)| domain_text(recipient.address.domain()))
            .collect()
    };
    domains(false)
        .intersection(&domains(true))
        .map(|domain| Arc::from(&**domain))
        .collect()
}

pub(crate) fn note(
    index: u32,
    notice: Notice,
    outcome: &Outcome,
    relay: Relay,
    replied: bool,
    public: bool,
) -> Option<Note> {
    let (attempt, expired) = match outcome {
        Outcome::Delivered(attempt) | Outcome::Bounced(attempt) => (attempt, false),
        Outcome::Expired(attempt) => (attempt, true),
        Outcome::Deferred {
            attempt: Some(attempt),
            ..
        } => (attempt, false),
        Outcome::Deferred { attempt: None, .. } | Outcome::Removed { .. } => return None,
    };
    Some(Note {
        index,
        notice,
        status: attempt.status?,
        relay,
        text: attempt.reply.clone(),
        replied,
        public,
        expired,
    })
}

/// Forgets these messages everywhere.
pub(crate) fn forget(core: &Core, ids: &[QueueId]) {
    for destination in core.destinations() {
        destination.forget(ids);
    }
}
