//! Tables used by rules: each read once, with all mistakes.

use postern_directory::tables::Lookup;
use postern_policy::access::Test;
use postern_policy::access::keys::{Form, LookUp, Subject};
use postern_policy::access::written::{self, Context};
use postern_table::{Reference, Table};

use super::super::tables;
use super::build::Build;
use crate::config::read::At;

/// Most mistakes reported for one table.
const MISTAKES_MAX: usize = 10;

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
        let table = self.opened.iter().find(|(name, _)| *name == written.value);
        let table = table.and_then(|(_, table)| table.clone())?;
        let classes = &self.rules.classes;
        let class = |name: &str| classes.iter().position(|class| *class.name == *name);
        let context = Context { class: &class, relay };
        let rows = table
            .in_memory()
            .and_then(Table::entries)
            .into_iter()
            .flat_map(postern_table::Entries::iter);
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

    /// A look-up in a table, which is opened if it was not before.
    fn look_up(
        &mut self,
        key: &str,
        written: &At<String>,
        subject: Subject,
        form: Form,
        relay: bool,
    ) -> Option<usize> {
        let known = self.opened.iter().find(|(name, _)| *name == written.value);
        let table = match known {
            Some((_, table)) => table.clone(),
            None => {
                let table = self.open(key, written);
                self.opened.push((written.value.clone(), table.clone()));
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

    fn open(&mut self, key: &str, written: &At<String>) -> Option<Lookup> {
        match Reference::parse(&written.value) {
            Ok(reference) => {
                let base = self.c.base;
                let reference = reference.with_paths(&mut |path| base.join(path));
                tables::open(&reference, written.span.clone(), self.c)
            }
            Err(error) => {
                let remedy = "write for example \"hash:/etc/postfix/access\" or \"table:NAME\"";
                self.bad(written.span.clone(), key, error.to_string(), remedy);
                None
            }
        }
    }
}

/// Whether a key of sendmail's access table has a tag unrelated to who may send.
fn is_of_others(key: &str) -> bool {
    let tag = key.split_once(':').map(|(tag, _)| tag.to_ascii_lowercase());
    tag.is_some_and(|tag| !matches!(tag.as_str(), "connect" | "from" | "to" | "helo" | "ipv6"))
}
