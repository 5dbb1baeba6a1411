//! Counts events.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use jiff::civil::{Date, DateTime};
use parking_lot::Mutex;
use postern_events::{Accepted, Event, Outcome};

use crate::counts::Counts;
use crate::day::{Day, HOURS};

/// What stands in for a missing name: the null sender, mail without a login.
pub(crate) const NONE: &str = "<>";

/// The statistics, day by day.
#[derive(Debug, Default)]
pub struct Statistics(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Slots for names of each kind; with none, nothing is counted.
    places: usize,
    /// Days to keep, including today.
    days_max: usize,
    days: BTreeMap<Date, Kept>,
}

#[derive(Debug)]
struct Kept {
    day: Day,
    /// Whether it must be saved again.
    changed: bool,
}

thread_local! {
    /// The buffer into which senders and recipients are formatted.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Statistics {
    /// Sets how many days to keep, and how many names of each kind; zero disables counting.
    pub fn configure(&self, days_max: usize, places: usize) {
        let mut inner = self.0.lock();
        inner.places = places;
        inner.days_max = days_max.max(1);
        inner.forget();
    }

    /// Restores saved days.
    pub fn restore(&self, days: impl IntoIterator<Item = Day>) {
        let mut inner = self.0.lock();
        for day in days {
            inner.days.insert(day.date, Kept { day, changed: false });
        }
        inner.forget();
    }

    /// Counts an event; `at` gives the time, in UTC.
    pub fn note(&self, event: &Event<'_>, at: impl FnOnce() -> DateTime) {
        match event {
            Event::Accepted(event) => self.accepted(event, at()),
            Event::Refused(event) => self.refused((event.listener, event.login), event.rule.name(), at()),
            // A nonexistent login is made up by a stranger.
            Event::LoginRefused(event) => self.refused((event.listener, None), event.rule.name(), at()),
            Event::Outcome(event) => self.outcome(event, at()),
            _ => {}
        }
    }

    fn accepted(&self, event: &Accepted<'_>, at: DateTime) {
        let counts = Counts {
            accepted: 1,
            recipients: event.recipients as u64,
            bytes: event.size,
            ..Counts::default()
        };
        with_domain(&event.from, |sender| {
            self.count(at, counts, |day, places| {
                day.listeners.add(event.listener, counts, places);
                day.logins.add(event.login.unwrap_or(NONE), counts, places);
                day.senders.add(sender, counts, places);
            });
        });
    }

    fn refused(&self, (listener, login): (&str, Option<&str>), rule: &str, at: DateTime) {
        let counts = Counts {
            refused: 1,
            ..Counts::default()
        };
        self.count(at, counts, |day, places| {
            day.listeners.add(listener, counts, places);
            day.logins.add(login.unwrap_or(NONE), counts, places);
            day.rules.add(rule, counts, places);
        });
    }

    fn outcome(&self, event: &Outcome<'_>, at: DateTime) {
        let mut counts = Counts::default();
        match event.word.0 {
            "delivered" => counts.delivered = 1,
            "deferred" => counts.deferred = 1,
            "bounced" => counts.bounced = 1,
            "expired" => counts.expired = 1,
            _ => return,
        }
        with_domain(&event.to, |recipient| {
            self.count(at, counts, |day, places| {
                day.recipients.add(recipient, counts, places)
            });
        });
    }

    fn count(&self, at: DateTime, counts: Counts, note: impl FnOnce(&mut Day, usize)) {
        let mut inner = self.0.lock();
        let places = inner.places;
        if places == 0 {
            return;
        }
        let is_new = !inner.days.contains_key(&at.date());
        let kept = inner.days.entry(at.date()).or_insert_with(|| Kept {
            day: Day::new(at.date()),
            changed: true,
        });
        kept.changed = true;
        let hour = usize::try_from(at.hour()).unwrap_or(0).min(HOURS - 1);
        kept.day.hours[hour] += counts;
        note(&mut kept.day, places);
        if is_new {
            inner.forget();
        }
    }

    /// The days from one to another, inclusive, in order.
    #[must_use]
    pub fn days(&self, from: Date, to: Date) -> Vec<Day> {
        let inner = self.0.lock();
        if from > to {
            return Vec::new();
        }
        inner
            .days
            .range(from..=to)
            .map(|(_, kept)| kept.day.clone())
            .collect()
    }

    /// The days that have changed since the last call, to be saved.
    #[must_use]
    pub fn take_changed(&self) -> Vec<Day> {
        let mut inner = self.0.lock();
        let changed = inner.days.values_mut().filter(|kept| kept.changed);
        changed
            .map(|kept| {
                kept.changed = false;
                kept.day.clone()
            })
            .collect()
    }

    /// Saving failed: they count as changed again.
    pub fn keep_changed(&self, days: &[Day]) {
        let mut inner = self.0.lock();
        for day in days {
            if let Some(kept) = inner.days.get_mut(&day.date) {
                kept.changed = true;
            }
        }
    }
}

impl Inner {
    /// Drops the oldest days beyond the limit.
    fn forget(&mut self) {
        while self.days.len() > self.days_max {
            self.days.pop_first();
        }
    }
}

/// Passes on the domain of an address, in lower case.
fn with_domain(address: &dyn fmt::Display, then: impl FnOnce(&str)) {
    let read = |text: &mut String, then: &mut dyn FnMut(&str)| {
        text.clear();
        // Writing to a String does not fail.
        let _ = write!(text, "{address}");
        text.make_ascii_lowercase();
        let bare = text.trim_start_matches('<').trim_end_matches('>');
        then(match bare.rsplit_once('@') {
            Some((_, domain)) => domain,
            None if bare.is_empty() => NONE,
            None => bare,
        });
    };
    let mut then = Some(then);
    let mut once = |domain: &str| {
        if let Some(then) = then.take() {
            then(domain);
        }
    };
    TEXT.with(|text| match text.try_borrow_mut() {
        Ok(mut text) => read(&mut text, &mut once),
        // A value whose formatting itself emits an event.
        Err(_) => read(&mut String::new(), &mut once),
    });
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use jiff::civil::{date, datetime};
    use postern_events::{Refused, Word};
    use postern_policy::Rule;

    use super::*;

    fn accepted(login: Option<&'static str>, from: &'static dyn fmt::Display) -> Event<'static> {
        Event::from(Accepted {
            session: "1",
            queue: &"Q",
            listener: "submission",
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            login,
            acts_as: None,
            rule: Rule::RelayLogin,
            reason: None,
            sender_rule: None,
            from,
            recipients: 3,
            size: 1_000,
            message_id: None,
            milter: None,
            took: None,
        })
    }

    fn outcome(word: &'static str, to: &'static dyn fmt::Display) -> Event<'static> {
        Event::from(Outcome {
            queue: &"Q",
            session: None,
            login: None,
            from: &"<a@b.example>",
            to,
            original: None,
            relay: &"host",
            status: None,
            failure: None,
            stage: None,
            reply: None,
            reason: None,
            delay_ms: 1,
            attempts: None,
            until: None,
            report: None,
            word: Word(word),
        })
    }

    fn refused() -> Event<'static> {
        Event::from(Refused {
            session: None,
            listener: "mx",
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            login: None,
            acts_as: None,
            helo: "x",
            from: None,
            to: None,
            recipients: None,
            rule: Rule::RelayDenied,
            milter: None,
            reply: None,
            reason: &"no",
        })
    }

    #[test]
    fn events_are_counted_in_their_day_and_hour_and_by_their_names() {
        let statistics = Statistics::default();
        let noon = || datetime(2026, 12, 1, 12, 30, 0, 0);
        statistics.note(&refused(), noon);
        statistics.configure(2, 10);
        for event in [
            accepted(Some("ann"), &"<Ann@Example.ORG>"),
            accepted(Some("ann"), &"ann@example.org"),
            accepted(None, &"<>"),
            refused(),
            outcome("delivered", &"<x@There.example>"),
            outcome("bounced", &"<y@there.example>"),
            outcome("deferred", &"<postmaster>"),
        ] {
            statistics.note(&event, noon);
        }
        let days = statistics.days(date(2026, 12, 1), date(2026, 12, 1));
        let day = &days[0];
        let total = day.total();
        assert_eq!(day.hours[12], total);
        assert_eq!((total.accepted, total.recipients, total.bytes), (3, 9, 3_000));
        assert_eq!(
            (total.refused, total.delivered, total.bounced, total.deferred),
            (1, 1, 1, 1)
        );
        let names = |top: &crate::Top| -> Vec<(String, u64)> {
            let names = top.names().into_iter();
            names
                .map(|named| (named.name.clone(), named.counts.weight()))
                .collect()
        };
        let pair = |name: &str, count| (name.to_owned(), count);
        assert_eq!(names(&day.senders), [pair("example.org", 2), pair("<>", 1)]);
        assert_eq!(names(&day.logins), [pair("<>", 2), pair("ann", 2)]);
        assert_eq!(names(&day.listeners), [pair("submission", 3), pair("mx", 1)]);
        assert_eq!(
            names(&day.recipients),
            [pair("there.example", 2), pair("postmaster", 1)]
        );
        assert_eq!(names(&day.rules), [pair("relay.denied", 1)]);
    }

    #[test]
    fn days_are_kept_written_once_and_forgotten() {
        let statistics = Statistics::default();
        statistics.configure(2, 10);
        for day in [1, 2, 3] {
            statistics.note(&refused(), || datetime(2026, 12, day, 0, 0, 0, 0));
        }
        let changed = statistics.take_changed();
        assert_eq!(changed.len(), 2, "the first is forgotten");
        assert!(statistics.take_changed().is_empty());
        statistics.keep_changed(&changed[..1]);
        assert_eq!(statistics.take_changed().len(), 1);
        // As saved across a restart.
        let text = serde_json::to_string(&changed[1]).unwrap();
        let other = Statistics::default();
        other.configure(2, 10);
        other.restore([serde_json::from_str(&text).unwrap()]);
        other.note(&refused(), || datetime(2026, 12, 3, 1, 0, 0, 0));
        let days = other.days(date(2026, 12, 1), date(2026, 12, 31));
        assert_eq!(
            (days.len(), days[0].total().refused, days[0].hours[1].refused),
            (1, 2, 1)
        );
        let mut both = days[0].clone();
        both.merge(&changed[0], 10);
        assert_eq!((both.total().refused, both.date), (3, date(2026, 12, 3)));
    }
}
