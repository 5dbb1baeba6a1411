//! What no part of the import has read.

use super::Site;
use super::domains;
use super::features::FEATURES;
use super::options::ROWS;
use crate::report::Weight;
use crate::settings::Goes;

impl Site<'_> {
    /// Which tables are still read where they are, and in which changes no longer have any effect.
    pub(super) fn places(&mut self) {
        let config = self.import.config.text("");
        for (path, at) in std::mem::take(&mut self.read) {
            let is_named = ["\"", " ", ":"]
                .iter()
                .any(|end| config.contains(&format!("{path}{end}")));
            let (to, difference) = if is_named {
                (path.clone(), "still read from there: bring it along")
            } else {
                (
                    "postern.toml and the files beside it".to_owned(),
                    "changes in it have no effect any more",
                )
            };
            self.changed(&at, &format!("the file {path}"), to, difference);
        }
    }

    /// What no part of the import handles.
    pub(super) fn rest(&mut self) {
        for line in self.mc.sections() {
            if domains::is_class(&line.what.line) {
                continue;
            }
            if is_environment(&line.what.line) {
                self.meaningless(
                    &line.at,
                    &line.what.line,
                    "no program of sendmail's runs here that could read it",
                );
                continue;
            }
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
        for idle in self.mc.idle() {
            self.meaningless(&idle.at, &idle.what.0, idle.what.1);
        }
        self.unread();
        for replaced in self.mc.replaced() {
            self.meaningless(
                &replaced.at,
                &replaced.what,
                "a later line, or the file that it names, says what counts",
            );
        }
    }

    /// Calls and options that were not reported, which is a bug in the import: they are listed anyway.
    pub(super) fn unread(&mut self) {
        let mc = self.mc;
        let calls = mc.all_calls().map(|(name, at, arguments)| {
            let what = format!("{name}({})", arguments.first().map_or("", String::as_str));
            (at, what)
        });
        let options = mc.options().map(|(name, value)| (&value.at, name.to_owned()));
        for (at, what) in calls.chain(options) {
            if self.import.report.items().iter().any(|item| item.at == *at) {
                continue;
            }
            match elsewhere(&what) {
                Some(to) => {
                    let why = format!("nothing else of this site uses it; it would be {to}");
                    self.meaningless(at, &what, why);
                }
                None if self.is_repeated(&what) => {
                    self.meaningless(at, &what, "another line of its kind says what counts");
                }
                None => self.missing(at, &what, Weight::Mail, UNREAD),
            }
        }
    }
}

/// `ESASL_PATH=/usr/lib/sasl2`: a variable of the environment.
fn is_environment(line: &str) -> bool {
    let name = line.strip_prefix('E').and_then(|rest| rest.split_once('='));
    name.is_some_and(|(name, _)| {
        !name.is_empty()
            && name
                .bytes()
                .all(|octet| octet.is_ascii_uppercase() || octet == b'_')
    })
}

/// The report for a line that no part of the import knows.
pub(super) const UNREAD: &str = "no part of the import has read it: find out what it is for";

/// What a feature or option read by another part becomes, if it is needed.
fn elsewhere(what: &str) -> Option<&'static str> {
    let feature = what
        .strip_prefix("FEATURE(")
        .and_then(|name| name.strip_suffix(')'));
    let features = FEATURES
        .iter()
        .filter(|row| feature == Some(row.name))
        .find_map(|row| match row.goes {
            Goes::Elsewhere(to) => Some(to),
            _ => None,
        });
    let mut options = ROWS.iter().filter(|row| row.name == what);
    features.or_else(|| {
        options.find_map(|row| match row.goes {
            Goes::Elsewhere(to) => Some(to),
            _ => None,
        })
    })
}
