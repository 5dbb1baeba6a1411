//! `[[header_check]]`.

use std::sync::Arc;

use postern_directory::rewriting::TableTexts;
use postern_mail::{NewField, Status};
use postern_policy::access::Words;
use postern_policy::access::written::status;
use postern_policy::header_check::{By, Check, Own, Part, Verdict, postfix};
use postern_policy::rewrite::{When, Whose};
use postern_policy::route::Detour;
use postern_table::{Pattern, Table};

use super::super::{Checking, tables};
use super::common::{listeners, names, whose};
use crate::config::file::{CheckWord, HeaderCheckTable};
use crate::config::problem::Span;
use crate::config::read::At;

const TABLE: &str = "[[header_check]]";

/// Most mistakes reported for one table.
const MISTAKES_MAX: usize = 10;

pub(super) fn check(c: &mut Checking<'_>) -> Vec<Check> {
    let written = &c.file.header_check.value;
    names(written.iter().map(|table| table.name.as_ref()), TABLE, c.problems);
    written.iter().filter_map(|table| one(table, c)).collect()
}

fn one(table: &At<HeaderCheckTable>, c: &mut Checking<'_>) -> Option<Check> {
    let name = table.name.as_ref()?;
    let when = *table.at;
    let parts: Vec<Part> = table.parts.value.iter().map(|part| part.value).collect();
    if parts.is_empty() || (when == When::Out && parts != [Part::Header]) {
        let (label, remedy) = match parts.is_empty() {
            true => ("looks at nothing", "write for example `parts = [\"header\"]`"),
            false => (
                "only the header of outgoing mail is looked at",
                "write `at = \"in\"`, or leave `parts` out",
            ),
        };
        let title = format!("`parts` of the check {:?}", name.value);
        c.problems.error(table.parts.span.clone(), title, label, remedy);
        return None;
    }
    let by = by(table, &name.value, &parts, c)?;
    Some(Check {
        name: name.value.as_str().into(),
        when,
        whose: whose(table.clients.as_ref(), Whose::everybody(), when, TABLE, c),
        listeners: listeners(table.listeners.as_ref(), when, TABLE, c),
        parts: parts.into_iter().collect(),
        by,
    })
}

fn by(table: &At<HeaderCheckTable>, name: &str, parts: &[Part], c: &mut Checking<'_>) -> Option<By> {
    let own_keys = [
        ("verdict", table.verdict.is_some()),
        ("fields", table.fields.is_some()),
        ("pattern", table.pattern.is_some()),
        ("with", table.with.is_some()),
        ("to", table.to.is_some()),
    ];
    match (&table.table, &table.verdict) {
        (Some(written), _) => {
            if let Some((key, _)) = own_keys.iter().find(|(_, given)| *given) {
                c.problems.error(
                    written.span.clone(),
                    format!("`table` in [[header_check]] beside `{key}`"),
                    "a table has patterns and verdicts of its own",
                    "write a [[header_check]] for each",
                );
                return None;
            }
            by_table(written, *table.at, c)
        }
        (None, Some(verdict)) => Some(By::Own(own(table, verdict.value, name, parts, c)?)),
        (None, None) => {
            c.problems.error(
                table.span.clone(),
                "a [[header_check]] without an action",
                "does nothing",
                "add `table`, or `fields` with `verdict`",
            );
            None
        }
    }
}

/// A table of patterns with valid verdicts.
fn by_table(written: &At<postern_table::Reference>, when: When, c: &mut Checking<'_>) -> Option<By> {
    let lookup = tables::open(&written.value, written.span.clone(), c)?;
    if !lookup.is_at_hand() {
        c.problems.error(
            written.span.clone(),
            "a table of header checks in a database",
            "would be asked for each line of each message",
            "write the patterns to a file, and name that: `\"regexp:/etc/postfix/header_checks\"`",
        );
        return None;
    }
    let mut told = 0;
    for (value, line) in values(lookup.in_memory()) {
        let (title, label, remedy, is_error) = match postfix(&value) {
            Err(error) => {
                let whole = error.to_string();
                let (label, remedy) = whole.split_once("; ").unwrap_or((&whole, "see header_checks(5)"));
                (
                    label.to_owned(),
                    "has a verdict that cannot be done",
                    remedy.to_owned(),
                    true,
                )
            }
            Ok(verdict) if when == When::Out && !verdict.fits_out() => (
                format!("{value:?} is not done when mail leaves"),
                "has no effect",
                "write `at = \"in\"`".to_owned(),
                false,
            ),
            Ok(_) => continue,
        };
        told += 1;
        if told > MISTAKES_MAX {
            break;
        }
        let title = format!("line {line} of {}: {title}", lookup.name());
        match is_error {
            true => c.problems.error(written.span.clone(), title, label, remedy),
            false => c.problems.warning(written.span.clone(), title, label, remedy),
        }
    }
    Some(By::Table(Arc::new(TableTexts(lookup))))
}

/// All values of a table in memory, with their lines.
fn values(table: Option<&Table>) -> Vec<(String, usize)> {
    match table {
        Some(Table::Patterns(patterns)) => patterns.values().collect(),
        Some(Table::Entries(entries)) => entries
            .iter()
            .map(|(_, value, line)| (value.to_owned(), line))
            .collect(),
        Some(Table::Constant(value)) => vec![(value.to_string(), 0)],
        _ => Vec::new(),
    }
}

fn own(
    table: &At<HeaderCheckTable>,
    word: CheckWord,
    name: &str,
    parts: &[Part],
    c: &mut Checking<'_>,
) -> Option<Own> {
    let in_body = parts.contains(&Part::Body);
    let fields: Vec<&At<String>> = table.fields.iter().flat_map(|fields| &fields.value).collect();
    if fields.is_empty() && !in_body {
        c.problems.error(
            table.span.clone(),
            format!("the check {name:?} names no fields"),
            "would apply to each field of each message",
            "add `fields`, for example `fields = [\"User-Agent\"]`, or `[\"*\"]` for all",
        );
        return None;
    }
    if in_body && (parts.len() > 1 || !fields.is_empty() || table.pattern.is_none()) {
        c.problems.error(
            table.span.clone(),
            format!("the check {name:?} looks at lines of the body"),
            "lines have no names",
            "write `parts = [\"body\"]` with `pattern` and without `fields`",
        );
        return None;
    }
    let verdict = verdict(table, word, name, c)?;
    if *table.at == When::Out && !verdict.fits_out() {
        c.problems.error(
            table.verdict.as_ref().and_then(|verdict| verdict.span.clone()),
            format!("the check {name:?} cannot do this when mail leaves"),
            "fields can be changed, and nothing else",
            "write `at = \"in\"`",
        );
        return None;
    }
    let all = fields.iter().any(|field| field.value == "*");
    Some(Own {
        fields: match all {
            true => Vec::new(),
            false => fields.iter().map(|field| field.value.as_str().into()).collect(),
        },
        pattern: pattern(table, in_body, c)?,
        verdict,
    })
}

/// The pattern, with the new text if there is one; the inner `None` means that any value matches.
fn pattern(table: &At<HeaderCheckTable>, in_body: bool, c: &mut Checking<'_>) -> Option<Option<Pattern>> {
    let with = table.with.as_ref().map_or("", |with| with.value.as_str());
    if let Some(with) = table.with.as_ref().filter(|_| !in_body) {
        let made = with
            .value
            .split_once(':')
            .map(|(name, value)| NewField::new(name.trim(), value.as_bytes()));
        if !matches!(made, Some(Ok(_))) {
            c.problems.error(
                with.span.clone(),
                "`with` in [[header_check]] is not a header field",
                "has no name with a colon",
                "write it as \"X-Client: hidden\"",
            );
            return None;
        }
    }
    let Some(written) = &table.pattern else {
        return Some(None);
    };
    match Pattern::new(&written.value, with) {
        Ok(pattern) => Some(Some(pattern)),
        Err(error) => {
            c.problems.error(
                written.span.clone(),
                format!("`pattern` in [[header_check]] {error}"),
                "cannot be used",
                "write a regular expression of Perl's; `\\` is written twice in quotes, or once between '…'",
            );
            None
        }
    }
}

fn verdict(
    table: &At<HeaderCheckTable>,
    word: CheckWord,
    name: &str,
    c: &mut Checking<'_>,
) -> Option<Verdict> {
    let reason = || -> Box<str> {
        table
            .reason
            .as_ref()
            .map_or(name, |reason| reason.value.as_str())
            .into()
    };
    let span: Option<Span> = table.verdict.as_ref().and_then(|verdict| verdict.span.clone());
    let mut lacks = |key: &str, example: &str| {
        c.problems.error(
            span.clone(),
            format!("`{key}` is missing in [[header_check]]"),
            "this verdict needs it",
            format!("add for example `{key} = {example}`"),
        );
        None::<Verdict>
    };
    Some(match word {
        CheckWord::Keep => Verdict::Keep,
        CheckWord::Remove => Verdict::Remove,
        CheckWord::Note => Verdict::Note(reason()),
        CheckWord::Hold => Verdict::Hold(reason()),
        CheckWord::Discard => Verdict::Discard(reason()),
        CheckWord::Replace | CheckWord::Prepend => {
            let Some(with) = &table.with else {
                return lacks("with", "\"X-Client: hidden\"");
            };
            let text = with.value.as_str().into();
            match word {
                CheckWord::Replace => Verdict::Replace(text),
                _ => Verdict::Prepend(text),
            }
        }
        CheckWord::Detour => {
            let Some(way) = &table.way else {
                return lacks("way", "\"smtp:[127.0.0.1]:10024\"");
            };
            match Detour::parse(&way.value) {
                Ok(detour) => Verdict::Detour(Arc::new(detour)),
                Err(error) => {
                    let whole = error.to_string();
                    let (label, remedy) = whole.split_once("; ").unwrap_or((&whole, "correct it"));
                    c.problems.error(
                        way.span.clone(),
                        format!("`way` in [[header_check]]: {label}"),
                        "leads nowhere",
                        remedy,
                    );
                    return None;
                }
            }
        }
        CheckWord::Redirect | CheckWord::Copy => {
            let Some(to) = &table.to else {
                return lacks("to", "\"moderator@example.org\"");
            };
            match word {
                CheckWord::Redirect => Verdict::Redirect(to.value.clone()),
                _ => Verdict::Copy(to.value.clone()),
            }
        }
        CheckWord::Refuse => Verdict::Refuse(words(table, Verdict::USUAL, c)?),
        CheckWord::Defer => {
            let usual = (
                450,
                Status(4, 7, 1),
                "message content not accepted now, try again later",
            );
            Verdict::Refuse(words(table, usual, c)?)
        }
    })
}

fn words(
    table: &At<HeaderCheckTable>,
    usual: (u16, Status, &'static str),
    c: &mut Checking<'_>,
) -> Option<Words> {
    let class = usual.1.0;
    let code = table
        .code
        .as_ref()
        .map_or(usual.0, |code| u16::try_from(code.value).unwrap_or(usual.0));
    let own = match &table.status {
        None => Some(Status(class, usual.1.1, usual.1.2)),
        Some(written) => status(&written.value),
    };
    let text = table.text.as_ref().map_or(usual.2, |text| text.value.as_str());
    let made = own.filter(|own| own.0 == class && u16::from(class) == code / 100);
    match made.map(|own| Words::new(code, own, text)) {
        Some(Ok(words)) => Some(words),
        other => {
            let why = match other {
                Some(Err(error)) => error.to_string(),
                _ => {
                    format!("code and status are not both of class {class}; write {class}xx and {class}.x.x")
                }
            };
            let (label, remedy) = why.split_once("; ").unwrap_or((&why, "change it"));
            let span = table.code.as_ref().and_then(|code| code.span.clone());
            c.problems.error(
                span.or_else(|| table.span.clone()),
                "the reply of a [[header_check]] is not valid",
                label,
                remedy,
            );
            None
        }
    }
}
