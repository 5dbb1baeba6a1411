//! Statistics: counted from events, kept over restarts, sent by mail each day.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use postern_events::{Event, Observer, Observers, notice, shown};
use postern_mail::{BodyKind, Envelope, Notify, Recipient, ReversePath};
use postern_spool::{Assembly, Inspectors, NoLimit, Origin, Parts, Spool};
use postern_stats::{Day, Statistics, report};
use postern_store::{Change, Record, Space, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::config::checked::Digest;

/// How often changed days are saved. A crash loses at most this much.
const INTERVAL: Duration = Duration::from_secs(60);

/// The key for the last day for which a digest was sent.
const SENT: &str = "digest";

/// Counts events for the statistics.
pub(super) struct Counts(pub(super) Arc<Statistics>);

impl Observer for Counts {
    fn observe(&self, event: &Event<'_>) {
        self.0.note(event, now);
    }
}

fn now() -> DateTime {
    TimeZone::UTC.to_datetime(Timestamp::now())
}

/// How digests are sent.
pub(super) struct Post {
    pub(super) spool: Arc<dyn Spool>,
    pub(super) inspectors: Arc<ArcSwap<Inspectors>>,
    pub(super) hostname: String,
    pub(super) observers: Observers,
    pub(super) digest: Arc<ArcSwap<Digest>>,
    pub(super) days_max: usize,
}

/// Saves the statistics and sends digests until `shutdown`, then saves once more.
pub(super) async fn keep(
    statistics: Arc<Statistics>,
    store: impl Store,
    post: Post,
    shutdown: CancellationToken,
) {
    let mut sent = match restore(&statistics, &store).await {
        Ok(sent) => sent,
        Err(error) => {
            notice!(post.observers, Run Warning "statistics cannot be read", Reason = shown(&error));
            None
        }
    };
    let mut ended = false;
    loop {
        let mut written = write(&statistics, &store, post.days_max).await;
        if !ended && let Some(day) = due(sent, now(), &post.digest.load()) {
            // Recorded first: once for each day, even if the server stops in between. The first time, the digest is for
            // today.
            let first = sent.replace(day).is_none();
            written = written.and(note_sent(&store, day).await);
            if !first {
                post.send(&statistics, day).await;
            }
        }
        if let Err(error) = written {
            notice!(post.observers, Run Warning "statistics are not written", Reason = shown(&error));
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

/// Restores saved data; returns the day of the last digest.
async fn restore(statistics: &Statistics, store: &impl Store) -> Result<Option<Date>, StoreError> {
    let records = store.all(Space::Statistics).await?;
    let sent = records.iter().find(|record| record.key == SENT);
    let sent = sent.and_then(|record| record.value.parse().ok());
    // What cannot be read counts as forgotten.
    let days = records
        .iter()
        .filter_map(|record| serde_json::from_str::<Day>(&record.value).ok());
    statistics.restore(days);
    Ok(sent)
}

async fn write(statistics: &Statistics, store: &impl Store, days_max: usize) -> Result<(), StoreError> {
    let days = statistics.take_changed();
    if days.is_empty() {
        return Ok(());
    }
    let record = |day: &Day| {
        Some(Change::Put(Record {
            key: day.date.to_string(),
            value: serde_json::to_string(day).ok()?,
            expires_at: end_of(day.date, days_max),
        }))
    };
    let changes = days.iter().filter_map(record).collect();
    let written = store.apply(Space::Statistics, changes).await;
    if written.is_err() {
        statistics.keep_changed(&days);
    }
    written
}

/// When a day's record expires, if that many days are kept.
fn end_of(date: Date, days_max: usize) -> Option<Timestamp> {
    let days = i64::try_from(days_max).ok()?;
    let end = date.checked_add(days.days()).ok()?;
    Some(end.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

async fn note_sent(store: &impl Store, day: Date) -> Result<(), StoreError> {
    let record = Record {
        key: SENT.to_owned(),
        value: day.to_string(),
        expires_at: None,
    };
    store.apply(Space::Statistics, vec![Change::Put(record)]).await
}

/// The day whose digest is due now: yesterday, from the given hour on, if not sent yet.
fn due(sent: Option<Date>, now: DateTime, digest: &Digest) -> Option<Date> {
    if digest.to.is_empty() || now.hour() < digest.hour {
        return None;
    }
    let yesterday = now.date().yesterday().ok()?;
    (sent.is_none_or(|sent| sent < yesterday)).then_some(yesterday)
}

impl Post {
    /// Queues the digest of a day, for all its recipients.
    async fn send(&self, statistics: &Statistics, day: Date) {
        let digest = self.digest.load_full();
        let days = statistics.days(day, day);
        let (id, now) = (self.spool.next_id(), Timestamp::now());
        let counts = self.spool.counts();
        let text = format!(
            "{}\nIn the queue now: {} messages for {} recipients, {} held.\n\nThis is sent each day because [digest] in the configuration of {} asks for it.\n",
            report(&days, (day, day), digest.names),
            counts.messages,
            counts.recipients,
            counts.held,
            self.hostname,
        );
        let content = message(
            &text,
            day,
            &digest,
            &self.hostname,
            &format!("{id}@{}", self.hostname),
            now,
        );
        let recipient = |to: &postern_mail::Mailbox| {
            let mut recipient = Recipient::new(to.clone());
            // Nobody reads bounces of it.
            recipient.notify = Notify::Never;
            recipient
        };
        let envelope = Envelope {
            sender: ReversePath::Null,
            recipients: digest.to.iter().map(recipient).collect(),
            ret: None,
            envid: None,
            body: BodyKind::EightBitMime,
            smtputf8: false,
            auth: None,
        };
        let plain = Assembly::new(id, envelope, now, Origin::Report, Parts::of(content));
        let mut assembly = plain.clone();
        let inspectors = self.inspectors.load_full();
        let inspected = inspectors
            .inspect(&mut assembly, self.spool.as_ref(), &mut NoLimit)
            .await;
        let message = match inspected {
            Ok(()) => assembly.into_message(),
            Err(error) => {
                notice!(self.observers, Outcome Warning "digest queued unchanged", Queue = shown(&id), Reason = shown(&error));
                plain.into_message()
            }
        };
        match self.spool.put(message).await {
            Ok(_) => notice!(self.observers, Outcome Info "digest", Queue = shown(&id)),
            Err(error) => {
                notice!(self.observers, Outcome Warning "digest not queued", Reason = shown(&error));
            }
        }
    }
}

/// The digest as a message.
fn message(
    text: &str,
    day: Date,
    digest: &Digest,
    hostname: &str,
    message_id: &str,
    now: Timestamp,
) -> Vec<u8> {
    let to: Vec<String> = digest.to.iter().map(ToString::to_string).collect();
    let date = jiff::fmt::rfc2822::to_string(&now.to_zoned(TimeZone::UTC)).unwrap_or_default();
    let head = format!(
        "From: Postern <postmaster@{hostname}>\r\nTo: {}\r\nSubject: Mail on {day} at {hostname}\r\nDate: {date}\r\nMessage-ID: <{message_id}>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        to.join(",\r\n "),
    );
    let mut content = head.into_bytes();
    for line in text.lines() {
        content.extend_from_slice(line.as_bytes());
        content.extend_from_slice(b"\r\n");
    }
    content
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[test]
    fn a_digest_is_sent_once_for_each_day_from_its_hour_on() {
        let digest = Digest {
            to: vec!["postmaster@example.org".parse().unwrap()],
            hour: 5,
            names: 10,
        };
        let at = |hour| datetime(2026, 12, 2, hour, 0, 0, 0);
        let first = Some(date(2026, 12, 1));
        for (sent, now, expected, why) in [
            (None, at(4), None, "before the hour"),
            (None, at(5), first, "at the hour"),
            (None, at(23), first, "the server was down at the hour"),
            (first, at(6), None, "sent already"),
            (Some(date(2026, 11, 3)), at(6), first, "the last one alone"),
        ] {
            assert_eq!(due(sent, now, &digest), expected, "{why}");
        }
        assert_eq!(due(None, at(6), &Digest::default()), None, "nobody gets it");
        let content = message(
            "a\nb\n",
            date(2026, 12, 1),
            &digest,
            "mx.example.org",
            "1@x",
            Timestamp::UNIX_EPOCH,
        );
        let content = String::from_utf8(content).unwrap();
        assert!(content.ends_with("\r\n\r\na\r\nb\r\n"), "{content}");
        assert!(
            content.contains("Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"),
            "{content}"
        );
        assert_eq!(
            end_of(date(2026, 12, 1), 35)
                .map(|end| end.to_string())
                .as_deref(),
            Some("2027-01-05T00:00:00Z")
        );
    }
}
