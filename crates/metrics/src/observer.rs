//! Which counters each event increments.

use std::time::Duration;

use postern_events::{Attempted, Event, Level, LoginRefused, Outcome};
use postern_mail::FailureKind;
use postern_policy::Rule;
use postern_sasl::Mechanism;

use crate::atoms::Counter;
use crate::metrics::{CAUSES, MECHANISMS, Metrics, OUTCOMES, OfListener, VERSIONS};

impl Metrics {
    pub(crate) fn count(&self, event: &Event<'_>) {
        let area = &self.events[event.area() as usize];
        match event.level() {
            Level::Error => area.at(0).one(),
            Level::Warning => area.at(1).one(),
            Level::Info => area.at(2).one(),
            Level::Debug => {}
        }
        match event {
            Event::Connected(event) => self.of(event.listener, |of| of.connections.one()),
            Event::TlsStarted(event) => self.tls.at(version(event.version)).one(),
            Event::LoggedIn(event) => {
                let mechanism = mechanism(Some(event.mechanism));
                match event.directory {
                    Some(name) => self.directories.with(name, |of| of.granted.at(mechanism).one()),
                    None => self.granted.at(mechanism).one(),
                }
            }
            Event::LoginRefused(event) => self.login_refused(event),
            Event::LockedOut(_) => self.lockouts.one(),
            Event::ReportReturned(event) if event.word.0 == "complaint" => self.complaints.one(),
            Event::ReportReturned(_) => self.bounces_returned.one(),
            Event::Refused(event) => self.of(event.listener, |of| of.refusals.at(event.rule as usize).one()),
            Event::TlsFailed(event) => self.of("", |of| of.refusals.at(event.rule as usize).one()),
            Event::Suppressed(event) => self.of(event.listener, |of| of.suppressed.add(event.suppressed)),
            Event::Accepted(event) => self.of(event.listener, |of| {
                of.accepted.at(event.rule as usize).one();
                of.recipients.add(event.recipients as u64);
                of.octets.add(event.size);
                if let Some(took) = event.took {
                    of.accept.0.note(took);
                }
            }),
            Event::Discarded(event) => self.of(event.listener, |of| of.discarded.one()),
            Event::FilterAsked(event) => self.milters.with(event.milter, |of| {
                answer(event.failed, &of.answered, &of.failed);
                let time = match event.stage {
                    "end" => &of.end,
                    "content" => &of.content,
                    _ => &of.envelope,
                };
                time.0.note(event.took);
            }),
            Event::DirectoryAsked(event) => self.directories.with(event.directory, |of| {
                answer(event.failed, &of.answered, &of.failed);
                of.time.0.note(event.took);
            }),
            Event::HopReached(event) => {
                self.hop.0.note(event.took);
                self.hop_tls[event.tls_wanted as usize]
                    .at(event.tls_reached as usize)
                    .one();
            }
            Event::HandedOver(event) => {
                self.handover.0.note(event.took);
                // The others are reported as attempts, with their cause.
                if event.taken == event.recipients {
                    self.attempts[0].at(CAUSES - 1).one();
                }
            }
            Event::Attempted(event) => self.attempts[attempt(event)].at(cause(event.failure)).one(),
            Event::Outcome(event) => self.outcome(event),
            Event::Committed(event) => {
                let time = if event.error.is_some() {
                    &self.sync.failed
                } else {
                    &self.sync.done
                };
                time.0.note(event.took);
            }
            Event::Reloaded(_) => self.reloads.one(),
            _ => {}
        }
    }

    fn of(&self, listener: &str, note: impl FnOnce(&OfListener)) {
        self.listeners.with(listener, note);
    }

    fn login_refused(&self, event: &LoginRefused<'_>) {
        self.of(event.listener, |of| of.refusals.at(event.rule as usize).one());
        self.not_granted[not_granted(event.rule)]
            .at(mechanism(event.mechanism))
            .one();
    }

    fn outcome(&self, event: &Outcome<'_>) {
        let Some(outcome) = OUTCOMES.iter().position(|told| *told == event.word.0) else {
            return;
        };
        self.outcomes[outcome].at(cause(event.failure)).one();
        if outcome == 0 {
            self.delay.0.note(Duration::from_millis(event.delay_ms));
        }
    }
}

fn answer(has_failed: bool, answered: &Counter, failed: &Counter) {
    if has_failed { failed.one() } else { answered.one() }
}

/// The index of an attempt's outcome.
fn attempt(event: &Attempted<'_>) -> usize {
    match event.taken {
        None => 3,
        Some(0) => 2,
        Some(_) => 1,
    }
}

fn cause(failure: Option<FailureKind>) -> usize {
    failure.map_or(CAUSES - 1, |kind| kind as usize)
}

/// Logins are rare and costly anyway, so their mechanisms are looked up by name.
fn mechanism(name: Option<&str>) -> usize {
    let place = |name| {
        Mechanism::ALL
            .iter()
            .position(|mechanism| mechanism.name() == name)
    };
    name.and_then(place).unwrap_or(MECHANISMS - 1)
}

fn version(name: &str) -> usize {
    let place = VERSIONS.iter().position(|version| *version == name);
    place.unwrap_or(VERSIONS.len() - 1)
}

/// The index of a login that was not granted, by rule.
fn not_granted(rule: Rule) -> usize {
    match rule {
        Rule::ThrottleLockout | Rule::ThrottleBusy => 1,
        Rule::LoginDirectory => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_lists() {
        for (place, rule) in Rule::ALL.iter().enumerate() {
            assert_eq!(*rule as usize, place);
        }
        for (place, kind) in FailureKind::ALL.iter().enumerate() {
            assert_eq!((*kind as usize, cause(Some(*kind))), (place, place));
        }
        for (place, wanted) in postern_events::TlsWanted::ALL.iter().enumerate() {
            assert_eq!(*wanted as usize, place);
        }
        for (place, reached) in postern_events::TlsReached::ALL.iter().enumerate() {
            assert_eq!(*reached as usize, place);
        }
        assert_eq!(cause(None), CAUSES - 1);
        assert_eq!(
            mechanism(Some("PLAIN")),
            Mechanism::ALL
                .iter()
                .position(|one| *one == Mechanism::Plain)
                .unwrap()
        );
        assert_eq!(
            (mechanism(Some("X")), mechanism(None)),
            (MECHANISMS - 1, MECHANISMS - 1)
        );
    }
}
