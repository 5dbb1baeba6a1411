//! `/metrics`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use postern_directory::DirectoryState;
use postern_http::axum::extract::State;
use postern_http::axum::http::HeaderMap;
use postern_http::axum::http::header::{ACCEPT, CONTENT_TYPE};
use postern_http::axum::response::{IntoResponse, Response};
use postern_metrics::{Format, Places, Process, Queue, Snapshot};
use postern_spool::{Ages, SpoolState};

use super::monitor::Monitor;
use crate::commands::version;

/// Ages by which messages are counted.
const OLDER: [(&str, i64); 4] = [("1h", 1), ("4h", 4), ("1d", 24), ("3d", 72)];

/// How long ages are cached: computing them reads part of every message.
const AGES_LAST: Duration = Duration::from_secs(30);

/// Answers with all metrics.
pub(super) async fn metrics(State(monitor): State<Arc<Monitor>>, asked: HeaderMap) -> Response {
    let accept = asked.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::for_accept(accept.unwrap_or_default());
    let snapshot = monitor.snapshot().await;
    let text = monitor.metrics.text(snapshot, format);
    ([(CONTENT_TYPE, format.content_type())], text).into_response()
}

impl Monitor {
    async fn snapshot(&self) -> Snapshot {
        let seconds = |time: Timestamp| time.as_millisecond() as f64 / 1_000.0;
        let directories = self.directories.load().status().into_iter().map(|one| {
            let up = match one.state {
                DirectoryState::Up => Some(true),
                DirectoryState::Down => Some(false),
                DirectoryState::Unknown => None,
            };
            (one.name, up)
        });
        let tls = self.tls.load();
        let identities = tls.as_ref().as_ref().map_or(&[][..], |tls| tls.identities());
        let certificates = identities.iter().map(|one| {
            let file = one.certificate.display().to_string();
            (file, seconds(one.not_after))
        });
        let tokens = self.tokens.ends().into_iter();
        Snapshot {
            version: version::TEXT.to_owned(),
            started_at: seconds(self.started_at),
            sessions: self.receiver.sessions().into(),
            accounts_on_hold: self.receiver.accounts_on_hold() as u64,
            directories: directories.collect(),
            certificates: certificates.collect(),
            tokens: tokens.map(|(name, end)| (name, end as f64)).collect(),
            dropped: self.dropped(),
            webhooks: self.webhooks.numbers(),
            places: self.places(),
            process: Process::now(),
            queue: self.queue().await,
        }
    }

    /// Events that observers had no room for.
    fn dropped(&self) -> Vec<(&'static str, u64)> {
        let (matters, strangers) = self.losses.lines();
        let mut dropped = vec![("log", matters), ("log-strangers", strangers)];
        if let Some(archive) = &self.archive {
            let counts = archive.counts();
            dropped.push(("history", counts.dropped + counts.dropped_failed));
            dropped.push(("history-strangers", counts.dropped_strangers));
        }
        dropped.push(("followers", self.followers.left_out()));
        let webhooks = self.webhooks.numbers();
        if !webhooks.is_empty() {
            dropped.push(("webhooks", webhooks.iter().map(|one| one.dropped).sum()));
        }
        dropped
    }

    fn places(&self) -> Vec<Places> {
        let places = self.deliverer.places().into_iter();
        places
            .map(|one| Places {
                class: one.class.to_string(),
                open: one.connections as u64,
                waiting: (one.in_line + one.in_line_for_address) as u64,
            })
            .collect()
    }

    async fn queue(&self) -> Queue {
        let counts = self.spool.counts();
        let (older, oldest) = match self.ages().await {
            Some((now, ages)) => {
                let age = |oldest: Timestamp| now.duration_since(oldest).as_secs_f64().max(0.0);
                let older = OLDER.iter().map(|(than, _)| *than).zip(ages.older);
                (older.collect(), Some(ages.oldest.map_or(0.0, age)))
            }
            None => (Vec::new(), None),
        };
        Queue {
            waiting: counts
                .messages
                .saturating_sub(counts.held)
                .saturating_sub(counts.sandboxed),
            held: counts.held.saturating_sub(counts.damaged),
            damaged: counts.damaged,
            sandboxed: counts.sandboxed,
            recipients: counts.recipients,
            octets: counts.bytes,
            ready: self.spool.state() == SpoolState::Ready,
            disk_free: self.spool.free_bytes(),
            older,
            oldest,
        }
    }

    /// The ages of the queue, at most some seconds old, with the queue time of the query; `None` while it cannot be read.
    pub(super) async fn ages(&self) -> Option<(Timestamp, Ages)> {
        let mut remembered = self.remembered.ages.lock().await;
        let lasts = |at: Instant, ages: &Ages| at.elapsed() < AGES_LAST && ages.oldest.is_some();
        if let Some((at, now, ages)) = &*remembered
            && lasts(*at, ages)
        {
            return Some((*now, ages.clone()));
        }
        let now = self.spool.now();
        let before = OLDER
            .iter()
            .map(|(_, hours)| now - SignedDuration::from_hours(*hours));
        let ages = self.spool.ages(before.collect()).await.ok()?;
        *remembered = Some((Instant::now(), now, ages.clone()));
        Some((now, ages))
    }
}
