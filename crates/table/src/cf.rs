//! Files of parameters, `name = value`, as Postfix uses them for tables in databases.

use std::collections::HashMap;

use crate::lines::{is_blank, logical};
use crate::notes::{Mistake, Notes};

/// Parameters by name; the last definition counts.
///
/// Values may be secrets: they are not shown by `Debug`.
#[derive(Clone, Default)]
pub struct Parameters {
    values: HashMap<String, (String, usize)>,
}

/// Reads parameters.
///
/// # Errors
///
/// Lines that are not parameters.
pub fn read_parameters(text: &str) -> Result<Parameters, Vec<Mistake>> {
    let mut notes = Notes::default();
    let mut parameters = Parameters::default();
    logical(text, &mut notes, |(number, line), notes| {
        let pair = line.split_once('=');
        let pair = pair.map(|(name, value)| (name.trim_matches(is_blank), value.trim_matches(is_blank)));
        match pair.filter(|(name, _)| !name.is_empty() && !name.contains(is_blank)) {
            Some((name, value)) => {
                parameters
                    .values
                    .insert(name.to_owned(), (value.to_owned(), number));
            }
            // Its text may be a password.
            None => notes.mistake(number, "is not a parameter: write `name = value`"),
        }
    });
    notes.close().map(|_| parameters)
}

impl Parameters {
    /// The value of a parameter, if present and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (value, _) = self.values.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The words of a value, separated by blanks and commas.
    #[must_use]
    pub fn words(&self, name: &str) -> Vec<&str> {
        let value = self.get(name).unwrap_or_default();
        value
            .split(|c| is_blank(c) || c == ',')
            .filter(|word| !word.is_empty())
            .collect()
    }

    /// The line of a parameter; 0 if absent.
    #[must_use]
    pub fn line(&self, name: &str) -> usize {
        self.values.get(name).map_or(0, |(_, line)| *line)
    }

    /// All names with their lines, ordered by line.
    #[must_use]
    pub fn names(&self) -> Vec<(&str, usize)> {
        let mut names: Vec<(&str, usize)> = self
            .values
            .iter()
            .map(|(name, (_, line))| (name.as_str(), *line))
            .collect();
        names.sort_by_key(|(_, line)| *line);
        names
    }
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Parameters").field(&self.names()).finish()
    }
}
