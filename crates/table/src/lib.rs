//! Look-up tables: what one is, how it is read from text, and which keys are looked up in it.
//!
//! A *table* gives a text for a key. [`parse`] reads one from the text of a file, in the forms that sites have: Postfix's
//! (`hash:`, `btree:`, `lmdb:`, `dbm:`, `cdb:`, `texthash:` are the same text before `postmap` has compiled it), sendmail's (what
//! `makemap` reads), networks (`cidr:`), patterns (`pcre:`, `regexp:`), and plain lists. A [`Reference`] names a table as those
//! programs do. A [`Plan`] says in which order an address, a host or a network is looked for, as each of them does it.
//!
//! Nothing here opens a file. Tables in databases are asked by `postern-directory`, whose look-ups use the same keys.
//!
//! # Folding
//!
//! Keys are compared without regard to case, as both programs do; values stay as they are written.

mod braces;
mod cf;
mod entries;
mod expand;
pub mod fuzz;
mod lines;
mod list;
mod network;
mod pattern;
mod plan;
mod postfix;
mod reference;
mod rules;
mod sendmail;
mod service;

use std::borrow::Cow;

pub use cf::{Parameters, read_parameters};
pub use entries::Entries;
pub use expand::{Expansion, Of};
pub use network::Networks;
pub use pattern::{Dialect, Pattern, Patterns};
pub use plan::{Address, Key, Plan, Subject, fill};
pub use reference::{BadReference, External, Reference};
pub use service::{ANSWER_MAX, Said, Service, ServicePlace, Talk};

/// Most mistakes that are told of one table; it has been said by then that the file is of another form.
pub const MISTAKES_MAX: usize = 50;

/// Longest text of a table, in octets.
pub const TEXT_MAX: usize = 1 << 30;

/// How the text of a table is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Format {
    /// Postfix's: key, blanks, value; lines that begin with a blank go on with the one before; `#` begins a comment.
    Postfix,
    /// sendmail's, what `makemap` reads: key, blanks, value; one line each.
    Sendmail,
    /// Words, each a key by itself: domains, addresses. Blanks, commas and line ends part them; `#` begins a comment.
    List,
    /// Networks in order: `192.0.2.0/24 value`, `!` before one, `if` and `endif`. The first that holds the key decides.
    Cidr,
    /// Perl's patterns in order: `/pattern/flags value`, `!`, `if` and `endif`. The first that matches decides.
    Pcre,
    /// The same with POSIX's extended patterns.
    Regexp,
}

impl Format {
    /// Its word in the configuration.
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

/// A mistake in the text of a table, or something that its author should know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Mistake {
    /// The line, from 1; 0 for the text as a whole.
    pub line: usize,
    /// What is wrong, with the remedy.
    pub message: String,
}

impl Mistake {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// A table that was read, and what its author should know.
#[derive(Debug)]
pub struct Parsed {
    /// The table.
    pub table: Table,
    /// Lines without effect, such as a key that is there already.
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

/// What a table has for a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found<'t> {
    /// The value.
    pub value: Cow<'t, str>,
    /// The line it is written at, from 1; 0 where there is none.
    pub line: usize,
}

impl Table {
    /// What it has for a key.
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

    /// Whether it looks at keys by what they are like. Such a table is asked with whole keys alone: what is left of an address
    /// without its user could match by mistake.
    #[must_use]
    pub const fn is_pattern(&self) -> bool {
        matches!(self, Self::Networks(_) | Self::Patterns(_))
    }

    /// Its keys with their values and lines, where it has them one by one.
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

    /// What its entries are, for people, as many as there are: `1 entry`, `2 networks`.
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
    // With the mark of replacement for what is not UTF-8: in a comment that harms nobody.
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
    notes.close(table)
}

/// What is found while a text is read.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    mistakes: Vec<Mistake>,
    untold: usize,
    warnings: Vec<Mistake>,
}

impl Notes {
    pub(crate) fn mistake(&mut self, line: usize, message: impl Into<String>) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(Mistake::new(line, message));
        } else {
            self.untold += 1;
        }
    }

    pub(crate) fn warning(&mut self, line: usize, message: impl Into<String>) {
        if self.warnings.len() < MISTAKES_MAX {
            self.warnings.push(Mistake::new(line, message));
        }
    }

    fn close(mut self, table: Table) -> Result<Parsed, Vec<Mistake>> {
        if self.mistakes.is_empty() {
            return Ok(Parsed {
                table,
                warnings: self.warnings,
            });
        }
        self.mistakes.sort_by_key(|mistake| mistake.line);
        if self.untold > 0 {
            let message = format!("and {} more mistakes: is the file of this form?", self.untold);
            self.mistakes.push(Mistake::new(0, message));
        }
        Err(self.mistakes)
    }
}

/// Whether a text held what is not UTF-8.
pub(crate) fn is_garbled(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

/// A key as it is compared.
pub(crate) fn fold(key: &str) -> Cow<'_, str> {
    if key.is_ascii() {
        if key.bytes().any(|octet| octet.is_ascii_uppercase()) {
            Cow::Owned(key.to_ascii_lowercase())
        } else {
            Cow::Borrowed(key)
        }
    } else {
        Cow::Owned(key.to_lowercase())
    }
}

#[cfg(test)]
mod tests;
