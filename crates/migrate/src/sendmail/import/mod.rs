//! From sendmail's files to a configuration of Postern.

mod access;
mod domains;
mod features;
mod filters;
mod listeners;
mod options;
mod passwords;
mod routes;

use crate::config::Value;
use crate::import::Import;
use crate::report::{Fate, Weight};
use crate::{FileError, Files, Origin};

use super::mc::Mc;

pub use options::{Goes, ROWS, Row};

/// Where sendmail's files are, unless they say otherwise.
const FOLDER: &str = "/etc/mail/";

/// Imports a site from its `.mc` file and the files that this names.
///
/// # Errors
///
/// The `.mc` file cannot be read. All else that is wrong is in the report.
pub fn import(mc: &str, files: &dyn Files) -> Result<Import, FileError> {
    let mc = Mc::read(mc, files)?;
    let mut site = Site {
        files,
        mc: &mc,
        import: Import::default(),
    };
    site.import.config.section("").set(
        "user",
        Value::text("postern"),
        "the account that Postern's package makes",
    );
    options::carry_over(&mut site);
    features::carry_over(&mut site);
    domains::carry_over(&mut site);
    listeners::carry_over(&mut site);
    passwords::carry_over(&mut site);
    routes::carry_over(&mut site);
    access::carry_over(&mut site);
    filters::carry_over(&mut site);
    site.rest();
    Ok(site.import)
}

/// A site that is being imported.
struct Site<'a> {
    files: &'a dyn Files,
    mc: &'a Mc,
    import: Import,
}

impl Site<'_> {
    /// Sets a key of the one section of this name, and reports it.
    fn set(&mut self, section: &str, key: &str, value: Value, at: &Origin, what: &str) {
        self.import
            .config
            .section(section)
            .set(key, value, format!("{what}, {}", short(at)));
        self.carried(at, what, path(section, key));
    }

    fn carried(&mut self, at: &Origin, what: &str, to: impl Into<String>) {
        self.import.report.add(at, what, Fate::Carried { to: to.into() });
    }

    fn changed(&mut self, at: &Origin, what: &str, to: impl Into<String>, difference: impl Into<String>) {
        let fate = Fate::Changed {
            to: to.into(),
            difference: difference.into(),
        };
        self.import.report.add(at, what, fate);
    }

    fn meaningless(&mut self, at: &Origin, what: &str, why: impl Into<String>) {
        self.import
            .report
            .add(at, what, Fate::Meaningless { why: why.into() });
    }

    fn missing(&mut self, at: &Origin, what: &str, weight: Weight, remedy: impl Into<String>) {
        self.import.report.add(
            at,
            what,
            Fate::Missing {
                weight,
                remedy: remedy.into(),
            },
        );
    }

    /// The text of a file that `at` names; a file that cannot be read is reported.
    fn text(&mut self, path: &str, at: &Origin, what: &str) -> Option<String> {
        match self.files.read(path) {
            Ok(text) => Some(text),
            Err(problem) => {
                self.missing(
                    at,
                    what,
                    Weight::Mail,
                    format!("{path}: {problem}; import again when it can be read"),
                );
                None
            }
        }
    }

    /// What no part of the import is about.
    fn rest(&mut self) {
        for line in self.mc.sections() {
            let what = format!("{} {}", line.what.name, line.what.line);
            self.missing(
                &line.at,
                what.trim(),
                Weight::Mail,
                "read what this line of sendmail.cf does, and find a setting for it",
            );
        }
        for note in self.mc.notes() {
            self.missing(
                &note.at,
                &note.what,
                Weight::Mail,
                "it was not followed; look what it says",
            );
        }
        for replaced in self.mc.replaced() {
            self.meaningless(
                &replaced.at,
                &replaced.what,
                "a later line, or the file that it names, says what counts",
            );
        }
    }
}

/// `section.key`, or the key of the top level.
fn path(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("[{section}] {key}")
    }
}

/// The file's name without its folder, and the line.
fn short(at: &Origin) -> String {
    let name = at.file.rsplit('/').next().unwrap_or(&at.file);
    format!("{name}:{}", at.first)
}

/// The path in `hash -o /etc/mail/access.db`, without what `makemap` puts behind it.
fn table_path(argument: &str, default: &str) -> String {
    let path = argument
        .split_whitespace()
        .rev()
        .find(|word| word.starts_with('/'));
    let path = path.map_or_else(|| format!("{FOLDER}{default}"), str::to_owned);
    path.strip_suffix(".db").map(str::to_owned).unwrap_or(path)
}

/// The lines of a table or list that say something: number and text.
fn active(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let lines = (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests;
