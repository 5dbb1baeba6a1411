//! `[[copy]]`.

use postern_directory::tables::Lookup;
use postern_mail::Mailbox;
use postern_policy::copy::{COPIES_MAX, CopyOf, CopyRule};
use postern_policy::rewrite::{When, Whose};

use super::super::{Checking, tables};
use super::common::{addresses, listeners, names, whose};
use crate::config::file::{CopyOfWord, CopyTable};
use crate::config::read::At;

const TABLE: &str = "[[copy]]";

pub(super) fn check(c: &mut Checking<'_>) -> (Vec<CopyRule>, Vec<Vec<Lookup>>) {
    let written = &c.file.copy.value;
    names(written.iter().map(|table| table.name.as_ref()), TABLE, c.problems);
    let (mut rules, mut opened) = (Vec::new(), Vec::new());
    for table in written {
        let of = of(table, &mut opened, c);
        let (Some(name), Some(of)) = (&table.name, of) else {
            continue;
        };
        rules.push(CopyRule {
            name: name.value.as_str().into(),
            whose: whose(table.clients.as_ref(), Whose::everybody(), When::In, TABLE, c),
            listeners: listeners(table.listeners.as_ref(), When::In, TABLE, c),
            of,
        });
    }
    (rules, opened)
}

fn of(table: &At<CopyTable>, opened: &mut Vec<Vec<Lookup>>, c: &mut Checking<'_>) -> Option<CopyOf> {
    let mut mistake = |title: &str, label: &str, remedy: &str| {
        c.problems.error(table.span.clone(), title, label, remedy);
    };
    let conditions = [table.senders.is_some(), table.recipients.is_some()];
    match (&table.to, &table.table) {
        (None, None) => {
            mistake(
                "a [[copy]] without recipients",
                "makes no copies",
                "add `to` or `table`",
            );
            return None;
        }
        (Some(_), Some(_)) => {
            mistake(
                "a [[copy]] with `to` and `table`",
                "which one is meant?",
                "write a [[copy]] for each",
            );
            return None;
        }
        (None, Some(_)) if conditions.contains(&true) => {
            mistake(
                "a [[copy]] with `table` beside `senders` or `recipients`",
                "a table has its own",
                "remove them",
            );
            return None;
        }
        _ if conditions == [true, true] => {
            mistake(
                "a [[copy]] with `senders` and `recipients`",
                "which one is meant?",
                "write a [[copy]] for each",
            );
            return None;
        }
        _ => {}
    }
    if let Some(references) = &table.table {
        let Some(look_up) = &table.look_up else {
            mistake(
                "`look_up` is missing in [[copy]]",
                "a table needs it",
                "add `look_up = \"sender\"` or `look_up = \"recipient\"`",
            );
            return None;
        };
        opened.push(tables::open_all(&references.value, c));
        let number = opened.len() - 1;
        return Some(match look_up.value {
            CopyOfWord::Sender => CopyOf::SenderTable(number),
            CopyOfWord::Recipient => CopyOf::RecipientTable(number),
        });
    }
    let to: Vec<Mailbox> = table
        .to
        .iter()
        .flat_map(|to| &to.value)
        .map(|to| to.value.clone())
        .collect();
    if to.is_empty() || to.len() > COPIES_MAX {
        c.problems.error(
            table.to.as_ref().and_then(|to| to.span.clone()),
            format!("a [[copy]] to {} addresses", to.len()),
            "there may be from 1 to 100",
            "name the addresses, or one alias for all of them",
        );
    }
    Some(match (&table.senders, &table.recipients) {
        (Some(senders), _) => CopyOf::Senders(addresses(&senders.value, "senders", TABLE, c), to),
        (_, Some(recipients)) => CopyOf::Recipients(addresses(&recipients.value, "recipients", TABLE, c), to),
        _ => CopyOf::All(to),
    })
}
