//! Header and body checks: what becomes of a message, a field or a line by what stands in it.
//!
//! Checks stand in order; the first that matches a field, or a line of the body, decides about it. They come from tables of patterns in
//! Postfix's form (header_checks(5)), or name fields and a pattern themselves.

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

/// Something that has a text for a text: a table of patterns.
pub trait Texts: fmt::Debug + Send + Sync {
    /// What it has for this.
    fn find(&self, text: &str) -> Option<String>;
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name, in the log.
    pub name: Box<str>,
    /// When it is made.
    pub when: When,
    /// On whose mail, of what comes in.
    pub whose: Whose,
    /// On mail of which listeners; empty for all.
    pub listeners: Vec<Box<str>>,
    /// What it looks at.
    pub parts: Parts,
    /// What it looks for.
    pub by: By,
}

/// What a check looks for, and what it says then.
#[derive(Clone, Debug)]
pub enum By {
    /// A table, whose values are verdicts.
    Table(Arc<dyn Texts>),
    /// Its own words.
    Own(Own),
}

/// Fields and a pattern.
#[derive(Clone, Debug)]
pub struct Own {
    /// The names of the fields; empty for all.
    pub fields: Vec<Box<str>>,
    /// What the value must match; its value is the new field or line of `Replace` and `Prepend`. `None` where the name is enough.
    pub pattern: Option<Pattern>,
    /// What is done. The text of `Replace` and `Prepend` is that of the pattern, where there is one.
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

    /// What it says of a field or line; `None` where it does not match.
    fn judge(&self, subject: &subject::Subject<'_>) -> Option<Verdict> {
        match &self.by {
            By::Table(table) => {
                let value = table.find(subject.text())?;
                // It was looked through when the table was read; what is filled in may make no sense all the same.
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

/// The checks of mail that comes in by this client at this listener; `None` where there are none.
#[must_use]
pub fn coming_in<'a>(checks: &'a [Check], client: &Client, listener: &str) -> Option<Chosen<'a>> {
    chosen(checks, |check| {
        check.when == When::In && check.is_for(client, listener)
    })
}

/// The checks of mail that leaves by SMTP; `None` where there are none.
#[must_use]
pub fn going_out(checks: &[Check]) -> Option<Chosen<'_>> {
    chosen(checks, |check| check.when == When::Out)
}

fn chosen(checks: &[Check], is_meant: impl Fn(&Check) -> bool) -> Option<Chosen<'_>> {
    let meant: Vec<&Check> = checks.iter().filter(|check| is_meant(check)).collect();
    (!meant.is_empty()).then_some(Chosen(meant))
}

impl Chosen<'_> {
    /// Whether the body is looked at.
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
                    // Any value may come of it.
                    By::Table(_) => true,
                    By::Own(own) => own.verdict.edits(),
                }
        })
    }

    /// The first check that matches a field or line of this part, and what it says.
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
