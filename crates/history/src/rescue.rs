//! A damaged file of the history: it is moved aside, and what can be read goes into a new one.

use std::io;
use std::path::{Path, PathBuf};

use postern_salvage::{Pages, Row};
use rusqlite::{Connection, params};

use crate::error::PartError;
use crate::name::Name;
use crate::part::{Part, files_of};

/// The outcome.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rescued {
    /// Stories that could be read.
    pub(crate) stories: u64,
    /// Where the damaged file is kept.
    pub(crate) aside: PathBuf,
}

/// Moves a file aside and creates a new one from what can be read.
pub(crate) fn rescue(folder: &Path, name: Name) -> Result<Rescued, PartError> {
    let aside = put_aside(&name.path(folder))?;
    let [database, log, _] = files_of(&aside);
    let pages = Pages::open(&database, &log)?;
    let mut part = Part::open(folder, name)?;
    let stories = part.refill(|connection| copy(&pages, connection))?;
    Ok(Rescued { stories, aside })
}

/// Renames a file and its companions; an earlier one of that name is replaced, so that damage never fills the disk.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    for (from, to) in files_of(path).iter().zip(files_of(&aside)) {
        match std::fs::rename(from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match std::fs::remove_file(&to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
            result => result?,
        }
    }
    Ok(aside)
}

/// Copies the rows that can be read: names and texts first.
fn copy(pages: &Pages, connection: &Connection) -> Result<(), PartError> {
    for (table, column) in [("key", "name"), ("text", "text")] {
        let mut insert = connection.prepare(&format!(
            "INSERT OR IGNORE INTO {table} (id, {column}) VALUES (?1, ?2)"
        ))?;
        let mut failed = None;
        pages.rows_of(table, |row| {
            if let (Some(id), Some(text)) = (row.number, row.values.get(1).and_then(|value| value.text()))
                && failed.is_none()
            {
                failed = insert.execute(params![id, text]).err();
            }
        });
        failed.map_or(Ok(()), Err)?;
    }
    let mut insert =
        connection.prepare("INSERT OR IGNORE INTO chunk (id, story, at, body) VALUES (?1, ?2, ?3, ?4)")?;
    let mut failed = None;
    pages.rows_of("chunk", |row| {
        let Row {
            number: Some(id),
            values,
        } = row
        else {
            return;
        };
        let [_, story, at, body] = &values[..] else { return };
        if at.integer().is_some() && failed.is_none() {
            failed = insert.execute(params![id, story, at, body]).err();
        }
    });
    Ok(failed.map_or(Ok(()), Err)?)
}
