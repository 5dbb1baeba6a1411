//! Statistics as text for people, 80 columns wide: for the terminal and for mail.

use std::fmt::Write as _;

use jiff::civil::Date;

use crate::counts::Counts;
use crate::day::Day;
use crate::statistics::NONE;
use crate::top::Top;

/// Room for names; longer ones get a line of their own.
const NAME: usize = 34;

/// A column: its title and its values.
type Column = (&'static str, fn(&Counts) -> String);

const ACCEPTED: Column = ("ACCEPTED", |counts| counts.accepted.to_string());
const RECIPIENTS: Column = ("RECIPIENTS", |counts| counts.recipients.to_string());
const SIZE: Column = ("SIZE", |counts| size(counts.bytes));
const REFUSED: Column = ("REFUSED", |counts| counts.refused.to_string());
const DELIVERED: Column = ("DELIVERED", |counts| counts.delivered.to_string());
const DEFERRED: Column = ("DEFERRED", |counts| counts.deferred.to_string());
const BOUNCED: Column = ("BOUNCED", |counts| counts.bounced.to_string());
const EXPIRED: Column = ("EXPIRED", |counts| counts.expired.to_string());

/// A report of the days from the first to the last that were asked for, with that many of the most frequent names. Of days without
/// mail there may be none.
#[must_use]
pub fn report(days: &[Day], (first, last): (Date, Date), top: usize) -> String {
    if days.is_empty() {
        return "there are no statistics of these days\n".to_owned();
    }
    let whole = sum(days);
    let mut text = if first == last {
        format!("Mail on {first} (UTC)\n")
    } else {
        format!("Mail from {first} to {last} (UTC)\n")
    };
    text.push_str(&totals(&whole.total()));
    let course = [ACCEPTED, REFUSED, DELIVERED, DEFERRED];
    if first != last {
        let rows = days.iter().map(|day| (day.date.to_string(), day.total()));
        table("DAY", &course, rows, &mut text);
    } else {
        let rows = whole.hours.iter().enumerate();
        let rows = rows.filter(|(_, counts)| **counts != Counts::default());
        let rows = rows.map(|(hour, counts)| (format!("{hour:02}:00"), *counts));
        table("HOUR", &course, rows, &mut text);
    }
    let coming = [ACCEPTED, RECIPIENTS, REFUSED, SIZE];
    names("LISTENER", &coming, &whole.listeners, top, &mut text);
    names("LOGIN", &coming, &whole.logins, top, &mut text);
    names(
        "SENDERS FROM",
        &[ACCEPTED, RECIPIENTS, SIZE],
        &whole.senders,
        top,
        &mut text,
    );
    let going = [DELIVERED, DEFERRED, BOUNCED, EXPIRED];
    names("RECIPIENTS IN", &going, &whole.recipients, top, &mut text);
    names("REFUSED BY RULE", &[REFUSED], &whole.rules, top, &mut text);
    text
}

/// All days as one, with the date of the first.
#[must_use]
pub fn sum(days: &[Day]) -> Day {
    let mut days = days.iter();
    let mut whole = days.next().cloned().unwrap_or_else(|| Day::new(Date::default()));
    // Merging evicts no name.
    days.for_each(|day| whole.merge(day, usize::MAX));
    whole
}

fn totals(counts: &Counts) -> String {
    format!(
        "\naccepted   {} for {}, {}\nrefused    {}\ndelivered  {}\ndeferred   {}\nbounced    {}\nexpired    {}\n",
        counted(counts.accepted, "message"),
        counted(counts.recipients, "recipient"),
        size(counts.bytes),
        counted(counts.refused, "time"),
        counted(counts.delivered, "recipient"),
        counted(counts.deferred, "time"),
        counted(counts.bounced, "recipient"),
        counted(counts.expired, "recipient"),
    )
}

/// `1 message`, `2 messages`.
fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// The most frequent names, and the rest in one row.
fn names(title: &str, columns: &[Column], top: &Top, most: usize, text: &mut String) {
    let all: Vec<_> = top
        .names()
        .into_iter()
        .filter(|named| named.counts != Counts::default())
        .collect();
    let mut rest = top.rest();
    all.iter().skip(most).for_each(|named| rest += named.counts);
    let shown = all.into_iter().take(most);
    // For senders it is how the null reverse-path is written.
    let shown_as = |name: &str| match (title, name) {
        ("LOGIN", NONE) => "(no login)".to_owned(),
        _ => name.to_owned(),
    };
    let mut rows: Vec<(String, Counts)> = shown.map(|named| (shown_as(&named.name), named.counts)).collect();
    if rest != Counts::default() {
        rows.push(("(all others)".to_owned(), rest));
    }
    table(title, columns, rows, text);
}

fn table(
    title: &str,
    columns: &[Column],
    rows: impl IntoIterator<Item = (String, Counts)>,
    text: &mut String,
) {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return;
    }
    let titles: String = columns.iter().map(|(title, _)| format!(" {title:>10}")).collect();
    let _ = writeln!(text, "\n{title:<NAME$}{titles}");
    for (name, counts) in rows {
        let cells: String = columns
            .iter()
            .map(|(_, cell)| format!(" {:>10}", cell(&counts)))
            .collect();
        let name: String = name
            .chars()
            .map(|octet| if octet.is_control() { '?' } else { octet })
            .collect();
        if name.chars().count() > NAME {
            let _ = writeln!(text, "{name}\n{:<NAME$}{cells}", "");
        } else {
            let _ = writeln!(text, "{name:<NAME$}{cells}");
        }
    }
}

/// A size in octets, for display.
fn size(octets: u64) -> String {
    let mut value = octets as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1_023.95 {
            let decimals = usize::from(unit != "B" && value < 9.95);
            return format!("{value:.decimals$} {unit}");
        }
        value /= 1_024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn day(number: i8) -> Day {
        let mut day = Day::new(date(2026, 12, number));
        let come = Counts {
            accepted: 2,
            recipients: 3,
            bytes: 4_096,
            ..Counts::default()
        };
        let gone = Counts {
            delivered: 3,
            ..Counts::default()
        };
        day.hours[9] += come;
        day.hours[10] += gone;
        day.listeners.add("submission", come, 10);
        for login in ["ann@example.org", "bob@example.org", &"long".repeat(12)] {
            day.logins.add(login, come, 10);
        }
        day.senders.add("example.org", come, 10);
        day.recipients.add("there.example", gone, 10);
        let refused = Counts {
            refused: 4,
            ..Counts::default()
        };
        day.rules.add("relay.denied", refused, 10);
        day
    }

    #[test]
    fn a_day_is_told_by_hours_and_a_week_by_days() {
        let one = report(&[day(1)], (date(2026, 12, 1), date(2026, 12, 1)), 2);
        assert!(
            one.starts_with("Mail on 2026-12-01 (UTC)\n\naccepted   2 messages for 3 recipients, 4.0 KiB\n"),
            "{one}"
        );
        let hour = "HOUR                                 ACCEPTED    REFUSED  DELIVERED   DEFERRED\n\
                    09:00                                       2          0          0          0\n";
        assert!(one.contains(hour), "{one}");
        assert!(
            one.contains("(all others)"),
            "two of three names are shown: {one}"
        );
        assert!(one.lines().all(|line| line.len() <= 80), "{one}");
        let two = report(&[day(1), day(2)], (date(2026, 12, 1), date(2026, 12, 2)), 10);
        assert!(
            two.starts_with("Mail from 2026-12-01 to 2026-12-02 (UTC)\n\naccepted   4 messages"),
            "{two}"
        );
        assert!(
            two.contains("\n2026-12-02                                  2"),
            "{two}"
        );
        assert!(
            two.contains("\nthere.example                               6"),
            "{two}"
        );
        assert!(
            two.contains("\nREFUSED BY RULE                       REFUSED\nrelay.denied                                8\n"),
            "{two}"
        );
        assert!(!two.contains("(all others)"), "{two}");
        assert!(report(&[], (date(2026, 12, 1), date(2026, 12, 2)), 10).contains("no statistics"));
        let week = report(&[day(1)], (date(2026, 12, 1), date(2026, 12, 7)), 10);
        let mut none = day(1);
        none.logins.add(NONE, none.total(), 10);
        let told = report(&[none], (date(2026, 12, 1), date(2026, 12, 1)), 10);
        assert!(told.contains("\n(no login)") && !told.contains("<>"), "{told}");
        assert!(
            week.starts_with("Mail from 2026-12-01 to 2026-12-07 (UTC)\n"),
            "{week}"
        );
    }
}
