//! Patterns with values, in order, on an engine with linear time in the text.

mod class;
mod dialect;
mod reader;
mod replace;
mod translate;

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

pub use self::dialect::Dialect;
use self::replace::Replacement;
use crate::lines::is_blank;
use crate::notes::Notes;
use crate::rules::{self, Form, Step, Test};

/// Most octets of one compiled pattern.
const PATTERN_SIZE_MAX: usize = 2 << 20;

/// Longest text that is matched, in octets; longer text matches nothing.
const SUBJECT_MAX: usize = 1 << 20;

/// Patterns in order, of which the first that matches decides.
///
/// Time is linear in the text, whatever the pattern; what such an engine does not support (look-around, back-references) is a
/// mistake when the table is read. If several ways to match differ in what they capture, Perl's rule applies to both dialects:
/// the first matching alternative, not POSIX's longest.
#[derive(Debug)]
pub struct Patterns {
    steps: Vec<Step<Regex, Replacement>>,
    len: usize,
}

impl Patterns {
    pub(crate) fn read(text: &str, dialect: Dialect, notes: &mut Notes) -> Self {
        let steps = rules::read(text, &dialect, notes);
        let is_rule = |step: &&Step<Regex, Replacement>| matches!(step, Step::Rule(..));
        let len = steps.iter().filter(is_rule).count();
        Self { steps, len }
    }

    /// The value of the first matching pattern, with captures substituted for `$1` etc., and its line. A value that becomes empty
    /// counts as none.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<(Cow<'_, str>, usize)> {
        if key.len() > SUBJECT_MAX {
            return None;
        }
        let (test, value, line) = rules::find(&self.steps, |pattern| Some(pattern.is_match(key)))?;
        let value = match value.fixed() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(value.fill(&test.test.captures(key)?)),
        };
        (!value.is_empty()).then_some((value, line))
    }

    /// How many patterns have a value.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values as written, each with its line; `$1` etc. are not substituted.
    pub fn values(&self) -> impl Iterator<Item = (String, usize)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Rule(_, value, line) => Some((value.to_string(), *line)),
            Step::If(..) => None,
        })
    }
}

/// One pattern with a value of its own.
#[derive(Clone, Debug)]
pub struct Pattern {
    pattern: Regex,
    value: std::sync::Arc<Replacement>,
}

impl Pattern {
    /// A Perl pattern, without delimiters and flags: case-insensitive, and `.` matches a line end. `$1` in the value is the first
    /// capture.
    ///
    /// # Errors
    ///
    /// What is wrong, with the remedy.
    pub fn new(pattern: &str, value: &str) -> Result<Self, String> {
        let compiled = compile(Dialect::Perl, pattern, "")?;
        let value = Replacement::parse(value, compiled.captures_len() - 1)?;
        Ok(Self {
            pattern: compiled,
            value: std::sync::Arc::new(value),
        })
    }

    /// Its value with captures substituted, if it matches.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<String> {
        if text.len() > SUBJECT_MAX {
            return None;
        }
        match self.value.fixed() {
            Some(value) => self.pattern.is_match(text).then(|| value.to_owned()),
            None => Some(self.value.fill(&self.pattern.captures(text)?)),
        }
    }
}

impl Form for Dialect {
    type Test = Regex;
    type Value = Replacement;

    fn test<'t>(&self, text: &'t str) -> Result<(Regex, &'t str), String> {
        let (pattern, flags, rest) = parts(text)?;
        let made =
            compile(*self, pattern, flags).map_err(|message| format!("the pattern {pattern:?} {message}"))?;
        Ok((made, rest))
    }

    fn value(&self, text: &str, test: &Test<Regex>) -> Result<Replacement, String> {
        let captures = test.test.captures_len() - 1;
        let value = Replacement::parse(text, captures)?;
        if test.negated && value.fixed().is_none() {
            return Err(
                "has `$` in the value of a pattern with `!`, which captures nothing: write it without".into(),
            );
        }
        Ok(value)
    }
}

/// `/pattern/flags rest`: the first character, which is neither letter nor digit, also ends the pattern, unless preceded by `\`.
fn parts(text: &str) -> Result<(&str, &str, &str), String> {
    let delimiter = text
        .chars()
        .next()
        .filter(|c| !c.is_alphanumeric() && *c != '\\')
        .ok_or_else(|| {
            format!("does not begin with a pattern: write for example `/@example\\.org$/ {text}`")
        })?;
    let inner = &text[delimiter.len_utf8()..];
    let mut chars = inner.char_indices();
    let end = loop {
        match chars.next() {
            Some((_, '\\')) => {
                chars.next();
            }
            Some((index, c)) if c == delimiter => break index,
            Some(_) => {}
            None => {
                return Err(format!(
                    "has no second `{delimiter}` that would end the pattern: add it, or write `\\{delimiter}` within"
                ));
            }
        }
    };
    let behind = &inner[end + delimiter.len_utf8()..];
    let flags = behind.find(is_blank).unwrap_or(behind.len());
    Ok((&inner[..end], &behind[..flags], &behind[flags..]))
}

/// How a pattern is matched. Flags toggle: `i` turns the default off.
#[derive(Clone, Copy)]
struct Flags {
    case_insensitive: bool,
    multi_line: bool,
    dot_matches_new_line: bool,
    extended: bool,
    anchored: bool,
    swap_greed: bool,
}

impl Flags {
    fn read(dialect: Dialect, flags: &str) -> Result<Self, String> {
        let mut read = Self {
            case_insensitive: true,
            multi_line: false,
            dot_matches_new_line: true,
            extended: false,
            anchored: false,
            swap_greed: false,
        };
        for flag in flags.chars() {
            let switched = match (dialect, flag) {
                (_, 'i') => &mut read.case_insensitive,
                (_, 'm') => &mut read.multi_line,
                (Dialect::Perl, 's') => &mut read.dot_matches_new_line,
                (Dialect::Perl, 'x') => &mut read.extended,
                (Dialect::Perl, 'A') => &mut read.anchored,
                (Dialect::Perl, 'U') => &mut read.swap_greed,
                // `$` only matches at the very end here, whether requested or not; unknown escapes are mistakes.
                (Dialect::Perl, 'E' | 'X') => continue,
                (Dialect::Posix, 'x') => {
                    return Err(
                        "has the flag `x`, for basic expressions, which are not supported: write it as an \
                                extended one, without the flag"
                            .into(),
                    );
                }
                _ => {
                    let known = if dialect == Dialect::Perl {
                        "imsxAEUX"
                    } else {
                        "imx"
                    };
                    return Err(format!("has the unknown flag `{flag}`; there are {known}"));
                }
            };
            *switched = !*switched;
        }
        // POSIX's REG_NEWLINE means both.
        if dialect == Dialect::Posix && read.multi_line {
            read.dot_matches_new_line = false;
        }
        Ok(read)
    }
}

fn compile(dialect: Dialect, pattern: &str, flags: &str) -> Result<Regex, String> {
    let flags = Flags::read(dialect, flags)?;
    let mut text = translate::translate(pattern, dialect, flags.extended)?;
    if flags.anchored {
        text = format!("\\A(?:{text})");
    }
    RegexBuilder::new(&text)
        .case_insensitive(flags.case_insensitive)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_matches_new_line)
        .ignore_whitespace(flags.extended)
        .swap_greed(flags.swap_greed)
        .size_limit(PATTERN_SIZE_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "takes too much memory when it is compiled: make its counted repetitions smaller".into()
            }
            error => format!("cannot be read: {}", reason(&error.to_string())),
        })
}

/// The last line of the library's message, which says what is wrong.
fn reason(told: &str) -> &str {
    let last = told.lines().next_back().unwrap_or(told);
    last.strip_prefix("error: ").unwrap_or(last)
}

#[cfg(test)]
mod tests;
