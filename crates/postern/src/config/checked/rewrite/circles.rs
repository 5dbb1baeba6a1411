//! Entries of rewriting tables that form loops or are not addresses: found before mail arrives.

use futures_util::FutureExt as _;
use postern_directory::rewriting::Rewriting;
use postern_directory::tables::Lookup;
use postern_mail::{Domain, Mailbox, ParseOptions};
use postern_policy::rewrite::{Rule, Tables, Way, target};

use super::super::Checking;

/// Most entries of a table checked individually.
const ENTRIES_CHECKED: usize = 100_000;

/// Most mistakes reported for one rule.
const MISTAKES_MAX: usize = 10;

pub(super) fn check(rewriting: &Rewriting, c: &mut Checking<'_>) {
    for rule in &rewriting.rules {
        let Way::Tables(look_up) = rule.way else { continue };
        let mut mistakes = Vec::new();
        for table in rewriting.tables.get(look_up.number).into_iter().flatten() {
            of_table(rewriting, rule, look_up, table, &mut mistakes);
        }
        let written = c.file.rewrite.value.iter();
        let mut written =
            written.filter(|table| table.name.as_ref().is_some_and(|name| *name.value == *rule.name));
        let span = written
            .next()
            .and_then(|table| table.table.as_ref())
            .and_then(|table| table.span.clone());
        for mistake in mistakes {
            c.problems.error(
                span.clone(),
                mistake,
                "in this table",
                "have each entry lead to an address that no entry changes again, or write `repeat = false`",
            );
        }
    }
}

fn of_table(rewriting: &Rewriting, rule: &Rule, look_up: Tables, table: &Lookup, mistakes: &mut Vec<String>) {
    let Some(entries) = table.in_memory().and_then(postern_table::Table::entries) else {
        return;
    };
    for (key, value, line) in entries.iter().take(ENTRIES_CHECKED) {
        if mistakes.len() >= MISTAKES_MAX {
            return;
        }
        let Some(address) = example(key, &rewriting.origin) else {
            continue;
        };
        // The values of placeholders are not known here.
        let filled = look_up.sendmail && value.contains('%');
        if !filled && let Err(error) = target(value, &address, None, &rewriting.origin) {
            mistakes.push(format!(
                "line {line} of {}: {key}: the value {error}",
                table.name()
            ));
            continue;
        }
        let asked = rewriting.by_tables(rule, look_up, &address).now_or_never();
        if let Some(Err(trouble)) = asked {
            mistakes.push(format!("line {line} of {}: {trouble}", table.name()));
        }
    }
}

/// An address that is found under a key.
fn example(key: &str, origin: &Domain) -> Option<Mailbox> {
    let options = ParseOptions {
        utf8: true,
        default_domain: Some(origin),
        ..ParseOptions::default()
    };
    match key.strip_prefix('@') {
        Some(domain) => Mailbox::new("anybody", Domain::parse(domain, true).ok()?).ok(),
        None => Mailbox::parse(key, &options).ok(),
    }
}
