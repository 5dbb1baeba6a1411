//! Entries that stand in a look-up table: a file, a database, a list within the configuration.

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{Found, Table};
use crate::tables::Lookup;

/// A look-up table as a source of aliases.
#[derive(Clone)]
pub struct Looked(pub Lookup);

impl std::fmt::Debug for Looked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Looked").field(&self.0.name()).finish()
    }
}

impl Looked {
    /// Where an entry is written: file and line, or the name of the table.
    fn place(&self, at: Option<(std::path::PathBuf, usize)>) -> String {
        match at {
            Some((path, 0)) => path.display().to_string(),
            Some((path, line)) => format!("{}:{line}", path.display()),
            None => self.0.name().to_owned(),
        }
    }
}

impl Table for Looked {
    fn find<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Found>, String>> {
        async move {
            let answer = self.0.get(key).await.map_err(|down| down.reason)?;
            Ok(answer.map(|answer| Found {
                value: answer.value,
                place: self.place(answer.at),
            }))
        }
        .boxed()
    }

    fn has_patterns(&self) -> bool {
        self.0.is_pattern()
    }

    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    fn entries(&self) -> Vec<(String, Found)> {
        let Some(entries) = self.0.in_memory().and_then(|table| table.entries()) else {
            return Vec::new();
        };
        let file = self.0.file();
        entries
            .iter()
            .map(|(key, value, line)| {
                let found = Found {
                    value: value.to_owned(),
                    place: self.place(file.map(|file| (file.to_owned(), line))),
                };
                (key.to_owned(), found)
            })
            .collect()
    }
}
