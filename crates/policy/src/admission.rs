//! Whether to take a connection, a message, a recipient, by load, count and space.

use std::time::{Duration, Instant};

use postern_mail::Status;

use crate::network::NetworkPrefix;

/// Limits of admission. A limit of `None` is off.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmissionSettings {
    /// New connections in one second over all listeners; more wait (sendmail's `ConnectionRateThrottle`). Default: off.
    pub connections_per_second: Option<u32>,
    /// Sessions at once from one network; more are told `421 4.7.0`. Default 100.
    pub sessions_per_network: Option<u32>,
    /// What counts as one network.
    pub network: NetworkPrefix,
    /// Sessions at once in all; more are told `421 4.3.2`. Default 10,000.
    pub sessions: u32,
    /// Load average from which on mail is queued for later instead of delivered at once (`QueueLA`). Default: off.
    pub queue_only_load: Option<f64>,
    /// Load average from which on every command waits for [`delay`](Self::delay) (`DelayLA`). Default: off.
    pub delay_load: Option<f64>,
    /// Load average from which on new connections are told `421 4.3.2` (`RefuseLA`). Default: off.
    pub refuse_load: Option<f64>,
    /// How long a command waits under `delay_load`. Default one second.
    pub delay: Duration,
    /// Free octets that the spool's disk keeps; below, and for a message that would go below, the answer is `452 4.3.1`.
    /// Default 100 MiB.
    pub min_free_bytes: u64,
    /// Recipients in one transaction; more are told `452 4.5.3`. Default 1,000.
    pub recipients: u32,
    /// Largest message in octets, announced as `SIZE`; a larger one is told `552 5.3.4`. Default 25 MiB.
    pub message_size: u64,
}

/// What is known when a connection comes in.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFacts {
    /// The load average of the last minute.
    pub load: f64,
    /// Sessions open in all, without this one.
    pub sessions: u32,
    /// Sessions open from this network, without this one.
    pub sessions_of_network: u32,
}

/// What is known when `MAIL` comes in, or `DATA` begins.
#[derive(Clone, Copy, Debug)]
pub struct MessageFacts {
    /// The size declared with `SIZE=`, if it was (RFC 1870), or else what has arrived so far.
    pub size: Option<u64>,
    /// Free octets on the spool's disk, if they could be read.
    pub free_bytes: Option<u64>,
}

/// Whether to take a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admission {
    /// Take it.
    Accept,
    /// `421` and close.
    Refuse421(AdmissionRefusal),
}

/// Why something is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum AdmissionRefusal {
    /// The load average has reached `refuse_load`.
    #[error("load average {load:.1} has reached refuse_load {limit:.1}")]
    Load {
        /// The load average.
        load: f64,
        /// The limit.
        limit: f64,
    },
    /// Too many sessions in all.
    #[error("{limit} sessions are open already")]
    Sessions {
        /// The limit.
        limit: u32,
    },
    /// Too many sessions from one network.
    #[error("{limit} sessions from this network are open already")]
    Network {
        /// The limit.
        limit: u32,
    },
    /// Too little free disk.
    #[error("{free} octets free, {needed} are needed")]
    Disk {
        /// Free octets.
        free: u64,
        /// Needed octets: the reserve and the message.
        needed: u64,
    },
    /// The message is too large.
    #[error("message of {size} octets, at most {limit} are taken")]
    Size {
        /// Its size, or what arrived until it was given up.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many recipients.
    #[error("{limit} recipients are the most in one transaction")]
    Recipients {
        /// The limit.
        limit: u32,
    },
}

impl AdmissionRefusal {
    /// The rule's name: `admission.load`, `admission.sessions`, `admission.network`, `admission.disk`, `admission.size`,
    /// `admission.recipients`.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Load { .. } => "admission.load",
            Self::Sessions { .. } => "admission.sessions",
            Self::Network { .. } => "admission.network",
            Self::Disk { .. } => "admission.disk",
            Self::Size { .. } => "admission.size",
            Self::Recipients { .. } => "admission.recipients",
        }
    }

    /// Reply code, status and words for the peer, without our figures.
    #[must_use]
    pub fn reply(self) -> (u16, Status, &'static str) {
        match self {
            Self::Load { .. } => (421, Status(4, 3, 2), "Too busy, try again later"),
            Self::Sessions { .. } => (421, Status(4, 3, 2), "Too many connections, try again later"),
            Self::Network { .. } => (421, Status(4, 7, 0), "Too many connections from your network"),
            Self::Disk { .. } => (452, Status(4, 3, 1), "Insufficient storage, try again later"),
            Self::Size { .. } => (552, Status(5, 3, 4), "Message too large"),
            Self::Recipients { .. } => (452, Status(4, 5, 3), "Too many recipients"),
        }
    }
}

impl AdmissionSettings {
    /// The loads that sendmail takes where its file names none: queueing from 8, refusing from 12 times the number of processors.
    #[must_use]
    pub fn with_sendmail_loads(mut self, processors: u32) -> Self {
        self.queue_only_load = Some(f64::from(processors) * 8.0);
        self.refuse_load = Some(f64::from(processors) * 12.0);
        self
    }
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            connections_per_second: None,
            sessions_per_network: Some(100),
            network: NetworkPrefix::default(),
            sessions: 10_000,
            queue_only_load: None,
            delay_load: None,
            refuse_load: None,
            delay: Duration::from_secs(1),
            min_free_bytes: 100 * 1024 * 1024,
            recipients: 1_000,
            message_size: 25 * 1024 * 1024,
        }
    }
}

/// Decides whether to take a connection.
#[must_use]
pub fn admit(facts: &ConnectionFacts, settings: &AdmissionSettings) -> Admission {
    let reached = |limit: &f64| facts.load >= *limit;
    if let Some(limit) = settings.refuse_load.filter(reached) {
        return Admission::Refuse421(AdmissionRefusal::Load {
            load: facts.load,
            limit,
        });
    }
    if facts.sessions >= settings.sessions {
        return Admission::Refuse421(AdmissionRefusal::Sessions {
            limit: settings.sessions,
        });
    }
    match settings.sessions_per_network {
        Some(limit) if facts.sessions_of_network >= limit => {
            Admission::Refuse421(AdmissionRefusal::Network { limit })
        }
        _ => Admission::Accept,
    }
}

/// How long each command waits at this load.
#[must_use]
pub fn command_delay(load: f64, settings: &AdmissionSettings) -> Option<Duration> {
    settings
        .delay_load
        .filter(|limit| load >= *limit)
        .map(|_| settings.delay)
}

/// Whether mail taken at this load is left to the queue instead of being delivered at once.
#[must_use]
pub fn queue_only(load: f64, settings: &AdmissionSettings) -> bool {
    settings.queue_only_load.is_some_and(|limit| load >= limit)
}

/// Decides whether to take a message of this size.
///
/// # Errors
///
/// [`AdmissionRefusal::Size`], [`AdmissionRefusal::Disk`].
pub fn admit_message(facts: &MessageFacts, settings: &AdmissionSettings) -> Result<(), AdmissionRefusal> {
    let size = facts.size.unwrap_or(0);
    if size > settings.message_size {
        return Err(AdmissionRefusal::Size {
            size,
            limit: settings.message_size,
        });
    }
    let needed = settings.min_free_bytes.saturating_add(size);
    match facts.free_bytes {
        Some(free) if free < needed => Err(AdmissionRefusal::Disk { free, needed }),
        _ => Ok(()),
    }
}

/// Decides whether to take one more recipient after `taken`.
///
/// # Errors
///
/// [`AdmissionRefusal::Recipients`].
pub fn admit_recipient(taken: usize, settings: &AdmissionSettings) -> Result<(), AdmissionRefusal> {
    let limit = settings.recipients;
    if taken >= limit as usize {
        Err(AdmissionRefusal::Recipients { limit })
    } else {
        Ok(())
    }
}

/// Spreads new connections: a second begins with the first of them, and no more than a number of them go ahead until it ends.
#[derive(Clone, Debug, Default)]
pub struct RateWindow {
    window: Option<(Instant, u32)>,
}

impl RateWindow {
    /// Asks for one connection now. `None`: go ahead, it is counted. Otherwise wait so long and ask again.
    pub fn take(&mut self, per_second: Option<u32>, now: Instant) -> Option<Duration> {
        const SECOND: Duration = Duration::from_secs(1);
        let limit = per_second?.max(1);
        let (start, count) = match self.window {
            Some((start, count)) if now.saturating_duration_since(start) < SECOND => (start, count),
            _ => (now, 0),
        };
        if count >= limit {
            return Some(SECOND.saturating_sub(now.saturating_duration_since(start)));
        }
        self.window = Some((start, count + 1));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> AdmissionSettings {
        AdmissionSettings {
            sessions_per_network: Some(3),
            sessions: 10,
            queue_only_load: Some(8.0),
            delay_load: Some(10.0),
            refuse_load: Some(12.0),
            min_free_bytes: 1_000,
            recipients: 2,
            message_size: 500,
            ..AdmissionSettings::default()
        }
    }

    #[test]
    fn connections() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows                  load   sessions  of network  refused by
            ("nothing going on",                    0.0,   0,        0,          None),
            ("just below every limit",              11.9,  9,        2,          None),
            ("refuse_load reached",                 12.0,  0,        0,          Some(("admission.load", 421))),
            ("all sessions taken",                  0.0,   10,       0,          Some(("admission.sessions", 421))),
            ("all sessions of the network taken",   0.0,   3,        3,          Some(("admission.network", 421))),
            ("load counts first",                   20.0,  10,       3,          Some(("admission.load", 421))),
        ];
        for (shows, load, sessions, sessions_of_network, refused) in cases {
            let facts = ConnectionFacts {
                load,
                sessions,
                sessions_of_network,
            };
            let found = match admit(&facts, &settings()) {
                Admission::Accept => None,
                Admission::Refuse421(refusal) => Some((refusal.rule(), refusal.reply().0)),
            };
            assert_eq!(found, refused, "{shows}");
        }
        let off = AdmissionSettings {
            sessions_per_network: None,
            refuse_load: None,
            ..settings()
        };
        let facts = ConnectionFacts {
            load: 99.0,
            sessions: 9,
            sessions_of_network: 9,
        };
        assert_eq!(admit(&facts, &off), Admission::Accept, "limits that are off");
    }

    #[test]
    fn loads() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows   load   queue only  delay
            ("below QueueLA",        7.9,   false,      None),
            ("QueueLA",              8.0,   true,       None),
            ("DelayLA",              10.0,  true,       Some(Duration::from_secs(1))),
        ];
        for (shows, load, queued, delay) in cases {
            assert_eq!(queue_only(load, &settings()), queued, "{shows}");
            assert_eq!(command_delay(load, &settings()), delay, "{shows}");
        }
        let off = AdmissionSettings::default();
        assert!(!queue_only(99.0, &off) && command_delay(99.0, &off).is_none());
        let sendmail = off.with_sendmail_loads(2);
        assert_eq!(
            (sendmail.queue_only_load, sendmail.refuse_load),
            (Some(16.0), Some(24.0))
        );
    }

    #[test]
    fn messages() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows              size         free          refused by
            ("size not declared",               None,        Some(1_000),  None),
            ("no room for any",                 None,        Some(999),    Some(("admission.disk", 452))),
            ("just room enough",                Some(500),   Some(1_500),  None),
            ("the reserve would be touched",    Some(500),   Some(1_499),  Some(("admission.disk", 452))),
            ("free space unknown",              Some(500),   None,         None),
            ("too large",                       Some(501),   None,         Some(("admission.size", 552))),
            ("a size that overflows",           Some(u64::MAX), Some(0),   Some(("admission.size", 552))),
        ];
        for (shows, size, free_bytes, refused) in cases {
            let verdict = admit_message(&MessageFacts { size, free_bytes }, &settings());
            assert_eq!(
                verdict.err().map(|refusal| (refusal.rule(), refusal.reply().0)),
                refused,
                "{shows}"
            );
        }
    }

    #[test]
    fn recipients() {
        assert_eq!(admit_recipient(1, &settings()), Ok(()));
        assert_eq!(
            admit_recipient(2, &settings()),
            Err(AdmissionRefusal::Recipients { limit: 2 })
        );
    }

    #[test]
    fn connections_over_the_rate_wait_for_the_next_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let wait = |ms| Some(Duration::from_millis(ms));
        let mut window = RateWindow::default();
        #[rustfmt::skip]
        let cases = [
            // what the case shows               at      wait
            ("the first begins a second",        0,      None),
            ("the second",                       400,    None),
            ("the third waits",                  400,    wait(600)),
            ("asking again early",               900,    wait(100)),
            ("its turn",                         1_000,  None),
            ("a new second has begun with it",   1_900,  None),
            ("which is full now",                1_950,  wait(50)),
        ];
        for (shows, ms, expected) in cases {
            assert_eq!(window.take(Some(2), at(ms)), expected, "{shows}");
        }
        assert_eq!(window.take(None, at(1_950)), None, "no limit");
    }
}
