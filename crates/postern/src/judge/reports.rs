//! Aggregate reports of DMARC: counted as messages are judged, saved in the store, sent after their day has
//! ended.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use postern_events::{Observers, notice, shown};
use postern_mail::{BodyKind, Envelope, Mailbox, Notify, Recipient, ReversePath};
use postern_net::resolver::Resolver;
use postern_seal::judge::Judgement;
use postern_seal::judge::report::{Day, Gathered, Permission, Report, Reporter, Tally, may_receive, message};
use postern_spool::{Assembly, Inspectors, Origin, Parts, Spool};
use postern_store::{Change, Record, Space, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::dns::Bounded;
use super::verdict::Verdict;

/// How often counts are saved, and ended days looked for. A crash loses at most this much.
const INTERVAL: Duration = Duration::from_secs(60);

/// Most reports made at once: a day ends for all domains together.
const REPORTS_AT_ONCE: usize = 50;

/// Time limits for one query for a report, and for all of them.
const LOOKUP_TIME: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(60));

/// How long counts are kept while they cannot be sent.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The counts for reports.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<Gathered>);

impl Reports {
    /// Counts a message.
    pub(super) fn count(&self, judgement: &Judgement, peer: IpAddr, verdict: &Verdict) {
        let vouched = verdict.results.vouched;
        self.0
            .lock()
            .count(judgement, peer, verdict.action, vouched, today());
    }

    /// Restores the counts from before a restart.
    async fn restore(&self, store: &dyn Store) -> Result<(), StoreError> {
        for record in store.all(Space::DmarcReports).await? {
            // Data in an earlier version's format counts as forgotten.
            if let Ok(tally) = serde_json::from_str(&record.value) {
                self.0.lock().restore(tally);
            }
        }
        Ok(())
    }

    async fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        let changed = self.0.lock().take_changed();
        let expires_at = Timestamp::now().checked_add(KEPT).ok();
        let changes: Vec<Change> = changed
            .iter()
            .filter_map(|tally| {
                let value = serde_json::to_string(tally).ok()?;
                Some(Change::Put(Record {
                    key: tally.key(),
                    value,
                    expires_at,
                }))
            })
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        store.apply(Space::DmarcReports, changes).await
    }
}

/// Days since 1970, in UTC.
fn today() -> Day {
    Timestamp::now().as_second().div_euclid(24 * 3_600)
}

/// How reports are sent.
pub(crate) struct Outlet {
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) inspectors: Arc<ArcSwap<Inspectors>>,
    pub(crate) resolver: Resolver,
    pub(crate) observers: Observers,
    /// The reporting organisation, if reports are sent.
    pub(crate) reporter: Arc<ArcSwap<Option<Reporter>>>,
}

/// Saves and sends the counts until `shutdown`.
pub(crate) async fn keep(
    reports: Arc<Reports>,
    store: impl Store,
    outlet: Outlet,
    shutdown: CancellationToken,
) {
    if let Err(error) = reports.restore(&store).await {
        notice!(
            outlet.observers,
            Run Warning "the counts for DMARC reports cannot be read",
            Reason = shown(&error),
        );
    }
    let mut ended = false;
    loop {
        let kept = reports.write(&store).await;
        let sent = match kept {
            Ok(()) if !ended => outlet.send_ended(&reports, &store).await,
            kept => kept,
        };
        if let Err(error) = sent {
            notice!(
                outlet.observers,
                Run Warning "the counts for DMARC reports are not written",
                Reason = shown(&error),
            );
        }
        if ended {
            return;
        }
        ended = tokio::select! {
            () = shutdown.cancelled() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
    }
}

impl Outlet {
    /// Sends reports of days that have ended. Each is forgotten once it is in the queue.
    async fn send_ended(&self, reports: &Reports, store: &dyn Store) -> Result<(), StoreError> {
        let ended = reports.0.lock().take_ended(today(), REPORTS_AT_ONCE);
        let reporter = self.reporter.load_full();
        for tally in ended {
            if let Some(reporter) = &*reporter {
                self.send(&tally, reporter).await;
            }
            store
                .apply(Space::DmarcReports, vec![Change::Remove(tally.key())])
                .await?;
        }
        Ok(())
    }

    async fn send(&self, tally: &Tally, reporter: &Reporter) {
        let report = Report::new(tally, reporter);
        let (each, all) = LOOKUP_TIME;
        let dns = Bounded::new(self.resolver.clone(), each, all);
        let size = report.compressed.len() as u64;
        let mut served = HashSet::new();
        for (named, size_max) in &tally.policy.reports {
            let Ok(named) = named.parse::<Mailbox>() else {
                continue;
            };
            let host = named.domain().name().unwrap_or_default();
            let wanted = match may_receive(&dns, &tally.policy.domain, host).await {
                Ok(Permission::Granted) => vec![(named, *size_max)],
                Ok(Permission::Instead(uris)) => uris.into_iter().map(|uri| (uri.to, uri.size_max)).collect(),
                Ok(Permission::Refused) => {
                    let reason = "they do not say that they want it (RFC 7489 section 7.1)";
                    self.tell_not_sent(tally, &named, &reason);
                    continue;
                }
                Err(reason) => {
                    self.tell_not_sent(tally, &named, &reason);
                    continue;
                }
            };
            for (to, size_max) in wanted {
                if size_max.is_some_and(|most| size > most) {
                    self.tell_not_sent(tally, &to, &"it is larger than they take");
                } else if served.insert(to.key()) {
                    self.queue(tally, &report, reporter, to).await;
                }
            }
        }
    }

    fn tell_not_sent(&self, tally: &Tally, to: &Mailbox, reason: &dyn std::fmt::Display) {
        notice!(
            self.observers,
            Outcome Info "report of DMARC not sent",
            To = shown(to),
            Domain = tally.policy.domain,
            Reason = shown(reason),
        );
    }

    async fn queue(&self, tally: &Tally, report: &Report, reporter: &Reporter, to: Mailbox) {
        let (id, now) = (self.spool.next_id(), Timestamp::now());
        let message_id = format!("{id}@{}", reporter.receiver);
        let content = message(tally, report, reporter, &to.to_string(), &message_id, now);
        let mut recipient = Recipient::new(to.clone());
        // Nobody reads bounces of it.
        recipient.notify = Notify::Never;
        let envelope = Envelope {
            sender: ReversePath::Null,
            recipients: vec![recipient],
            ret: None,
            envid: None,
            body: BodyKind::SevenBit,
            smtputf8: false,
            auth: None,
        };
        let plain = Assembly::new(id, envelope, now, Origin::Report, Parts::of(content));
        let mut assembly = plain.clone();
        let inspectors = self.inspectors.load_full();
        let inspected = inspectors
            .inspect(&mut assembly, self.spool.as_ref(), &mut postern_spool::NoLimit)
            .await;
        let message = match inspected {
            Ok(()) => assembly.into_message(),
            Err(error) => {
                notice!(
                    self.observers,
                    Outcome Warning "report queued unchanged",
                    Queue = shown(&id),
                    Reason = shown(&error),
                );
                plain.into_message()
            }
        };
        match self.spool.put(message).await {
            Ok(_) => notice!(
                self.observers,
                Outcome Info "report of DMARC",
                Queue = shown(&id),
                To = shown(&to),
                Domain = tally.policy.domain,
            ),
            Err(error) => {
                notice!(
                    self.observers,
                    Outcome Warning "report of DMARC not queued",
                    To = shown(&to),
                    Reason = shown(&error),
                );
            }
        }
    }
}
