//! Where settings go: the cases that sendmail and Postfix share, and how each is handled.

use super::times::Time;
use super::{key, missing, nothing};
use crate::config::Value;
use crate::report::Weight;

/// A setting of the old server, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Row<Own> {
    /// Its name.
    pub name: &'static str,
    /// Where it goes.
    pub goes: Goes<Own>,
}

pub(crate) const fn row<Own: Copy>(name: &'static str, goes: Goes<Own>) -> Row<Own> {
    Row { name, goes }
}

/// Where a setting goes.
#[derive(Clone, Copy, Debug)]
pub enum Goes<Own> {
    /// Its text to a key, named by section and name.
    Text(&'static str, &'static str),
    /// Its number to a key.
    Number(&'static str, &'static str),
    /// Its number to a key with this minimum.
    AtLeast(&'static str, &'static str, u32),
    /// Octets to a key.
    Octets(&'static str, &'static str),
    /// Its time to a key; this is the unit if none is given.
    Time(&'static str, &'static str, &'static str),
    /// Read by another part of the import, which reports it as this.
    Elsewhere(&'static str),
    /// There is nothing to carry over.
    Nothing(&'static str),
    /// Not carried over.
    Missing(Weight, &'static str),
    /// Specific to this old server.
    Own(Own),
}

/// Settings specific to one of the old servers.
pub trait Special: Copy {
    /// Where it goes, for display.
    fn shown(&self) -> String;
}

impl<Own: Special> Goes<Own> {
    /// Where it goes, for display.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Text(section, name)
            | Self::Number(section, name)
            | Self::Octets(section, name)
            | Self::Time(section, name, _) => key(section, name),
            Self::AtLeast(section, name, least) => format!("{}, {least} at least", key(section, name)),
            Self::Elsewhere(to) => format!("`{to}`"),
            Self::Nothing(why) => nothing(why),
            Self::Missing(_, remedy) => missing(remedy),
            Self::Own(own) => own.shown(),
        }
    }

    /// Carries a value over.
    pub(crate) fn carry_over(self, value: &str, line: &mut impl Line<Own>) {
        match self {
            Self::Nothing(why) => line.meaningless(why),
            Self::Elsewhere(to) => line.elsewhere(to),
            Self::Missing(weight, remedy) => line.missing(weight, remedy),
            Self::Own(own) => line.own(own, value),
            _ if value.is_empty() => line.meaningless(EMPTY),
            Self::Text(section, key) => line.set(section, key, Value::text(value)),
            Self::Number(section, key) => number(line, value, (section, key), 0),
            Self::AtLeast(section, key, least) => number(line, value, (section, key), least),
            Self::Octets(section, key) => octets(line, value, (section, key)),
            Self::Time(section, key, unit) => time(line, value, (section, key), unit),
        }
    }
}

/// Why a setting without a value is dropped.
pub(crate) const EMPTY: &str = "it is empty";

/// The line of a setting being carried over.
pub(crate) trait Line<Own> {
    /// Sets a key to its value.
    fn set(&mut self, section: &str, key: &str, value: Value);

    /// Sets a key to a value other than the line's, and reports the difference.
    fn set_else(&mut self, section: &str, key: &str, value: Value, difference: String);

    fn meaningless(&mut self, why: &str);

    fn missing(&mut self, weight: Weight, remedy: &str);

    /// Another part of the import reads it, and carries it over if the site needs it.
    fn elsewhere(&mut self, to: &'static str);

    /// Carries over settings specific to this old server.
    fn own(&mut self, own: Own, value: &str);

    /// Reports that the value cannot be read.
    fn unreadable(&mut self) {
        self.missing(Weight::Detail, "its value is not understood; set the key by hand");
    }
}

/// A key: its section and its name.
type Key = (&'static str, &'static str);

fn number<Own>(line: &mut impl Line<Own>, value: &str, (section, key): Key, least: u32) {
    match value.parse::<u32>() {
        Ok(0) => line.meaningless("0 means no limit"),
        Ok(number) if number < least => {
            let difference =
                format!("{number} before, {least} now: no less can be set (RFC 5321 section 4.5.3.1)");
            line.set_else(section, key, Value::plain(least), difference);
        }
        Ok(number) => line.set(section, key, Value::plain(number)),
        Err(_) => line.unreadable(),
    }
}

/// Minimum and maximum octets of keys.
const SIZES: &[(Key, u64, u64)] = &[
    (("", "message_size_limit"), 64 << 10, 2 << 30),
    (("limits", "header"), 4 << 10, 16 << 20),
];

fn octets<Own>(line: &mut impl Line<Own>, value: &str, at: Key) {
    let (section, key) = at;
    let Ok(octets) = value.parse::<u64>() else {
        return line.unreadable();
    };
    let bounds = SIZES.iter().find(|(known, ..)| *known == at);
    match bounds {
        Some((_, _, most)) if octets == 0 => {
            let size = size(*most);
            let difference = format!("there was no limit; {size} are the most that can be");
            line.set_else(section, key, Value::text(size), difference);
        }
        Some((_, least, most)) if !(*least..=*most).contains(&octets) => {
            let (bound, word) = if octets < *least {
                (least, "less")
            } else {
                (most, "more")
            };
            let size = size(*bound);
            let difference = format!("{octets} octets before, {size} now: no {word} can be set");
            line.set_else(section, key, Value::text(size), difference);
        }
        _ if octets == 0 => line.meaningless("0 means no limit"),
        _ => line.set(section, key, Value::text(format!("{octets} B"))),
    }
}

/// A limit, in the largest unit in which it is a whole number.
fn size(octets: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| octets.is_multiple_of(*unit));
    unit.map_or_else(
        || format!("{octets} B"),
        |(unit, name)| format!("{} {name}", octets / unit),
    )
}

/// The maximum times of keys, in seconds; for other keys, they are longer than anybody sets.
const LONGEST: &[(Key, u64)] = &[
    (("timeouts", "error_delay"), 1),
    (("timeouts", "command"), 3_600),
    (("timeouts", "data_block"), 3_600),
    (("retry", "expire_after"), 60 * 86_400),
    (("retry", "warn_after"), 60 * 86_400),
    (("delivery.timeouts", "connect"), 600),
    (("delivery.timeouts", "quit"), 600),
    (("delivery.timeouts", "end_of_data"), 7_200),
    (("delivery.timeouts", ""), 3_600),
];

fn time<Own>(line: &mut impl Line<Own>, value: &str, at: Key, unit: &str) {
    let (section, key) = at;
    let Some(time) = Time::read(value, unit) else {
        return line.unreadable();
    };
    let longest = LONGEST
        .iter()
        .find(|(known, _)| *known == at || *known == (section, ""));
    match longest {
        Some((_, longest)) if time.seconds > *longest => {
            let most = format!("{longest}s");
            let difference = format!("{} before, {most} now: no more can be set", time.text);
            line.set_else(section, key, Value::text(most), difference);
        }
        _ => line.set(section, key, Value::text(time.text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct None_;

    /// What was reported for the line.
    #[derive(Default)]
    struct Said(String);

    impl Line<None_> for Said {
        fn set(&mut self, section: &str, key: &str, value: Value) {
            self.0 = format!("{section} {key} = {value:?}");
        }
        fn set_else(&mut self, _: &str, _: &str, value: Value, difference: String) {
            self.0 = format!("{value:?}: {difference}");
        }
        fn meaningless(&mut self, why: &str) {
            why.clone_into(&mut self.0);
        }
        fn missing(&mut self, _: Weight, remedy: &str) {
            remedy.clone_into(&mut self.0);
        }
        fn elsewhere(&mut self, to: &'static str) {
            to.clone_into(&mut self.0);
        }
        fn own(&mut self, _: None_, _: &str) {}
    }

    impl Special for None_ {
        fn shown(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn values_are_carried_over_within_bounds() {
        use Goes::{AtLeast, Number, Octets, Text, Time};
        let limit = Octets("", "message_size_limit");
        let connect = Time("delivery.timeouts", "connect", "s");
        let cases = [
            (Text("tls", "key"), "/k", "tls key = Text(\"/k\")"),
            (Text("tls", "key"), "", EMPTY),
            (Number("a", "b"), "7", "a b = Plain(\"7\")"),
            (Number("a", "b"), "0", "0 means no limit"),
            (
                Number("a", "b"),
                "x",
                "its value is not understood; set the key by hand",
            ),
            (
                AtLeast("a", "b", 100),
                "50",
                "Plain(\"100\"): 50 before, 100 now: no less can be set (RFC 5321 section 4.5.3.1)",
            ),
            (Octets("a", "b"), "5", "a b = Text(\"5 B\")"),
            (
                limit,
                "0",
                "Text(\"2 GiB\"): there was no limit; 2 GiB are the most that can be",
            ),
            (
                limit,
                "4294967296",
                "Text(\"2 GiB\"): 4294967296 octets before, 2 GiB now: no more can be set",
            ),
            (
                limit,
                "1000",
                "Text(\"64 KiB\"): 1000 octets before, 64 KiB now: no less can be set",
            ),
            (limit, "20480000", " message_size_limit = Text(\"20480000 B\")"),
            (connect, "30", "delivery.timeouts connect = Text(\"30s\")"),
            (
                connect,
                "1h",
                "Text(\"600s\"): 1h before, 600s now: no more can be set",
            ),
            (
                Time("delivery.timeouts", "mail", "m"),
                "2h",
                "Text(\"3600s\"): 2h before, 3600s now: no more can be set",
            ),
        ];
        for (goes, value, expected) in cases {
            let mut said = Said::default();
            goes.carry_over(value, &mut said);
            assert_eq!(said.0, expected, "{value}");
        }
    }
}
