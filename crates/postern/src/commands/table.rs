//! `postern table`: a table's entry for a key, through which key of the plan, and where it is written.

use std::net::IpAddr;
use std::path::PathBuf;

use postern_directory::tables::{Down, Hit, Lookup, Tables};
use postern_table::{Address, Key, Plan, Reference, Subject, fill};
use serde::Serialize;

use crate::args::TableArgs;
use crate::exit::{Exit, Failure};
use crate::{locate, output, visible};

/// The result for one key.
#[derive(Debug, Serialize)]
struct Outcome {
    /// What was looked up.
    key: String,
    /// Whether the table has it; none if that cannot be determined now.
    found: Option<bool>,
    /// The value, with its placeholders filled in.
    value: Option<String>,
    /// The key of the plan that was found.
    by: Option<String>,
    /// The table that has it, if there are several.
    table: Option<String>,
    file: Option<PathBuf>,
    line: Option<usize>,
    /// Why it cannot be determined.
    error: Option<String>,
}

/// Looks up the keys; the exit status says whether all were found.
pub(crate) fn run(args: &TableArgs) -> Result<(), Failure> {
    let plan = plan_of(&args.plan)?;
    let table = table_of(args)?;
    if args.keys.is_empty() {
        return count(&table, args);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start", &error))?;
    let outcomes: Vec<Outcome> = args
        .keys
        .iter()
        .map(|key| {
            let keys = keys_of(plan, key, args);
            outcome(key, runtime.block_on(table.find(&keys)))
        })
        .collect();
    if args.listing.json.json {
        output::print_json(&outcomes)?;
    } else {
        for outcome in &outcomes {
            output::print(&visible::line(&told(outcome, plan)))?;
        }
    }
    if outcomes.iter().any(|outcome| outcome.found.is_none()) {
        Err(Failure::silent(Exit::TryAgain))
    } else if outcomes.iter().all(|outcome| outcome.found == Some(true)) {
        Ok(())
    } else {
        Err(Failure::silent(Exit::No))
    }
}

fn plan_of(word: &str) -> Result<Plan, Failure> {
    Plan::ALL
        .into_iter()
        .find(|plan| plan.word() == word)
        .ok_or_else(|| {
            let words: Vec<&str> = Plan::ALL.iter().map(|plan| plan.word()).collect();
            Failure::new(
                Exit::Usage,
                format!("there is no order {word:?}; there are {}", words.join(", ")),
            )
        })
}

/// The table by its name in the configuration, or by a direct reference, for which no configuration is needed.
fn table_of(args: &TableArgs) -> Result<Lookup, Failure> {
    if !Reference::is_meant(&args.table) {
        return named(&args.table, args);
    }
    let reference =
        Reference::parse(&args.table).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    if let Reference::Named(name) = &reference {
        return named(name, args);
    }
    let here =
        std::env::current_dir().map_err(|error| Failure::io("cannot tell the current folder", &error))?;
    let reference = reference.with_paths(&mut |path| here.join(path));
    let mut tables = Tables::default();
    let opened = tables.open(&reference).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Config, lines.join("\n"))
    });
    for warning in tables.warnings() {
        eprintln!("postern: {warning}");
    }
    opened
}

fn named(name: &str, args: &TableArgs) -> Result<Lookup, Failure> {
    let path = locate::existing(&args.listing.config)?;
    let config = super::checked(&path)?;
    config.tables.named(name).cloned().ok_or_else(|| {
        let names: Vec<&str> = config.tables.names().collect();
        let others = if names.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        Failure::new(
            Exit::No,
            format!(
                "there is no [[table]] with the name {name:?} in {}; {others}",
                path.display()
            ),
        )
    })
}

fn keys_of(plan: Plan, key: &str, args: &TableArgs) -> Vec<Key> {
    let address = Address::of(key, &args.separators).map(|address| Address {
        is_local: args.local,
        ..address
    });
    let subject = match (address, key.parse::<IpAddr>()) {
        (Some(address), _) => Subject::Address(address),
        (None, Ok(address)) => Subject::Network(address),
        (None, Err(_)) => Subject::Name(key),
    };
    plan.keys(&subject)
}

fn outcome(key: &str, found: Result<Option<Hit>, Down>) -> Outcome {
    let nothing = Outcome {
        key: key.to_owned(),
        found: Some(false),
        value: None,
        by: None,
        table: None,
        file: None,
        line: None,
        error: None,
    };
    match found {
        Ok(None) => nothing,
        Ok(Some(hit)) => {
            let (file, line) = hit.answer.at.unzip();
            Outcome {
                found: Some(true),
                // Only sendmail's plans have arguments.
                value: Some(if hit.key.arguments.is_empty() {
                    hit.answer.value
                } else {
                    fill(&hit.answer.value, &hit.key)
                }),
                by: Some(hit.key.text),
                table: Some(hit.table),
                file,
                line,
                ..nothing
            }
        }
        Err(down) => Outcome {
            found: None,
            error: Some(down.to_string()),
            ..nothing
        },
    }
}

fn told(outcome: &Outcome, plan: Plan) -> String {
    let key = &outcome.key;
    if let Some(error) = &outcome.error {
        return format!("{key}: {error}");
    }
    let Some(value) = &outcome.value else {
        return match plan {
            Plan::Exact => format!("{key}: not found"),
            plan => format!("{key}: not found, in the order {:?}", plan.word()),
        };
    };
    let mut told = format!("{key}: {value}");
    let by = outcome.by.as_deref().filter(|by| by != key);
    let place = match (&outcome.file, outcome.line) {
        (Some(file), Some(line)) => Some(format!("{}:{line}", file.display())),
        _ => None,
    };
    let notes: Vec<String> = [by.map(|by| format!("by {by}")), place]
        .into_iter()
        .flatten()
        .collect();
    if !notes.is_empty() {
        told.push_str(&format!("  ({})", notes.join(", ")));
    }
    told
}

/// The number of entries in the table, if they can be counted.
fn count(table: &Lookup, args: &TableArgs) -> Result<(), Failure> {
    if args.listing.json.json {
        let list: Vec<serde_json::Value> = table
            .parts()
            .iter()
            .map(|part| {
                let count = part.in_memory().map(postern_table::Table::len);
                serde_json::json!({ "table": part.name(), "count": count })
            })
            .collect();
        return output::print_json(&list);
    }
    for part in table.parts() {
        let counted = part.in_memory().map(postern_table::Table::counted);
        let counted = counted.unwrap_or_else(|| "is asked for each key".to_owned());
        output::print(&visible::line(&format!("{}: {counted}", part.name())))?;
    }
    Ok(())
}
