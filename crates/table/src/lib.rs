//! Look-up tables: what they are, how they are read from text, and which keys are looked up in them.
//!
//! A *table* maps a key to a text. [`parse`] reads one from the text of a file, in the formats that sites use: Postfix's
//! (`hash:`, `btree:`, `lmdb:`, `dbm:`, `cdb:`, `texthash:` are the same text before `postmap` has compiled it), sendmail's (what
//! `makemap` reads), networks (`cidr:`), patterns (`pcre:`, `regexp:`), and plain lists. A [`Reference`] names a table as those
//! programs do. A [`Plan`] says in which order the keys for an address, a host or a network are looked up, as in those programs.
//!
//! Nothing here opens a file. Tables in databases are queried by `postern-directory`, whose look-ups use the same keys.
//!
//! # Folding
//!
//! Keys are compared case-insensitively, as in both programs; values are kept as written.

mod braces;
mod cf;
mod entries;
mod expand;
pub mod fuzz;
mod lines;
mod list;
mod network;
mod notes;
mod pattern;
mod plan;
mod postfix;
mod reference;
mod rules;
mod sendmail;
mod service;
mod text;

use std::borrow::Cow;

use crate::notes::Notes;
pub use cf::{Parameters, read_parameters};
pub use entries::Entries;
pub use expand::{Expansion, Of};

pub use network::Networks;
pub use notes::{MISTAKES_MAX, Mistake};
pub use pattern::{Dialect, Pattern, Patterns};
pub use plan::{Address, Key, Plan, Subject, fill};
pub use reference::{BadReference, External, Reference};
pub use service::{ANSWER_MAX, Said, Service, ServicePlace, Talk};

/// Longest text of a table, in octets.
pub const TEXT_MAX: usize = 1 << 30;

/// The format of a table's text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Format {
    /// Postfix's: key, blanks, value; lines that begin with a blank continue the previous one; `#` begins a comment.
    Postfix,
    /// sendmail's, what `makemap` reads: key, blanks, value; one line each.
    Sendmail,
    /// Words, each of which is a key: domains, addresses. Separated by blanks, commas and line ends; `#` begins a comment.
    List,
    /// Networks in order: `192.0.2.0/24 value`, `!` before one, `if` and `endif`. The first that contains the key decides.
    Cidr,
    /// Perl's patterns in order: `/pattern/flags value`, `!`, `if` and `endif`. The first that matches decides.
    Pcre,
    /// The same with POSIX's extended patterns.
    Regexp,
}

impl Format {
    /// Its name in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Postfix => "postfix",
            Self::Sendmail => "sendmail",
            Self::List => "list",
            Self::Cidr => "cidr",
            Self::Pcre => "pcre",
            Self::Regexp => "regexp",
        }
    }
}

/// A table that was read, with warnings for its author.
#[derive(Debug)]
pub struct Parsed {
    /// The table.
    pub table: Table,
    /// Lines without effect, such as a duplicate key.
    pub warnings: Vec<Mistake>,
}

/// A table in memory.
#[derive(Debug)]
pub enum Table {
    /// Keys with values.
    Entries(Entries),
    /// Networks with values.
    Networks(Networks),
    /// Patterns with values.
    Patterns(Patterns),
    /// The same value for every key.
    Constant(Box<str>),
}

/// A table's entry for a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found<'t> {
    /// The value.
    pub value: Cow<'t, str>,
    /// Its line, from 1; 0 if there is none.
    pub line: usize,
}

impl Table {
    /// Its entry for a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Found<'_>> {
        match self {
            Self::Entries(entries) => entries.get(key).map(|(value, line)| Found {
                value: Cow::Borrowed(value),
                line,
            }),
            Self::Networks(networks) => networks.find(key).map(|(value, line)| Found {
                value: Cow::Borrowed(value),
                line,
            }),
            Self::Patterns(patterns) => patterns.find(key).map(|(value, line)| Found { value, line }),
            Self::Constant(value) => Some(Found {
                value: Cow::Borrowed(value),
                line: 0,
            }),
        }
    }

    /// Whether it matches keys by pattern. Such a table is only queried with whole keys: partial keys, such as a bare domain,
    /// could match by mistake.
    #[must_use]
    pub const fn is_pattern(&self) -> bool {
        matches!(self, Self::Networks(_) | Self::Patterns(_))
    }

    /// Its keys with their values and lines, if it has individual keys.
    #[must_use]
    pub const fn entries(&self) -> Option<&Entries> {
        match self {
            Self::Entries(entries) => Some(entries),
            _ => None,
        }
    }

    /// How many entries there are: keys, networks or patterns.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Entries(entries) => entries.len(),
            Self::Networks(networks) => networks.len(),
            Self::Patterns(patterns) => patterns.len(),
            Self::Constant(_) => 1,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of its entries, for display: `1 entry`, `2 networks`.
    #[must_use]
    pub fn counted(&self) -> String {
        let (one, many) = match self {
            Self::Entries(_) => ("entry", "entries"),
            Self::Networks(_) => ("network", "networks"),
            Self::Patterns(_) => ("pattern", "patterns"),
            Self::Constant(_) => ("value", "values"),
        };
        match self.len() {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        }
    }
}

/// Reads the text of a table.
///
/// # Errors
///
/// All mistakes at once, up to [`MISTAKES_MAX`], in the order of their lines.
pub fn parse(text: &[u8], format: Format) -> Result<Parsed, Vec<Mistake>> {
    if text.len() > TEXT_MAX {
        return Err(vec![Mistake::new(
            0,
            "is larger than 1 GiB: keep it in a database, and ask that",
        )]);
    }
    // With replacement characters for invalid UTF-8: harmless in a comment.
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut notes = Notes::default();
    let table = match format {
        Format::Postfix => Table::Entries(postfix::read(text, &mut notes)),
        Format::Sendmail => Table::Entries(sendmail::read(text, &mut notes)),
        Format::List => Table::Entries(list::read(text, &mut notes)),
        Format::Cidr => Table::Networks(Networks::read(text, &mut notes)),
        Format::Pcre => Table::Patterns(Patterns::read(text, Dialect::Perl, &mut notes)),
        Format::Regexp => Table::Patterns(Patterns::read(text, Dialect::Posix, &mut notes)),
    };
    let warnings = notes.close()?;
    Ok(Parsed { table, warnings })
}

#[cfg(test)]
mod tests;
