//! `docs/log.md`, and the tables of rules and events in other documents, made from the code itself.

use std::fmt::Write as _;

use postern_events::{CONTRACT, EVENTS, EventInfo, Key, Lane, Level, NEWS};
use postern_mail::FailureKind;
use postern_policy::rule::{Rule, Says};

const HEAD: &str = "\
<!-- Made by `postern log-reference` from the code; a test compares both. -->

# Events, fields and rules

What the log says, as a contract for people and programs. In the readable form an event is a line of time, words and `name=value`; with
`format = \"json\"` in `[log]` it is an object with `time`, `level`, `target`, `message` for the words, and the fields. Under systemd's
journal the readable form leaves the time to the journal, and each line has its priority. A field without a value is left out.

A new event, field or rule does not change the version of the contract. A name that is taken away, or that means something else, does.
";

/// The document.
pub(crate) fn markdown() -> String {
    let mut out = HEAD.to_owned();
    let _ = write!(out, "\nThis is version {CONTRACT}.\n\n## Events\n\n{}", events());
    out.push_str(
        "\nBeside these there is rarer news about disks, files and servers, with the same fields.\n",
    );
    let _ = write!(out, "\n## Fields\n\n{}", fields());
    let _ = write!(
        out,
        "\n## Kinds of failures\n\nWhy a next hop did not get a message, as `failure` in the log and in `--json`; the words beside it are for people.\n\n{}",
        failures()
    );
    out.push_str(
        "\n## Rules\n\nEvery decision has a rule with a name. The log gives it as `rule`, and so do `--json` and what `explain` says.\n",
    );
    for (title, says) in [
        ("What lets something happen", Says::Yes),
        ("What refuses", Says::No),
        ("What is noted and refuses nothing", Says::Note),
    ] {
        let rules = Rule::ALL.iter().filter(|rule| rule.says() == says);
        let _ = write!(out, "\n### {title}\n\n");
        out.push_str(&table("what to do", rules));
    }
    out
}

/// The table of events.
fn events() -> String {
    let mut out = String::from("| event | means | level | fields |\n| --- | --- | --- | --- |\n");
    for EventInfo {
        words,
        level,
        lane,
        meaning,
        keys,
        ..
    } in EVENTS.iter().chain(NEWS)
    {
        let list = |names: Vec<String>| names.join(", ");
        let level = match level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
        };
        let gives_way = if *lane == Lane::Strangers {
            ", has a budget"
        } else {
            ""
        };
        let words = list(words.iter().map(|word| format!("`{word}`")).collect());
        let keys = list(keys.iter().map(|key| format!("`{key}`")).collect());
        let _ = writeln!(out, "| {words} | {meaning} | {level}{gives_way} | {keys} |");
    }
    out
}

/// The dictionary.
fn fields() -> String {
    let mut out = String::from("| field | holds | means |\n| --- | --- | --- |\n");
    for key in Key::ALL {
        let _ = writeln!(out, "| `{key}` | {} | {} |", key.kind(), key.meaning());
    }
    out
}

/// The kinds of failures.
fn failures() -> String {
    let mut out = String::from("| failure | means |\n| --- | --- |\n");
    for kind in FailureKind::ALL {
        let _ = writeln!(out, "| `{kind}` | {} |", kind.meaning());
    }
    out
}

/// A table of rules.
fn table<'a>(remedy: &str, rules: impl Iterator<Item = &'a Rule>) -> String {
    let mut out = format!("| rule | means | {remedy} |\n| --- | --- | --- |\n");
    for rule in rules {
        let _ = writeln!(out, "| `{rule}` | {} | {} |", rule.meaning(), rule.remedy());
    }
    out
}

/// The table that a document has under this name: `yes relay. local.` for the rules with these prefixes that say yes, `no` for
/// all that refuse or note, `events` for the events.
fn named(name: &str) -> Option<String> {
    let mut words = name.split(' ');
    let table = match words.next()? {
        "yes" => {
            let beginnings: Vec<&str> = words.collect();
            let fits = |rule: &&Rule| {
                rule.says() == Says::Yes && beginnings.iter().any(|start| rule.name().starts_with(start))
            };
            table("where it comes from", Rule::ALL.iter().filter(fits))
        }
        "no" => table(
            "what to do",
            Rule::ALL.iter().filter(|rule| rule.says() != Says::Yes),
        ),
        _ => return None,
    };
    Some(table)
}

/// A document with its tables regenerated. Each is between `<!-- rules: NAME -->` and `<!-- end of rules -->`.
pub(crate) fn with_tables(document: &str) -> String {
    const BEGIN: &str = "<!-- rules: ";
    const END: &str = "<!-- end of rules -->";
    let mut out = String::with_capacity(document.len());
    let mut rest = document;
    while let Some((before, found)) = rest.split_once(BEGIN) {
        let made = found
            .split_once(" -->")
            .and_then(|(name, inside)| Some((name, named(name)?, inside.split_once(END)?.1)));
        let Some((name, table, behind)) = made else {
            break;
        };
        let _ = write!(out, "{before}{BEGIN}{name} -->\n\n{table}\n{END}");
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Postern;
    use crate::config::read::{KeyInfo, Table as _};

    fn document(name: &str) -> String {
        let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// `cargo run -p postern -- log-reference > docs/log.md` fixes a failure.
    #[test]
    fn the_document_is_up_to_date() {
        assert!(
            document("log.md") == markdown(),
            "docs/log.md is out of date: make it anew with `postern log-reference`"
        );
    }

    /// `cargo run -p postern -- log-reference --tables docs/guide.md > g; mv g docs/guide.md` fixes a failure.
    #[test]
    fn the_tables_of_the_guide_are_up_to_date() {
        let guide = document("guide.md");
        assert!(guide.matches("<!-- rules: ").count() >= 3, "its tables are there");
        assert!(
            guide == with_tables(&guide),
            "the tables of docs/guide.md are out of date: make them anew with `postern log-reference --tables`"
        );
    }

    #[test]
    fn tables_are_made_where_they_are_marked() {
        let marked = "a\n<!-- rules: yes route. -->\nold\n<!-- end of rules -->\nb";
        let made = with_tables(marked);
        assert!(
            made.starts_with("a\n<!-- rules: yes route. -->\n\n| rule | means |"),
            "{made}"
        );
        assert!(made.contains("| `route.mx` |") && !made.contains("old"), "{made}");
        assert!(made.ends_with("<!-- end of rules -->\nb"), "{made}");
        assert_eq!(with_tables(&made), made);
        for broken in [
            "<!-- rules: maybe -->x<!-- end of rules -->",
            "<!-- rules: no -->x",
        ] {
            assert_eq!(with_tables(broken), broken);
        }
    }

    fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }

    /// The texts of all sources, with their paths.
    fn all_sources() -> Vec<(std::path::PathBuf, String)> {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        for one in std::fs::read_dir(crates).unwrap().flatten() {
            let source = one.path().join("src");
            if source.is_dir() {
                sources(&source, &mut files);
            }
        }
        assert!(files.len() > 100, "the sources are there");
        let text = |path: std::path::PathBuf| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        };
        files.into_iter().map(text).collect()
    }

    #[test]
    fn news_in_the_document_is_told_by_somebody() {
        let texts = all_sources();
        for word in NEWS.iter().flat_map(|news| news.words) {
            let quoted = format!("\"{word}\"");
            let tells = |(path, text): &(std::path::PathBuf, String)| {
                !path.ends_with("events/src/event.rs") && text.contains(&quoted)
            };
            assert!(texts.iter().any(tells), "nobody says {word:?}");
        }
    }

    /// The names under which the structs of a source are serialized.
    fn serialized(source: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut renamed = None;
        let mut inside = false;
        for line in source.lines() {
            match line {
                line if line.starts_with("pub(crate) struct ") => inside = true,
                "}" => inside = false,
                _ => {}
            }
            if let Some(name) = line.trim().strip_prefix("#[serde(rename = \"") {
                renamed = name.split('"').next().map(str::to_owned);
            }
            if line.contains("#[serde(flatten)]") {
                renamed = Some(String::new());
            }
            if let (true, Some(field)) = (inside, line.strip_prefix("    pub(crate) ")) {
                let name = field.split(':').next().unwrap_or_default();
                found.push(renamed.take().unwrap_or_else(|| name.to_owned()));
            }
        }
        found.retain(|name| !name.is_empty());
        found
    }

    #[test]
    fn what_listings_say_is_in_the_dictionary() {
        let source = include_str!("../control/protocol.rs");
        // Requests are not output.
        let questions = source.split("pub(crate) struct Which").nth(1).unwrap();
        let answers = questions.split_once("\n}\n").unwrap().1;
        let sessions = include_str!("../control/sessions.rs");
        let lines = sessions.split("pub(crate) struct SessionLine").nth(1).unwrap();
        let lines = format!(
            "pub(crate) struct SessionLine{}",
            lines.split("\n}\n").next().unwrap()
        );
        let names = [serialized(answers), serialized(&lines)].concat();
        assert!(
            names.contains(&"queue".to_owned()) && names.contains(&"from".to_owned()),
            "{names:?}"
        );
        let unknown: Vec<&String> = names
            .iter()
            .filter(|name| Key::from_name(name).is_none())
            .collect();
        assert!(
            unknown.is_empty(),
            "not in the dictionary of crates/events/src/key.rs: {unknown:?}"
        );
        for (known, other) in [("queue", "id"), ("from", "sender"), ("to", "address")] {
            let lines = source.split("pub(crate) struct MessageLine").nth(1).unwrap();
            let lines = lines.split("pub(crate) struct RecipientView").next().unwrap();
            let names = serialized(&format!("pub(crate) struct MessageLine{lines}"));
            assert!(!names.contains(&other.to_owned()), "{known} has one name");
        }
    }

    /// The lines of a source text that log through `tracing` from `info` upwards.
    fn told_by_tracing(source: &str) -> Vec<&str> {
        let tells = |line: &&str| {
            let code = line.split("//").next().unwrap_or_default();
            let mut macros = ["info!(", "warn!(", "error!(", "event!(", "span!("].into_iter();
            macros.any(|call| {
                let mut places = code.match_indices(call).map(|(at, _)| at);
                places.any(|at| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            })
        };
        source.lines().filter(tells).collect()
    }

    /// Important things go to observers, as typed events or `notice!`, so that the keys are those of the dictionary and all
    /// observers get them. `debug!` and `trace!` are for debugging the program.
    #[test]
    fn tracing_is_for_debug_and_trace_alone() {
        let example = "tracing::info!(target: \"a\", \"x\");\n  warn!(%error);\ndebug!(\"y\"); my_info!(z); // error!(\n";
        assert_eq!(told_by_tracing(example).len(), 2);
        let mut found = Vec::new();
        for (file, text) in all_sources() {
            // This file itself mentions them.
            if !file.ends_with("log/reference.rs") {
                found.extend(
                    told_by_tracing(&text)
                        .iter()
                        .map(|line| format!("{}: {}", file.display(), line.trim())),
                );
            }
        }
        assert!(found.is_empty(), "tell observers of it: {found:#?}");
    }

    fn names(keys: &[KeyInfo], before: &str, found: &mut Vec<String>) {
        for key in keys {
            let name = format!("{before}{}", key.name);
            if let Some(below) = &key.below {
                for shape in &below.shapes {
                    names(&shape.keys, &format!("{name}."), found);
                }
            }
            found.push(name);
        }
    }

    #[test]
    fn settings_of_rules_exist() {
        let mut found = Vec::new();
        names(&Postern::keys(), "", &mut found);
        for rule in Rule::ALL {
            let setting = rule.setting();
            assert!(
                setting.is_empty() || found.iter().any(|name| name == setting),
                "{rule}: there is no {setting} in the configuration"
            );
        }
    }
}
