//! Where mail comes from: fresh messages directly from reception, deferred ones from the database as they become due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern_events::{notice, shown};
use postern_mail::{Domain, Mailbox, QueueId, ReversePath};
use postern_policy::concurrency::Class;
use postern_policy::origin::Origin;
use postern_spool::{
    Change, DueWork, Event, Lease, Leased, Message, QueuedRecipient, SpoolError, Subscription,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::agenda::HORIZON;
use crate::core::{Asks, Core, forget, is_filtered};
use crate::destination::{Destination, SLOW_PERIOD};
use crate::settings::Settings;
use crate::ways;
use crate::work::{self, Due, Work};

/// Messages read for one domain at once.
const PAGE: usize = 200;

/// Most messages of one domain that a look skips because there is no room for their class, or in their destinations if those
/// depend on sender and login.
const PASSED_MAX: usize = 5_000;

/// For routes that do not depend on who a message is from.
const ANYBODY: Origin<'_> = Origin {
    sender: &ReversePath::Null,
    login: None,
    filtered: false,
    detour: None,
};

/// Nothing but the domain.
const BY_DOMAIN: Asks = Asks {
    origin: false,
    address: false,
};

/// Any address in a domain, for domains where all have the same route.
fn somebody(domain: &Domain) -> Option<Mailbox> {
    Mailbox::new("postmaster", domain.clone()).ok()
}

/// Domains looked at in one step of a scan.
const DOMAINS: usize = 256;

/// Shortest time between two scans of all domains with due mail. Times noted on the agenda do not wait for them.
const SCAN_EVERY: Duration = Duration::from_secs(30);

/// Limits the share of time spent scanning: the pause after a scan is this many times as long as it took.
const SCAN_SHARE: u32 = 20;

/// How long to wait when the spool cannot be read.
const SPOOL_PAUSE: Duration = Duration::from_secs(1);

/// How long a domain is not looked up again after a table of domains was down.
const LEARN_PAUSE: Duration = Duration::from_secs(5);

/// Most messages for which an administrator's request is handled one by one.
const FEW: usize = 32;

/// Hands over fresh messages and follows administrators' requests, until the end.
pub(crate) async fn listen(core: Arc<Core>, mut subscription: Subscription) {
    loop {
        let event = tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            event = subscription.recv() => event,
        };
        match event {
            Some(Event::Fresh(message)) => dispatch(&core, message),
            Some(Event::Backlog) => core.agenda.look_everywhere(),
            Some(Event::Changed(change)) => follow(&core, change),
            None => return,
        }
    }
}

/// Hands over a fresh message, as soon as it is known who hosts its domains.
fn dispatch(core: &Arc<Core>, message: Arc<Message>) {
    let unknown: Vec<Domain> = message
        .envelope
        .recipients
        .iter()
        .map(|recipient| recipient.address.domain())
        .filter(|domain| !core.deps.mailboxes.knows(domain))
        .cloned()
        .collect();
    if unknown.is_empty() {
        return core.dispatch(&message);
    }
    let core = core.clone();
    core.workers.clone().spawn(async move {
        for domain in &unknown {
            while !core.deps.mailboxes.learn(domain).await {
                tokio::select! {
                    biased;
                    // It is in the spool.
                    () = core.stop.cancelled() => return,
                    () = sleep(LEARN_PAUSE) => {}
                }
            }
        }
        core.dispatch(&message);
    });
}

fn follow(core: &Arc<Core>, change: Change) {
    match change {
        Change::Held(ids) | Change::Removed(ids) => forget(core, &ids),
        Change::Due(ids) if ids.len() <= FEW => {
            let core = core.clone();
            core.workers.clone().spawn(async move {
                for id in ids.iter() {
                    look_at(&core, *id).await;
                }
            });
        }
        Change::Due(_) => core.agenda.look_everywhere(),
        Change::Flushed(domain) => flush(core, domain.as_deref()),
    }
}

/// Ends pauses and looks for due mail of one domain, or of all.
pub(crate) fn flush(core: &Core, domain: Option<&str>) {
    let settings = core.deps.settings.load_full();
    match domain.map(|text| (text, Domain::parse(text, true))) {
        Some((_, Ok(domain))) if core.asks(&domain, &settings) != BY_DOMAIN => {
            // Any of them may have mail for it.
            for destination in core.destinations() {
                destination.end_pause();
            }
            core.agenda.look(domain.to_string().into());
        }
        Some((_, Ok(domain))) => {
            if let Some(somebody) = somebody(&domain) {
                core.destination(&somebody, &ANYBODY, &settings).end_pause();
            }
            core.agenda.look(domain.to_string().into());
        }
        Some((text, Err(_))) => core.agenda.look(text.into()),
        None => {
            for destination in core.destinations() {
                destination.end_pause();
            }
            core.agenda.look_everywhere();
        }
    }
}

/// Reads what is due of one message.
async fn look_at(core: &Core, id: QueueId) {
    if let Ok(Some(message)) = core.deps.spool.load(id).await {
        let mut domains: Vec<String> = message
            .envelope
            .recipients
            .iter()
            .map(|recipient| recipient.address.domain().to_string())
            .collect();
        domains.sort_unstable();
        domains.dedup();
        for domain in domains {
            flush(core, Some(&domain));
        }
    }
}

/// Reads due mail, until the end. Sleeps while there is none.
pub(crate) async fn read(core: Arc<Core>) {
    let mut reader = Reader {
        core: &core,
        scan: None,
        next_scan: Instant::now(),
    };
    tokio::select! {
        biased;
        () = core.stop.cancelled() => {}
        () = reader.run() => {}
    }
}

struct Reader<'a> {
    core: &'a Arc<Core>,
    /// The current scan.
    scan: Option<Scan>,
    next_scan: Instant,
}

struct Scan {
    after: Option<String>,
    began: Instant,
}

impl Reader<'_> {
    async fn run(&mut self) {
        loop {
            let domains = self.core.agenda.take_domains(self.core.now());
            for domains in domains.chunks(DOMAINS) {
                self.look(domains).await;
            }
            // The current scan is finished first: restarted at each request, it would never end.
            if self.scan.is_none() && (self.core.agenda.take_everywhere() || self.next_scan <= Instant::now())
            {
                self.scan = Some(Scan {
                    after: None,
                    began: Instant::now(),
                });
                self.next_scan = Instant::now() + SCAN_EVERY;
            }
            // One step at a time, so that neither scan nor timers have to wait for the other.
            if let Some(scan) = self.scan.take() {
                self.scan = self.step(scan).await;
            } else if domains.is_empty() {
                self.sleep().await;
            }
        }
    }

    async fn sleep(&self) {
        let now = self.core.now();
        let next = self.core.agenda.next_time().map(|time| {
            let wait = Duration::try_from(time.duration_since(now)).unwrap_or_default();
            Instant::now() + wait
        });
        let wake = next.map_or(self.next_scan, |next| next.min(self.next_scan));
        tokio::select! {
            () = sleep_until(wake) => {}
            () = self.core.agenda.changed() => {}
        }
    }

    /// Takes one step of a scan.
    async fn step(&mut self, scan: Scan) -> Option<Scan> {
        let now = self.core.now();
        let page = match self
            .core
            .deps
            .spool
            .due_domains(scan.after.as_deref(), now + HORIZON, DOMAINS)
            .await
        {
            Ok(page) => page,
            Err(error) => {
                let observers = &self.core.deps.observers;
                notice!(observers, Spool Warning "cannot read what is due", Error = shown(&error));
                sleep(SPOOL_PAUSE).await;
                return Some(scan);
            }
        };
        let mut due: Vec<Arc<str>> = Vec::new();
        for found in page.domains {
            let domain: Arc<str> = found.domain.into();
            if found.next_due <= now {
                due.push(domain);
            } else {
                self.core.agenda.at(now, found.next_due, &domain);
            }
        }
        self.look(&due).await;
        if page.resume.is_none() {
            self.next_scan = Instant::now() + SCAN_EVERY.max(scan.began.elapsed() * SCAN_SHARE);
        }
        page.resume.map(|after| Scan {
            after: Some(after),
            ..scan
        })
    }

    /// Reads due mail for these domains and hands it to their destinations.
    async fn look(&self, domains: &[Arc<str>]) {
        let settings = self.core.deps.settings.load_full();
        let mut batch = Batch::default();
        for domain in domains {
            let Ok(parsed) = Domain::parse(domain, true) else {
                notice!(
                    self.core.deps.observers,
                    Spool Error "the queue has mail for something that is not a domain",
                    Domain = &**domain,
                );
                continue;
            };
            if !self.core.deps.mailboxes.learn(&parsed).await {
                let now = self.core.now();
                self.core.agenda.at(now, now + SLOW_PERIOD, domain);
                continue;
            }
            self.look_for(domain, &parsed, &settings, &mut batch).await;
        }
        // Read under outdated settings: it stays due, and is read again under the new ones.
        if !Arc::ptr_eq(&settings, &self.core.deps.settings.load()) {
            drop(batch);
            return self.core.agenda.look_everywhere();
        }
        for (destination, work) in batch.works {
            // No room after all: it stays due, and is read when there is room.
            if let Err(work) = destination.offer(work, &settings.limits) {
                drop(work);
                self.core.agenda.look_everywhere();
            }
            self.core.staff(&destination, &settings);
        }
    }

    /// Due mail for a domain. Work for which there is no room now is skipped, so that it does not block other work.
    async fn look_for(
        &self,
        domain: &Arc<str>,
        parsed: &Domain,
        settings: &Arc<Settings>,
        batch: &mut Batch,
    ) {
        let now = self.core.now();
        // If only the domain decides, there is one destination, and it may be full or paused.
        let asks = self.core.asks(parsed, settings);
        let only = match asks {
            BY_DOMAIN => somebody(parsed).map(|one| self.core.destination(&one, &ANYBODY, settings)),
            _ => None,
        };
        let mut page = PAGE;
        if let Some(only) = &only {
            if only.allowance(now) == 0 {
                return self.core.agenda.at(now, now + SLOW_PERIOD, domain);
            }
            let most = Class::ALL.map(|class| self.room(only, class, settings, batch));
            page = page.min(most.into_iter().max().unwrap_or(0));
            if page == 0 {
                return only.note_backlog(domain);
            }
        }
        // The leases of skipped work are kept until the end of this look, so that it is not returned again.
        let mut passed: Vec<Lease> = Vec::new();
        let mut taken = 0;
        while taken == 0 && passed.len() < PASSED_MAX {
            let found = match self.lease(domain, now, page, only.is_none()).await {
                Ok(found) => found,
                Err(error) => {
                    notice!(
                        self.core.deps.observers,
                        Spool Warning "cannot read what is due",
                        Domain = &**domain,
                        Error = shown(&error),
                    );
                    return;
                }
            };
            if found.is_empty() {
                return;
            }
            if !settings.route_tables.is_empty() {
                let all = found.iter().flat_map(|(leased, _)| &leased.work.recipients);
                let due = all.filter(|queued| queued.due_at <= now);
                ways::learn(
                    due.map(|queued| queued.recipient.address.clone()).collect(),
                    settings,
                )
                .await;
            }
            for (Leased { work, lease }, sender) in found {
                let mut recipients = self.due_now(&work, domain, now);
                if recipients.is_empty() {
                    passed.push(lease);
                    continue;
                }
                if work.detour.is_some() {
                    self.core.note_detour();
                }
                let destination = match &only {
                    Some(only) if work.detour.is_none() => Some(only.clone()),
                    _ => {
                        let origin = Origin {
                            sender: sender.as_ref().unwrap_or(&ReversePath::Null),
                            login: work.login.as_deref(),
                            filtered: is_filtered(work.origin),
                            detour: work.detour.as_deref(),
                        };
                        self.way(&work, &mut recipients, &origin, settings)
                    }
                };
                let Some(destination) = destination else {
                    passed.push(lease);
                    continue;
                };
                let class = work.origin.class();
                if destination.allowance(now) == 0 {
                    self.core.agenda.at(now, now + SLOW_PERIOD, domain);
                    passed.push(lease);
                } else if self.room(&destination, class, settings, batch) == 0 {
                    destination.note_backlog(domain);
                    passed.push(lease);
                } else {
                    destination.note_read(1);
                    taken += 1;
                    // There may be more: only an empty result means the end.
                    destination.note_backlog(domain);
                    self.claim(Leased { work, lease }, recipients, &destination, batch);
                }
            }
            // Finding a page means going past all pages before it: growing pages keep the cost proportionate.
            page = (page * 2).max(PAGE);
        }
    }

    /// The destination of work in a domain that alone does not determine it. Of several, the first with room counts; recipients
    /// with another one are taken out, stay due, and are found when this part is settled.
    fn way(
        &self,
        work: &DueWork,
        recipients: &mut Vec<Due>,
        origin: &Origin<'_>,
        settings: &Arc<Settings>,
    ) -> Option<Arc<Destination>> {
        let mut groups: Vec<(Arc<Destination>, Vec<Due>)> = Vec::with_capacity(1);
        for due in recipients.drain(..) {
            let of_index = |queued: &&QueuedRecipient| queued.index == due.index;
            let Some(queued) = work.recipients.iter().find(of_index) else {
                continue;
            };
            let destination = self.core.destination(&queued.recipient.address, origin, settings);
            match groups
                .iter_mut()
                .find(|(other, _)| Arc::ptr_eq(other, &destination))
            {
                Some((_, group)) => group.push(due),
                None => groups.push((destination, vec![due])),
            }
        }
        let now = self.core.now();
        let open = groups
            .iter()
            .position(|(destination, _)| destination.allowance(now) > 0);
        let (destination, group) = groups.into_iter().nth(open.unwrap_or(0))?;
        *recipients = group;
        Some(destination)
    }

    /// How much more of a class may be read for a destination now.
    fn room(
        &self,
        destination: &Arc<Destination>,
        class: Class,
        settings: &Settings,
        batch: &Batch,
    ) -> usize {
        let proven = destination.hop.is_local() || self.core.places.is_proven(class, destination);
        // The less room there is in all, the less one destination gets, so that slow ones cannot fill it.
        let in_all = self.core.claims.room(class, proven).div_ceil(8);
        if in_all == 0 {
            self.core.note_starved(class, proven);
        }
        let own = destination.room(&settings.limits)[class.index()];
        own.min(in_all)
            .saturating_sub(batch.count_for(destination, class))
    }

    /// Leases due mail for a domain, with its senders if they are needed.
    async fn lease(
        &self,
        domain: &str,
        now: Timestamp,
        page: usize,
        with_senders: bool,
    ) -> Result<Vec<(Leased, Option<ReversePath>)>, SpoolError> {
        let spool = &self.core.deps.spool;
        let found = spool.lease(domain, now + HORIZON, page).await?;
        let mut senders: HashMap<QueueId, ReversePath> = HashMap::new();
        if with_senders {
            let origins = spool
                .origins(found.iter().map(|leased| leased.work.id).collect())
                .await?;
            senders.extend(origins.into_iter().map(|origin| (origin.id, origin.sender)));
        }
        Ok(found
            .into_iter()
            .map(|leased| {
                let sender = senders.remove(&leased.work.id);
                (leased, sender)
            })
            .collect())
    }

    /// The recipients that are due; the others are noted on the agenda.
    fn due_now(&self, work: &DueWork, domain: &Arc<str>, now: Timestamp) -> Vec<Due> {
        let (due, later): (Vec<_>, Vec<_>) = work
            .recipients
            .iter()
            .partition(|recipient| recipient.due_at <= now);
        for recipient in later {
            self.core.agenda.at(now, recipient.due_at, domain);
        }
        due.into_iter().map(Due::from).collect()
    }

    /// Adds work to the batch.
    fn claim(
        &self,
        Leased { work, lease }: Leased,
        recipients: Vec<Due>,
        destination: &Arc<Destination>,
        batch: &mut Batch,
    ) {
        let class = work.origin.class();
        let proven = destination.hop.is_local() || self.core.places.is_proven(class, destination);
        let work = Work {
            id: work.id,
            queued_at: work.queued_at,
            message: None,
            recipients,
            class,
            submitter: work::submitter(work.login.as_deref()),
            claims: vec![self.core.claims.take(lease, class, proven)],
        };
        batch.add(destination, work);
    }
}

/// Work read for several domains; that of one message for the same destination is merged.
#[derive(Default)]
struct Batch {
    works: Vec<(Arc<Destination>, Work)>,
    /// Keyed by the destination's address in memory, which is stable while `works` holds it.
    places: HashMap<(usize, QueueId), usize>,
    counts: HashMap<(usize, Class), usize>,
}

impl Batch {
    fn add(&mut self, destination: &Arc<Destination>, work: Work) {
        let address = address(destination);
        if let Some(place) = self.places.get(&(address, work.id)) {
            let before = &mut self.works[*place].1;
            before.recipients.extend(work.recipients);
            before.claims.extend(work.claims);
            return;
        }
        self.places.insert((address, work.id), self.works.len());
        *self.counts.entry((address, work.class)).or_default() += 1;
        self.works.push((destination.clone(), work));
    }

    fn count_for(&self, destination: &Arc<Destination>, class: Class) -> usize {
        let key = (address(destination), class);
        self.counts.get(&key).copied().unwrap_or(0)
    }
}

fn address(destination: &Arc<Destination>) -> usize {
    Arc::as_ptr(destination).addr()
}
