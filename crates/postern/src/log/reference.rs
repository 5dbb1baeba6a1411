//! `docs/log.md`, and the tables of rules in other documents, made from the rules themselves.

use std::fmt::Write as _;

use postern_policy::rule::{Rule, Says};

const HEAD: &str = "\
<!-- Made by `postern log-reference` from the code; a test compares both. -->

# Rules

Every decision has a rule with a name. The log gives it as `rule`, and so do `--json` and what `explain` says. A name that was given once is not given
another meaning.
";

/// The document.
pub(crate) fn markdown() -> String {
    let mut out = HEAD.to_owned();
    for (title, says) in [
        ("What lets something happen", Says::Yes),
        ("What refuses", Says::No),
        ("What is noted and refuses nothing", Says::Note),
    ] {
        let rules = Rule::ALL.iter().filter(|rule| rule.says() == says);
        let _ = write!(out, "\n## {title}\n\n");
        out.push_str(&table("what to do", rules));
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

/// The table that a document has under this name: `yes relay. local.` for the rules of these beginnings that say yes, `no` for all
/// that refuse or note.
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

/// A document with its tables made anew. One stands between `<!-- rules: NAME -->` and `<!-- end of rules -->`.
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

    /// `cargo run -p postern -- log-reference > docs/log.md` mends a failure.
    #[test]
    fn the_document_is_up_to_date() {
        assert!(
            document("log.md") == markdown(),
            "docs/log.md is out of date: make it anew with `postern log-reference`"
        );
    }

    /// `cargo run -p postern -- log-reference --tables docs/guide.md > g; mv g docs/guide.md` mends a failure.
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
