//! Tables that rules look into: read once each, with all their mistakes.

use std::sync::Arc;

use postern_policy::access::Test;
use postern_policy::access::keys::{Form, LookUp, Subject};
use postern_policy::access::written::{self, Context};
use postern_table::{Reference, TEXT_MAX, Table};

use super::build::Build;
use crate::config::read::At;

/// Mistakes that are told of one table.
const MISTAKES_MAX: usize = 10;

/// A table that was read.
pub(super) type Loaded = Arc<Table>;

impl Build<'_, '_> {
    /// The test whether a subject is in a table.
    pub(super) fn members(&mut self, key: &str, written: &At<String>, subject: Subject) -> Option<Test> {
        let number = self.look_up(key, written, subject, Form::Members, false)?;
        Some(Test::LookUp(number, subject.stage()))
    }

    /// The look-up of a table that decides. Its results are read at once, so that a mistake is found before mail comes.
    pub(super) fn decides(
        &mut self,
        written: &At<String>,
        subject: Subject,
        form: Form,
        relay: bool,
    ) -> Option<usize> {
        let number = self.look_up("table", written, subject, form, relay)?;
        let table = self.loaded.iter().find(|(name, _)| *name == written.value);
        let table = table.and_then(|(_, table)| table.clone())?;
        let classes = &self.rules.classes;
        let class = |name: &str| classes.iter().position(|class| *class.name == *name);
        let context = Context { class: &class, relay };
        let rows = table.entries().into_iter().flat_map(postern_table::Entries::iter);
        let mut mistakes = Vec::new();
        for (key, value, line) in rows {
            let read = match form {
                Form::Postfix => written::postfix(value, context),
                Form::Sendmail if is_of_others(key) => continue,
                Form::Sendmail => written::sendmail(value, context),
                Form::Members => continue,
            };
            if let Err(error) = read
                && mistakes.len() < MISTAKES_MAX
            {
                mistakes.push((line, key.to_owned(), error.to_string()));
            }
        }
        for (line, key, error) in mistakes {
            let (label, remedy) = error
                .rsplit_once("; ")
                .unwrap_or((&error, "see \"Access rules\" in the guide"));
            let title = format!("line {line} of {}: {key}: {label}", written.value);
            self.c.problems.error(
                written.span.clone(),
                title,
                "has a row that cannot be judged",
                remedy,
            );
        }
        Some(number)
    }

    /// A look into a table, which is read if it was not before.
    fn look_up(
        &mut self,
        key: &str,
        written: &At<String>,
        subject: Subject,
        form: Form,
        relay: bool,
    ) -> Option<usize> {
        let known = self.loaded.iter().find(|(name, _)| *name == written.value);
        let table = match known {
            Some((_, table)) => table.clone(),
            None => {
                let table = self.load(key, written).map(Arc::new);
                self.loaded.push((written.value.clone(), table.clone()));
                table
            }
        }?;
        self.rules.look_ups.push(LookUp {
            table: written.value.as_str().into(),
            subject,
            form,
            relay,
        });
        self.tables.push(table);
        Some(self.rules.look_ups.len() - 1)
    }

    fn load(&mut self, key: &str, written: &At<String>) -> Option<Table> {
        let reference = match Reference::parse(&written.value) {
            Ok(reference) => reference,
            Err(error) => {
                self.bad(
                    written.span.clone(),
                    key,
                    error.to_string(),
                    "write for example \"hash:/etc/postfix/access\"",
                );
                return None;
            }
        };
        if let Some(table) = reference.table() {
            return Some(table);
        }
        let Reference::File(format, path) = &reference else {
            self.bad(
                written.span.clone(),
                key,
                "access rules look into files and inline tables alone",
                "write the table to a file, and name that",
            );
            return None;
        };
        let path = self.c.base.join(path);
        let text = match postern_trust::read_bounded(&path, TEXT_MAX as u64) {
            Ok(text) => text,
            Err(error) => {
                let cause = crate::exit::chain(&error);
                self.bad(
                    written.span.clone(),
                    key,
                    cause,
                    "correct the path; the text beside a compiled table is meant",
                );
                return None;
            }
        };
        match postern_table::parse(&text, *format) {
            Ok(parsed) => {
                for warning in parsed.warnings.iter().take(MISTAKES_MAX) {
                    let title = format!("{}: {warning}", written.value);
                    self.c.problems.warning(
                        written.span.clone(),
                        title,
                        "has a line without effect",
                        "change or remove the line",
                    );
                }
                Some(parsed.table)
            }
            Err(mistakes) => {
                for mistake in mistakes.iter().take(MISTAKES_MAX) {
                    let title = format!("{}: {mistake}", written.value);
                    self.c
                        .problems
                        .error(written.span.clone(), title, "has a mistake", "change the line");
                }
                None
            }
        }
    }
}

/// Whether a key of sendmail's access table has a tag for something else than who may send.
fn is_of_others(key: &str) -> bool {
    let tag = key.split_once(':').map(|(tag, _)| tag.to_ascii_lowercase());
    tag.is_some_and(|tag| !matches!(tag.as_str(), "connect" | "from" | "to" | "helo" | "ipv6"))
}
