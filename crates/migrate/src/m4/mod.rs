//! The part of m4 that `.mc` files use, without running m4: quotes, `dnl`, definitions, conditions, `include`, diversions.
//!
//! [`expand`] reads a file as m4 does and reports what happens in order, as [`Event`]s. Macros listed in [`Vocabulary`] are
//! recorded with their arguments and expand to nothing. Anything that would run a program, or is not m4 as `.mc` files use it,
//! is reported as [`Event::CannotFollow`]. Work is bounded by [`WORK_MAX`], whatever the file says.

mod engine;
mod input;
mod text;

use crate::{Files, Located};

pub use engine::expand;

/// Most octets examined in one expansion before it is given up: a definition that calls itself would never end.
pub const WORK_MAX: usize = 512 * 1024;

/// Calls within the arguments of calls, and files within files.
pub const DEPTH_MAX: usize = 64;

/// What happens when a file is expanded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// `define(name, value)`. The value is what the name expands to when the file has been read to its end, as seen by
    /// sendmail's own templates, unless it is redefined or undefined before that.
    Define {
        /// The macro's name.
        name: String,
        /// What it expands to.
        value: String,
    },
    /// `undefine(name)`.
    Undefine(String),
    /// A recorded macro, with its expanded arguments.
    Call {
        /// The macro's name.
        name: String,
        /// Its arguments; none if it has no parentheses.
        arguments: Vec<String>,
    },
    /// `include(path)`: its events follow where it was read.
    Include {
        /// The file, as named.
        path: String,
        /// Why it was not read, or `None`.
        problem: Option<String>,
    },
    /// A line of text outside all calls. Blank ones are not reported.
    Text(String),
    /// Something that is not followed: what it is, and why.
    CannotFollow(String),
}

/// What the reader knows about a file's macros.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    /// Macros that are recorded.
    pub recorded: &'a [&'a str],
    /// Macros that are defined before the file is read.
    pub defined: &'a [(&'a str, &'a str)],
    /// Path suffixes that `include` skips: templates of the old server, whose effect is known.
    pub known_files: &'a [&'a str],
}

/// Everything reported, in order.
pub type Events = Vec<Located<Event>>;

/// Reads `file` and reports what happens.
///
/// # Errors
///
/// The file itself cannot be read. Errors in it are reported as events.
pub fn read(file: &str, files: &dyn Files, vocabulary: &Vocabulary<'_>) -> Result<Events, crate::FileError> {
    let text = files.read(file)?;
    Ok(expand(file, &text, files, vocabulary))
}

#[cfg(test)]
mod tests;
