//! The part of m4 that `.mc` files use, without running m4: quotes, `dnl`, definitions, conditions, `include`, diversions.
//!
//! [`expand`] reads a file as m4 does and tells what happens in its order, as [`Event`]s. Macros that a caller names in
//! [`Vocabulary`] are recorded with their arguments and expand to nothing. What would run a program, or is not m4 as `.mc` files
//! use it, is told as [`Event::CannotFollow`]. Work is bounded by [`WORK_MAX`], whatever the file says.

mod engine;
mod input;
mod text;

use crate::{Files, Located};

pub use engine::expand;

/// Octets that are looked at in one expansion before it is given up: a definition that calls itself would have no end.
pub const WORK_MAX: usize = 512 * 1024;

/// Calls within the arguments of calls, and files within files.
pub const DEPTH_MAX: usize = 64;

/// What happens when a file is expanded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// `define(name, value)`. The value is what the name expands to when the file has been read to its end, as sendmail's own
    /// templates see it, unless it is defined again or undefined before that.
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
        /// Its arguments; none where it stands without parentheses.
        arguments: Vec<String>,
    },
    /// `include(path)`: its events follow where it was read.
    Include {
        /// The file, as named.
        path: String,
        /// Why it was not read, or `None`.
        problem: Option<String>,
    },
    /// A line of text outside all calls. Blank ones are not told.
    Text(String),
    /// Something that is not followed: what it is, and why.
    CannotFollow(String),
}

/// What the reader is told of a file's macros.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    /// Macros that are recorded.
    pub recorded: &'a [&'a str],
    /// Macros that are defined before the file is read.
    pub defined: &'a [(&'a str, &'a str)],
    /// Endings of paths that `include` passes over: templates of the old server, whose work is known.
    pub known_files: &'a [&'a str],
}

/// All that was told, in order.
pub type Events = Vec<Located<Event>>;

/// Reads `file` and tells what happens.
///
/// # Errors
///
/// The file itself cannot be read. What is wrong in it is told by the events.
pub fn read(file: &str, files: &dyn Files, vocabulary: &Vocabulary<'_>) -> Result<Events, crate::FileError> {
    let text = files.read(file)?;
    Ok(expand(file, &text, files, vocabulary))
}

#[cfg(test)]
mod tests;
