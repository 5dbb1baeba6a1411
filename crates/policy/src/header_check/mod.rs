//! Header and body checks: what to do with a message, a field or a line depending on its content.
//!
//! Checks are ordered; the first that matches a field, or a line of the body, decides about it. They come from tables of patterns
//! in Postfix's form (header_checks(5)), or specify fields and a pattern themselves.

mod findings;
mod header;
mod part;
mod subject;
mod verdict;
mod written;

use std::fmt;
use std::sync::Arc;

use postern_table::Pattern;

use crate::rewrite::{Client, When, Whose};

pub use self::findings::{Findings, Told};
pub use self::header::{Body, header};
pub use self::part::{Part, Parts, is_mime};
pub use self::verdict::Verdict;
pub use self::written::{BadVerdict, postfix};

/// Maps texts to texts: a table of patterns.
pub trait Texts: fmt::Debug + Send + Sync {
    /// Its value for this text.
    fn find(&self, text: &str) -> Option<String>;
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name, in the log.
    pub name: Box<str>,
    /// When it is applied.
    pub when: When,
    /// Whose incoming mail it applies to.
    pub whose: Whose,
    /// The listeners whose mail it applies to; empty for all.
    pub listeners: Vec<Box<str>>,
    /// The parts that it examines.
    pub parts: Parts,
    /// What it matches.
    pub by: By,
}

/// What a check matches, and its verdict.
#[derive(Clone, Debug)]
pub enum By {
    /// A table, whose values are verdicts.
    Table(Arc<dyn Texts>),
    /// A pattern and a verdict of its own.
    Own(Own),
}

/// Fields and a pattern.
#[derive(Clone, Debug)]
pub struct Own {
    /// The names of the fields; empty for all.
    pub fields: Vec<Box<str>>,
    /// What the value must match; the pattern's value is the new field or line of `Replace` and `Prepend`. `None` if the name is
    /// enough.
    pub pattern: Option<Pattern>,
    /// The verdict. The text of `Replace` and `Prepend` comes from the pattern, if there is one.
    pub verdict: Verdict,
}

/// The checks for one message. Cheap to make.
#[derive(Clone, Debug)]
pub struct Chosen<'a>(Vec<&'a Check>);

impl Check {
    fn is_for(&self, client: &Client, listener: &str) -> bool {
        self.whose.holds(client)
            && (self.listeners.is_empty() || self.listeners.iter().any(|one| **one == *listener))
    }

    /// Its verdict on a field or line; `None` if it does not match.
    fn judge(&self, subject: &subject::Subject<'_>) -> Option<Verdict> {
        match &self.by {
            By::Table(table) => {
                let value = table.find(subject.text())?;
                // The verdict was checked when the table was read, but the values filled in may still make it invalid.
                Some(postfix(&value).unwrap_or_else(|error| Verdict::Note(error.to_string().into())))
            }
            By::Own(own) => own.judge(subject),
        }
    }
}

impl Own {
    fn judge(&self, subject: &subject::Subject<'_>) -> Option<Verdict> {
        let is_named = |name: &str| {
            subject
                .name()
                .is_some_and(|known| known.eq_ignore_ascii_case(name.as_bytes()))
        };
        if !self.fields.is_empty() && !self.fields.iter().any(|name| is_named(name)) {
            return None;
        }
        let Some(pattern) = &self.pattern else {
            return Some(self.verdict.clone());
        };
        let text = pattern.find(&subject.value())?;
        Some(match &self.verdict {
            Verdict::Replace(_) => Verdict::Replace(text.into()),
            Verdict::Prepend(_) => Verdict::Prepend(text.into()),
            other => other.clone(),
        })
    }
}

/// The checks for mail from this client at this listener; `None` if there are none.
#[must_use]
pub fn coming_in<'a>(checks: &'a [Check], client: &Client, listener: &str) -> Option<Chosen<'a>> {
    chosen(checks, |check| {
        check.when == When::In && check.is_for(client, listener)
    })
}

/// The checks for outgoing mail over SMTP; `None` if there are none.
#[must_use]
pub fn going_out(checks: &[Check]) -> Option<Chosen<'_>> {
    chosen(checks, |check| check.when == When::Out)
}

fn chosen(checks: &[Check], is_meant: impl Fn(&Check) -> bool) -> Option<Chosen<'_>> {
    let meant: Vec<&Check> = checks.iter().filter(|check| is_meant(check)).collect();
    (!meant.is_empty()).then_some(Chosen(meant))
}

impl Chosen<'_> {
    /// Whether the body is checked.
    #[must_use]
    pub fn look_at_body(&self) -> bool {
        self.0.iter().any(|check| check.parts.in_body())
    }

    /// Whether the body may be changed.
    #[must_use]
    pub fn may_edit_body(&self) -> bool {
        self.0.iter().any(|check| {
            check.parts.in_body()
                && match &check.by {
                    // A table may return any verdict.
                    By::Table(_) => true,
                    By::Own(own) => own.verdict.edits(),
                }
        })
    }

    /// The first check that matches a field or line of this part, and its verdict.
    fn judge(&self, part: Part, octets: &[u8]) -> Option<(&str, Verdict)> {
        let mut subject = None;
        for check in &self.0 {
            if !check.parts.has(part, octets) {
                continue;
            }
            let subject = subject.get_or_insert_with(|| subject::Subject::of(part, octets));
            if let Some(verdict) = check.judge(subject) {
                return Some((&check.name, verdict));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
