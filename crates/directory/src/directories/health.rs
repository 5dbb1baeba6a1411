//! Whether each directory answers: the result of the last question, with probes of our own when nobody asks.
//!
//! A change is logged once. A directory that is down is probed at a bounded rate, so that its recovery is noticed without a
//! login having to fail first; one that has not been used for a while is probed as well, so that an outage is known before
//! the next login.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

/// How long after its failure a directory is asked again at first; each further failure doubles it.
const PACE_MIN: Duration = Duration::from_secs(5);

/// How long at most.
const PACE_MAX: Duration = Duration::from_secs(60);

/// A failed question that took this long counts as a hang: further ones are not asked before the directory is known to answer
/// again.
const SLOW: Duration = Duration::from_secs(1);

/// How often one login is nevertheless passed to such a directory, so that its recovery is noticed as soon as somebody needs
/// it.
const TRIAL: Duration = Duration::from_secs(5);

/// Whether a directory answers, if known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DirectoryState {
    /// It has not been asked yet.
    Unknown,
    /// It answered the last question.
    Up,
    /// It did not.
    Down,
}

impl DirectoryState {
    /// The word for listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The status of one directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirectoryStatus {
    /// Its kind and its place in the configuration, from 1: `ldap (directory 2)`.
    pub name: String,
    /// Whether it answers.
    pub state: DirectoryState,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// When it was asked last.
    pub asked_at: Option<Timestamp>,
    /// Why it last failed to answer, and when.
    pub last_error: Option<(Timestamp, String)>,
}

/// The recorded state of one directory.
#[derive(Debug, Default)]
pub(super) struct Health(pub(super) Mutex<Seen>);

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) up: Option<bool>,
    pub(super) since: Option<Timestamp>,
    pub(super) asked: Option<(Instant, Timestamp)>,
    pub(super) error: Option<(Timestamp, String)>,
    /// Consecutive failed probes.
    failures: u32,
    probing: bool,
    /// Since when it hangs, or when the last login was let through as a trial.
    pub(super) hangs: Option<Instant>,
}

/// A change of state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum News {
    Fails,
    AnswersAgain,
}

impl Health {
    pub(super) fn note(
        &self,
        error: Option<&str>,
        begun: Instant,
        now: Instant,
        at: Timestamp,
    ) -> Option<News> {
        let mut seen = self.0.lock();
        seen.asked = Some((now, at));
        let slow = now.saturating_duration_since(begun) >= SLOW;
        seen.hangs = match (error, seen.hangs) {
            (None, _) => None,
            (Some(_), None) if slow => Some(now),
            (Some(_), hangs) => hangs,
        };
        let was = seen.up.replace(error.is_none());
        if was != seen.up {
            seen.since = Some(at);
        }
        match error {
            Some(reason) => {
                seen.error = Some((at, reason.to_owned()));
                (was != Some(false)).then_some(News::Fails)
            }
            None => {
                seen.failures = 0;
                (was == Some(false)).then_some(News::AnswersAgain)
            }
        }
    }

    #[cfg(test)]
    pub(super) fn was_asked(&self) -> bool {
        self.0.lock().asked.is_some()
    }

    /// Whether a login may ask now; if not, why. A directory that hangs is tried by one login at a time.
    pub(super) fn admits(&self, now: Instant) -> Result<(), String> {
        let mut seen = self.0.lock();
        match seen.hangs {
            None => Ok(()),
            Some(since) if now.saturating_duration_since(since) >= TRIAL => {
                seen.hangs = Some(now);
                Ok(())
            }
            Some(_) => {
                let reason = seen
                    .error
                    .as_ref()
                    .map_or("no answer", |(_, reason)| reason.as_str());
                Err(format!("known to be down: {reason}"))
            }
        }
    }

    /// Whether to probe now. If so, the caller has the turn: nobody else gets it until [`Self::probed`].
    pub(super) fn is_due(&self, idle: Option<Duration>, now: Instant) -> bool {
        let mut seen = self.0.lock();
        let wait = match seen.up {
            Some(false) => {
                let doubled = 2_u32.saturating_pow(seen.failures);
                Some(PACE_MIN.saturating_mul(doubled).min(PACE_MAX))
            }
            _ => idle,
        };
        let asked = seen.asked.map(|(at, _)| now.saturating_duration_since(at));
        let due = wait.is_some_and(|wait| asked.is_none_or(|asked| asked >= wait));
        let turn = due && !seen.probing;
        seen.probing |= turn;
        turn
    }

    pub(super) fn probed(&self) {
        let mut seen = self.0.lock();
        seen.probing = false;
        if seen.up == Some(false) {
            seen.failures = seen.failures.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_news_and_nothing_else_is() {
        let (now, at) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let health = Health::default();
        let cases = [
            ("the first answer", None, None),
            ("the first failure", Some("gone"), Some(News::Fails)),
            ("while it lasts", Some("still gone"), None),
            ("it is back", None, Some(News::AnswersAgain)),
            ("and stays", None, None),
        ];
        for (shows, error, want) in cases {
            assert_eq!(health.note(error, now, now, at), want, "{shows}");
        }
        assert_eq!(
            Health::default().note(Some("gone"), now, now, at),
            Some(News::Fails),
            "down from the start"
        );
    }

    #[test]
    fn one_that_hangs_is_tried_by_one_login_at_a_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let health = Health::default();
        let note = |error, begun, ended| health.note(error, at(begun), at(ended), Timestamp::UNIX_EPOCH);
        let admits = |second| health.admits(at(second)).is_ok();
        note(Some("refused"), 0, 0);
        assert!(admits(0), "who is told at once may ask");
        note(Some("no answer within 5000 ms"), 0, 5);
        assert!(!admits(5) && !admits(9));
        note(Some("no answer within 5000 ms"), 4, 9);
        assert!(!admits(9), "those who asked before it was known change nothing");
        let reason = health.admits(at(9)).unwrap_err();
        assert_eq!(reason, "known to be down: no answer within 5000 ms");
        assert!(admits(10), "one is let through");
        assert!(!admits(10) && !admits(14), "and no other beside it");
        note(Some("no answer within 5000 ms"), 10, 15);
        assert!(admits(15) && !admits(15));
        note(None, 15, 15);
        assert!(admits(15) && admits(15), "it answers again");
    }

    #[test]
    fn when_to_ask() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let idle = Some(Duration::from_secs(30));
        let health = Health::default();
        let due = |idle, second| {
            let due = health.is_due(idle, at(second));
            health.0.lock().probing = false;
            due
        };
        let note = |error, second| health.note(error, at(second), at(second), Timestamp::UNIX_EPOCH);
        assert!(due(idle, 0), "never asked");
        assert!(!due(None, 0), "no idle questions wanted");
        note(None, 0);
        assert!(!due(idle, 29), "asked recently");
        assert!(due(idle, 30));
        note(Some("gone"), 30);
        assert!(!due(idle, 34), "not at once");
        assert!(due(None, 35), "a failure is followed up in any case");
        assert!(health.is_due(None, at(35)));
        assert!(!health.is_due(None, at(35)), "by one alone");
        note(Some("gone"), 35);
        health.probed();
        assert!(!due(idle, 44), "the pace slows down");
        assert!(due(idle, 45));
        note(Some("a login"), 45);
        assert!(due(idle, 55), "logins do not slow it");
        for _ in 0..40 {
            note(Some("gone"), 45);
            health.probed();
        }
        assert!(!due(idle, 104));
        assert!(due(idle, 105), "to once a minute");
    }
}
