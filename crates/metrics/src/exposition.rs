//! The metrics as text, in the OpenMetrics format.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use postern_events::{Area, TlsReached, TlsWanted};
use postern_mail::FailureKind;
use postern_policy::Rule;
use postern_sasl::Mechanism;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text::encode};
use prometheus_client::registry::Registry;

use crate::atoms::Counters;
use crate::contract as family;
use crate::metrics::{ATTEMPTS, CAUSES, LEVELS, MECHANISMS, Metrics, NOT_GRANTED, OUTCOMES, RULES, VERSIONS};
use crate::page::{Page, Series};
use crate::snapshot::Snapshot;

const NONE: &str = "none";

/// The text format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older Prometheus format, which other programs still read.
    Prometheus,
}

impl Format {
    /// The format for a client that accepts these types (HTTP `Accept`): OpenMetrics if it is listed.
    #[must_use]
    pub fn for_accept(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Its type (`Content-Type`).
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The same numbers in this format. The older one names a counter family like its series, and has no end
    /// marker.
    fn of(self, text: String) -> String {
        if self == Self::OpenMetrics {
            return text;
        }
        let counters: HashSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
            .collect();
        let mut older = String::with_capacity(text.len() + 1_024);
        for line in text.lines().filter(|line| *line != "# EOF") {
            let told = ["# HELP ", "# TYPE "].iter().find_map(|start| {
                let (name, rest) = line.strip_prefix(start)?.split_once(' ')?;
                counters.contains(name).then_some((start, name, rest))
            });
            // Writing to a String does not fail.
            let _ = match told {
                Some((start, name, rest)) => writeln!(older, "{start}{name}_total {rest}"),
                None => writeln!(older, "{line}"),
            };
        }
        older
    }
}

/// One reading: counted values and a snapshot.
#[derive(Debug)]
struct Reading {
    counted: Arc<Metrics>,
    now: Snapshot,
}

impl Metrics {
    /// All metrics, with a fresh snapshot.
    #[must_use]
    pub fn text(self: &Arc<Self>, now: Snapshot, format: Format) -> String {
        format.of(text(self, now))
    }
}

/// All metrics.
fn text(counted: &Arc<Metrics>, now: Snapshot) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Reading {
        counted: Arc::clone(counted),
        now,
    }));
    let mut text = String::with_capacity(64 << 10);
    // Writing to a String does not fail.
    let _ = encode(&mut text, &registry);
    text
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(&mut encoder);
        self.reception(&mut page)?;
        self.logins(&mut page)?;
        self.queue(&mut page)?;
        self.delivery(&mut page)?;
        self.next_hops(&mut page)?;
        self.neighbours(&mut page)?;
        self.server(&mut page)
    }
}

impl Reading {
    fn reception(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let listeners = &*self.counted.listeners.all();
        page.family(&family::CONNECTIONS, |to| {
            listeners
                .iter()
                .try_for_each(|one| to.counter(&[&one.name], one.value.connections.get()))
        })?;
        page.family(&family::SESSIONS, |to| to.gauge(&[], self.now.sessions))?;
        page.family(&family::REFUSALS, |to| {
            listeners
                .iter()
                .try_for_each(|one| rules(to, &one.name, &one.value.refusals))
        })?;
        page.family(&family::SUPPRESSED, |to| {
            listeners
                .iter()
                .try_for_each(|one| to.counter(&[&one.name], one.value.suppressed.get()))
        })?;
        page.family(&family::ACCEPTED, |to| {
            listeners
                .iter()
                .try_for_each(|one| rules(to, &one.name, &one.value.accepted))
        })?;
        page.family(&family::RECIPIENTS, |to| {
            listeners
                .iter()
                .try_for_each(|one| to.counter(&[&one.name], one.value.recipients.get()))
        })?;
        page.family(&family::OCTETS, |to| {
            listeners
                .iter()
                .try_for_each(|one| to.counter(&[&one.name], one.value.octets.get()))
        })?;
        page.family(&family::DISCARDED, |to| {
            listeners
                .iter()
                .try_for_each(|one| to.counter(&[&one.name], one.value.discarded.get()))
        })?;
        page.family(&family::ACCEPT_TIME, |to| {
            listeners
                .iter()
                .try_for_each(|one| to.histogram(&[&one.name], &one.value.accept.0))
        })?;
        page.family(&family::TLS, |to| {
            let versions = VERSIONS.iter().zip(self.counted.tls.iter());
            versions
                .map(|(version, count)| (*version, count))
                .try_for_each(|(version, count)| to.counter(&[version], count.get()))
        })
    }

    fn logins(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        page.family(&family::LOGINS, |to| {
            let mut logins = |directory: &str, outcome: &str, counts: &Counters<MECHANISMS>| {
                let names = Mechanism::ALL.iter().map(|one| one.name()).chain([NONE]);
                names
                    .zip(counts.iter())
                    .try_for_each(|(name, count)| to.counted(&[name, directory, outcome], count.get()))
            };
            for one in &*self.counted.directories.all() {
                logins(&one.name, "accepted", &one.value.granted)?;
            }
            logins(NONE, "accepted", &self.counted.granted)?;
            NOT_GRANTED
                .iter()
                .zip(&self.counted.not_granted)
                .try_for_each(|(outcome, counts)| logins(NONE, outcome, counts))
        })?;
        page.family(&family::RETURNED, |to| {
            to.counter(&["bounce"], self.counted.bounces_returned.get())?;
            to.counter(&["complaint"], self.counted.complaints.get())
        })?;
        page.family(&family::LOCKOUTS, |to| {
            to.counter(&[], self.counted.lockouts.get())
        })
    }

    fn queue(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let queue = &self.now.queue;
        page.family(&family::QUEUE, |to| {
            to.gauge(&["waiting"], queue.waiting)?;
            to.gauge(&["held"], queue.held)?;
            to.gauge(&["damaged"], queue.damaged)?;
            to.gauge(&["sandboxed"], queue.sandboxed)
        })?;
        page.family(&family::QUEUE_AGE, |to| {
            queue
                .older
                .iter()
                .try_for_each(|(than, count)| to.gauge(&[than], *count))
        })?;
        page.family(&family::QUEUE_RECIPIENTS, |to| to.gauge(&[], queue.recipients))?;
        page.family(&family::QUEUE_OCTETS, |to| to.gauge(&[], queue.octets))?;
        page.family(&family::QUEUE_OLDEST, |to| {
            queue.oldest.map_or(Ok(()), |seconds| to.real(&[], seconds))
        })?;
        page.family(&family::QUEUE_READY, |to| to.gauge(&[], u64::from(queue.ready)))?;
        page.family(&family::ACCOUNTS_ON_HOLD, |to| {
            to.gauge(&[], self.now.accounts_on_hold)
        })?;
        page.family(&family::DISK_FREE, |to| {
            queue.disk_free.map_or(Ok(()), |octets| to.gauge(&[], octets))
        })?;
        page.family(&family::SYNC_TIME, |to| {
            to.histogram(&["done"], &self.counted.sync.done.0)?;
            to.histogram(&["failed"], &self.counted.sync.failed.0)
        })
    }

    fn delivery(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let counted = &self.counted;
        page.family(&family::ATTEMPTS, |to| causes(to, &ATTEMPTS, &counted.attempts))?;
        page.family(&family::OUTCOMES, |to| causes(to, &OUTCOMES, &counted.outcomes))?;
        page.family(&family::DELAY_TIME, |to| to.histogram(&[], &counted.delay.0))?;
        page.family(&family::HANDOVER_TIME, |to| {
            to.histogram(&[], &counted.handover.0)
        })
    }

    fn next_hops(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        page.family(&family::HOP_TIME, |to| to.histogram(&[], &self.counted.hop.0))?;
        page.family(&family::HOP_TLS, |to| {
            for (wanted, counts) in TlsWanted::ALL.iter().zip(&self.counted.hop_tls) {
                for (reached, count) in TlsReached::ALL.iter().zip(counts.iter()) {
                    to.counter(&[wanted.name(), reached.name()], count.get())?;
                }
            }
            Ok(())
        })?;
        page.family(&family::HOP_OPEN, |to| {
            let places = &self.now.places;
            places
                .iter()
                .try_for_each(|one| to.gauge(&[&one.class], one.open))
        })?;
        page.family(&family::HOP_WAITING, |to| {
            let places = &self.now.places;
            places
                .iter()
                .try_for_each(|one| to.gauge(&[&one.class], one.waiting))
        })
    }

    fn neighbours(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let directories = &*self.counted.directories.all();
        page.family(&family::DIRECTORY_TIME, |to| {
            directories
                .iter()
                .try_for_each(|one| to.histogram(&[&one.name], &one.value.time.0))
        })?;
        page.family(&family::DIRECTORY_ASKED, |to| {
            directories.iter().try_for_each(|one| {
                to.counter(&[&one.name, "answered"], one.value.answered.get())?;
                to.counter(&[&one.name, "failed"], one.value.failed.get())
            })
        })?;
        page.family(&family::DIRECTORY_UP, |to| {
            let known = self.now.directories.iter();
            known
                .filter_map(|(name, up)| Some((name, (*up)?)))
                .try_for_each(|(name, up)| to.gauge(&[name], u64::from(up)))
        })?;
        let milters = &*self.counted.milters.all();
        page.family(&family::MILTER_TIME, |to| {
            milters.iter().try_for_each(|one| {
                to.histogram(&[&one.name, "envelope"], &one.value.envelope.0)?;
                to.histogram(&[&one.name, "content"], &one.value.content.0)?;
                to.histogram(&[&one.name, "end"], &one.value.end.0)
            })
        })?;
        page.family(&family::MILTER_ASKED, |to| {
            milters.iter().try_for_each(|one| {
                to.counter(&[&one.name, "answered"], one.value.answered.get())?;
                to.counter(&[&one.name, "failed"], one.value.failed.get())
            })
        })
    }

    fn server(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let now = &self.now;
        let ends = |to: &mut Series<'_>, list: &[(String, f64)]| {
            list.iter().try_for_each(|(name, end)| to.real(&[name], *end))
        };
        page.family(&family::CERTIFICATE_END, |to| ends(to, &now.certificates))?;
        page.family(&family::TOKEN_END, |to| ends(to, &now.tokens))?;
        page.family(&family::EVENTS, |to| {
            for (area, counts) in Area::ALL.iter().zip(&self.counted.events) {
                let area = area.target().trim_start_matches("postern::");
                for (level, count) in LEVELS.iter().zip(counts.iter()) {
                    to.counter(&[area, level], count.get())?;
                }
            }
            Ok(())
        })?;
        page.family(&family::DROPPED, |to| {
            now.dropped
                .iter()
                .try_for_each(|(observer, count)| to.counter(&[observer], *count))
        })?;
        self.webhooks(page)?;
        page.family(&family::RELOADS, |to| to.counter(&[], self.counted.reloads.get()))?;
        page.family(&family::BUILD, |to| to.gauge(&[&now.version], 1))?;
        page.family(&family::CPU, |to| to.seconds(now.process.cpu.as_secs_f64()))?;
        page.family(&family::MEMORY, |to| {
            now.process.memory.map_or(Ok(()), |octets| to.gauge(&[], octets))
        })?;
        page.family(&family::FILES, |to| {
            now.process.files.map_or(Ok(()), |files| to.gauge(&[], files))
        })?;
        page.family(&family::FILES_MAX, |to| {
            now.process.files_max.map_or(Ok(()), |files| to.gauge(&[], files))
        })?;
        page.family(&family::START, |to| to.real(&[], now.started_at))
    }
}

impl Reading {
    fn webhooks(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let all = &self.now.webhooks;
        page.family(&family::WEBHOOK_EVENTS, |to| {
            all.iter().try_for_each(|one| {
                to.counter(&[&one.name, "delivered"], one.delivered)?;
                to.counter(&[&one.name, "dropped"], one.dropped)
            })
        })?;
        page.family(&family::WEBHOOK_REQUESTS, |to| {
            all.iter().try_for_each(|one| {
                to.counter(&[&one.name, "answered"], one.taken)?;
                to.counter(&[&one.name, "failed"], one.failed)
            })
        })?;
        page.family(&family::WEBHOOK_WAITING, |to| {
            all.iter().try_for_each(|one| to.gauge(&[&one.name], one.waiting))
        })?;
        page.family(&family::WEBHOOK_UP, |to| {
            all.iter()
                .try_for_each(|one| to.gauge(&[&one.name], u64::from(one.up)))
        })
    }
}

fn rules(to: &mut Series<'_>, listener: &str, counts: &Counters<RULES>) -> fmt::Result {
    let mut rules = Rule::ALL.iter().zip(counts.iter());
    rules.try_for_each(|(rule, count)| to.counted(&[listener, rule.name()], count.get()))
}

fn causes(to: &mut Series<'_>, words: &[&str], counts: &[Counters<CAUSES>]) -> fmt::Result {
    for (word, counts) in words.iter().zip(counts) {
        let causes = FailureKind::ALL.iter().map(|kind| kind.name()).chain([NONE]);
        for (cause, count) in causes.zip(counts.iter()) {
            to.counted(&[word, cause], count.get())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
