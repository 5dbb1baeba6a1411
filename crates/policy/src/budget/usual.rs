//! How much an account usually sends: learnt day by day, so that nobody has to name a number.
//!
//! Learnt are the whole day and its busiest hour, each as a level and a spread around it, the later days weighing more. Only days count
//! on which something was sent: a weekend makes no account smaller. From the eighth day on, one day can raise a level by an eighth and
//! little more, however much was sent on it: whoever wants to get a level up has to send little for weeks. Before, each day weighs as
//! much as those before it do: the first is the level, the second can raise it by a half, the third by a third. So an account that is
//! a thief's from its first week on has what the thief sends as its level.

use serde::{Deserialize, Serialize};

use super::Moment;
use super::rules::{Multiple, Span};

/// Seconds of a day, by UTC.
const DAY: u64 = 86_400;

/// A level is kept in thousandths, so that small ones are told apart.
const UNIT: u64 = 1_000;

/// A day weighs this part of a level, once there are so many days.
const WEIGHT: u64 = 8;

/// A day counts for no more than twice the level and so many.
const STEP: u64 = 10;

/// Days on which something was sent without which nothing is known, however long an account has been there.
const DAYS_MIN: u32 = 3;

/// A level and how far days are from it, in thousandths.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Level {
    level: u64,
    spread: u64,
}

/// What is usual of one kind for one account.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Usual {
    /// The first day on which something was sent, and the one under way.
    first: u64,
    day: u64,
    /// The hour under way, what was sent in it, in the day's busiest hour, and in the whole day.
    hour: u64,
    in_hour: u64,
    busiest: u64,
    in_day: u64,
    /// Days that are in the levels.
    days: u32,
    by_hour: Level,
    by_day: Level,
}

impl Level {
    fn learn(&mut self, amount: u64, days: u32) {
        let amount = amount.saturating_mul(UNIT);
        if days == 0 {
            self.level = amount;
            return;
        }
        let most = self.level.saturating_mul(2).saturating_add(STEP * UNIT);
        let amount = amount.min(most);
        let weight = u64::from(days).saturating_add(1).min(WEIGHT);
        let towards = |from: u64, to: u64| match to >= from {
            true => from.saturating_add((to - from) / weight),
            false => from - (from - to) / weight,
        };
        self.spread = towards(self.spread, amount.abs_diff(self.level));
        self.level = towards(self.level, amount);
    }

    /// In whole numbers, rounded up.
    const fn amount(self) -> u64 {
        self.level.div_ceil(UNIT)
    }

    fn allows(self, rule: &Multiple) -> u64 {
        let times = u64::from(rule.times);
        let by_level = self.level.saturating_mul(times);
        let by_spread = self.level.saturating_add(self.spread.saturating_mul(times));
        (by_level.max(by_spread) / UNIT).max(rule.at_least)
    }
}

impl Usual {
    /// Counts what was sent.
    pub fn add(&mut self, amount: u64, now: Moment) {
        let (day, hour) = (now / DAY, now / 3_600);
        if self.first == 0 {
            self.first = day;
        }
        if day > self.day {
            self.end_day();
            self.day = day;
        }
        if hour > self.hour {
            self.hour = hour;
            self.in_hour = 0;
        }
        self.in_hour = self.in_hour.saturating_add(amount);
        self.in_day = self.in_day.saturating_add(amount);
        self.busiest = self.busiest.max(self.in_hour);
    }

    /// Takes back what was not sent after all.
    pub fn take_back(&mut self, amount: u64, then: Moment) {
        if then / DAY != self.day {
            return;
        }
        self.in_day = self.in_day.saturating_sub(amount);
        if then / 3_600 == self.hour {
            if self.busiest == self.in_hour {
                self.busiest = self.busiest.saturating_sub(amount);
            }
            self.in_hour = self.in_hour.saturating_sub(amount);
        }
    }

    /// What was sent today is not learnt.
    pub fn forget_today(&mut self) {
        (self.in_hour, self.busiest, self.in_day) = (0, 0, 0);
    }

    /// How much is usual, once it is known.
    #[must_use]
    pub fn amount(&self, span: Span, days: u32, now: Moment) -> Option<u64> {
        self.level(span, days, now).map(Level::amount)
    }

    /// How much there may be, once it is known what is usual.
    #[must_use]
    pub fn allows(&self, span: Span, rule: &Multiple, now: Moment) -> Option<u64> {
        self.level(span, rule.days, now).map(|level| level.allows(rule))
    }

    fn level(&self, span: Span, days: u32, now: Moment) -> Option<Level> {
        let day = now / DAY;
        let mut ended = *self;
        if day > self.day {
            ended.end_day();
        }
        let is_known = ended.days >= DAYS_MIN && day.saturating_sub(self.first) >= u64::from(days);
        let level = match span {
            Span::Minute => return None,
            Span::Hour => ended.by_hour,
            Span::Day => ended.by_day,
        };
        is_known.then_some(level)
    }

    fn end_day(&mut self) {
        if self.in_day > 0 {
            self.by_hour.learn(self.busiest, self.days);
            self.by_day.learn(self.in_day, self.days);
            self.days = self.days.saturating_add(1);
        }
        self.forget_today();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 20_000 * DAY;

    fn rule(times: u32) -> Multiple {
        Multiple {
            times,
            at_least: 50,
            days: 7,
        }
    }

    /// After so many days with `busiest` in one hour, and the rest of `whole` one an hour.
    fn after(days: &[(u64, u64)]) -> (Usual, u64) {
        let mut usual = Usual::default();
        for (day, (busiest, whole)) in (0..).zip(days) {
            let begin = START + day * DAY;
            usual.add(*busiest, begin + 9 * 3_600);
            for hour in 0..(whole - busiest) {
                usual.add(1, begin + (10 + hour % 12) * 3_600);
            }
        }
        (usual, START + days.len() as u64 * DAY)
    }

    #[test]
    fn what_is_usual() {
        let steady = [(20, 30); 10];
        let weekdays_grow = [
            (10, 10),
            (10, 10),
            (10, 10),
            (100, 100),
            (10, 10),
            (10, 10),
            (10, 10),
            (10, 10),
        ];
        #[rustfmt::skip]
        let cases = [
            // what the case shows              days                 span         usual       allowed at five times
            ("not known yet",                   &steady[..6],        Span::Day,   None,       None),
            ("a steady day",                    &steady[..],         Span::Day,   Some(30),   Some(150)),
            ("its busiest hour",                &steady[..],         Span::Hour,  Some(20),   Some(100)),
            ("minutes are never learnt",        &steady[..],         Span::Minute, None,      None),
            ("little is never too much",        &[(1, 1); 9][..],    Span::Day,   Some(1),    Some(50)),
            ("one day does not teach much",     &weekdays_grow[..],  Span::Day,   Some(13),   Some(62)),
        ];
        for (shows, days, span, amount, allowed) in cases {
            let (usual, now) = after(days);
            assert_eq!(usual.amount(span, 7, now), amount, "{shows}");
            assert_eq!(usual.allows(span, &rule(5), now), allowed, "{shows}");
        }
    }

    #[test]
    fn days_without_mail_do_not_count() {
        let (usual, now) = after(&[(20, 20); 8]);
        assert_eq!(usual.amount(Span::Day, 7, now + 30 * DAY), Some(20));
        let few = after(&[(20, 20); 2]).0;
        assert_eq!(
            few.amount(Span::Day, 7, START + 90 * DAY),
            None,
            "two days say nothing"
        );
    }

    #[test]
    fn what_was_not_sent_is_not_learnt() {
        let (mut usual, now) = after(&[(20, 20); 8]);
        let before = usual;
        usual.add(500, now);
        usual.forget_today();
        let mut other = before;
        other.add(500, now);
        other.take_back(500, now);
        for usual in [usual, other] {
            assert_eq!(
                usual.amount(Span::Day, 7, now + DAY),
                before.amount(Span::Day, 7, now + DAY)
            );
        }
    }

    proptest! {
        /// However much is sent on a day, the level grows by an eighth and two at most; and it survives being written down.
        #[test]
        fn nobody_teaches_it_fast(days in proptest::collection::vec(0_u64..1_000_000_000, 9..60)) {
            let (mut usual, mut now) = after(&[(100, 100); 8]);
            let mut before = usual.amount(Span::Day, 7, now).unwrap();
            for amount in days {
                usual.add(amount, now);
                now += DAY;
                let after = usual.amount(Span::Day, 7, now).unwrap();
                prop_assert!(after <= before + before / 8 + 3, "{before} {after}");
                let kept: Usual = serde_json::from_str(&serde_json::to_string(&usual).unwrap()).unwrap();
                prop_assert_eq!(kept, usual);
                before = after;
            }
        }
    }
}
