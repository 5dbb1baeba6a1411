//! `docs/configuration.md`, made from the tables of keys.

use std::fmt::Write as _;

use super::file::Postern;
use super::read::{KeyInfo, Place, Presence, Table};

const HEAD: &str = "\
<!-- Made by `postern configuration-reference` from crates/postern/src/config/file; a test compares both. -->

# Configuration

Postern reads one file in [TOML](https://toml.io). `postern check` shows all its mistakes at once, `postern reload` (or
`SIGHUP`) has the running server read it again: a file with mistakes changes nothing, and sessions under way go on.

- `--config FILE` or `$POSTERN_CONFIG` names the file. Otherwise the first that exists is taken of `./postern.toml`,
  `/etc/postern/postern.toml` and `./postern-data/postern.toml`.
- Relative paths start at the folder of the file.
- A **duration** is a number and a unit: `\"500ms\"`, `\"2s\"`, `\"5m\"`, `\"4h\"`, `\"5d\"`, `\"1w\"`. A **size** likewise: `\"64 KiB\"`,
  `\"25 MiB\"`, `\"2 GiB\"`.
- A **network** is `\"192.0.2.0/24\"`, `\"2001:db8::/32\"` or one address.
- Unknown keys are mistakes: a word that has no effect cannot go unnoticed.
- Keys, and files with secrets, must be readable by their owner alone.
";

const EXAMPLE: &str = "\
## A small example

```toml
hostname = \"mx.example.org\"
state_dir = \"/var/lib/postern\"
local_domains = [\"example.org\"]

[[listener]]
address = \"0.0.0.0:25\"
role = \"mx\"

[[listener]]
address = \"0.0.0.0:465\"
role = \"submission\"
tls = \"implicit\"

[tls]
certificate = \"certs/mx.example.org.crt\"
key = \"certs/mx.example.org.key\"

[[directory]]
kind = \"users\"
```
";

/// The document.
pub(crate) fn markdown() -> String {
    let mut out = format!("{HEAD}\n{EXAMPLE}");
    table("Top level", &Postern::about(), &Postern::keys(), "", &mut out);
    out
}

/// What a key of a table means. The table is named as in `config show`: `[limits]`, `[[listener]]`, empty for the top level.
pub(crate) fn meaning(header: &str, key: &str) -> Option<String> {
    find(&Postern::keys(), "", header.trim_matches(['[', ']']), key)
}

fn find(keys: &[KeyInfo], at: &str, wanted: &str, name: &str) -> Option<String> {
    if at == wanted
        && let Some(key) = keys.iter().find(|key| key.name == name && key.below.is_none())
    {
        return Some(key.about.clone());
    }
    let below = keys.iter().filter_map(|key| Some((key, key.below.as_ref()?)));
    below
        .flat_map(|(key, below)| below.shapes.iter().map(move |shape| (key, shape)))
        .find_map(|(key, shape)| {
            let inner = match at {
                "" => key.name.to_owned(),
                at => format!("{at}.{}", key.name),
            };
            find(&shape.keys, &inner, wanted, name)
        })
}

/// One table: its keys, then the tables below it.
fn table(title: &str, about: &str, keys: &[KeyInfo], header: &str, out: &mut String) {
    let _ = write!(out, "\n## {title}\n\n{about}\n");
    for key in keys.iter().filter(|key| key.below.is_none()) {
        entry(key, out);
    }
    for key in keys {
        let Some(below) = &key.below else { continue };
        let place = Place {
            table: header.to_owned(),
            key: key.name.to_owned(),
            example: String::new(),
            element: false,
        };
        let inner = place.header(below.repeated);
        if below.shapes.len() > 1 {
            let _ = write!(out, "\n## `{inner}`\n\n{}\n", key.about);
        }
        for shape in &below.shapes {
            let (title, about) = match shape.chosen_by {
                Some(word) => (format!("`{inner}` with `kind = \"{word}\"`"), shape.about.clone()),
                None => (format!("`{inner}`"), joined(&key.about, &shape.about)),
            };
            table(&title, &about, &shape.keys, &inner, out);
        }
    }
}

/// The text for a key and the table below it; once, if one includes the other.
fn joined(key: &str, table: &str) -> String {
    let (key_text, table_text) = (key.trim_end_matches('.'), table.trim_end_matches('.'));
    if table.starts_with(key_text) {
        table.to_owned()
    } else if key.starts_with(table_text) {
        key.to_owned()
    } else {
        format!("{key}\n\n{table}")
    }
}

fn entry(key: &KeyInfo, out: &mut String) {
    let _ = write!(out, "\n### `{}`\n\n", key.name);
    let presence = match key.presence {
        Presence::Default(text) => format!("default `{text}`"),
        Presence::Required(text) => format!("required, for example `{text}`"),
        Presence::Optional(text, absent) => format!("for example `{text}`; without it: {absent}"),
    };
    let _ = write!(out, "*{}* — {presence}.\n\n{}\n", key.kind, key.about);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_force_have_their_meaning() {
        for (header, key, has) in [
            ("", "hostname", true),
            ("[admission]", "sessions", true),
            ("[[listener]]", "address", true),
            ("[relay]", "nothing", false),
            ("[nothing]", "sessions", false),
        ] {
            assert_eq!(meaning(header, key).is_some(), has, "{header} {key}");
        }
        assert_ne!(meaning("[[listener]]", "address"), meaning("[[http]]", "address"));
    }

    /// `cargo run -p postern -- configuration-reference > docs/configuration.md` fixes a failure.
    #[test]
    fn the_document_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == markdown(),
            "docs/configuration.md is out of date: make it anew with `postern configuration-reference`"
        );
    }
}
