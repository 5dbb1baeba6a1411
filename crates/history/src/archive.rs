//! Searching the history, whether a server is writing to it or not.

mod each;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::chunk::About;
use crate::error::PartError;
use crate::files::size;
use crate::name::{self, Name, date, day_of};
use crate::read::Reader;
use crate::story::{Kind, Query, Story};
use crate::term::Term;

/// The result of a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The stories, newest first.
    pub stories: Vec<Story>,
    /// Whether there are more.
    pub more: bool,
    /// Files that could not be read, and why.
    pub unreadable: Vec<String>,
}

/// How much is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Usage {
    /// The day, in UTC.
    #[serde(rename = "date")]
    pub day: Date,
    /// Whose stories.
    pub class: &'static str,
    /// How many stories.
    pub stories: u64,
    /// Octets on the disk.
    pub size: u64,
}

/// Why the history cannot be searched at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {folder}: {source}")]
pub struct ArchiveError {
    folder: PathBuf,
    source: std::io::Error,
}

/// The files of the history, for searching. Files that were read stay open.
pub struct Archive {
    folder: PathBuf,
    open: HashMap<Name, Reader>,
}

/// Most candidates examined one by one if it is not known whether they continue long enough.
const EACH_MAX: usize = 2_000;

/// Reading this many candidates is faster than reading another list of them.
const FEW: usize = 500;

/// Stories read at once if only a time is asked for.
const PIECE: usize = 256;

impl Archive {
    /// The files of a folder, which need not exist.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            open: HashMap::new(),
        }
    }

    fn names(&mut self) -> Result<Vec<Name>, ArchiveError> {
        let names = name::list(&self.folder).map_err(|source| ArchiveError {
            folder: self.folder.clone(),
            source,
        })?;
        self.open.retain(|name, _| names.contains(name));
        Ok(names)
    }

    fn reader(&mut self, name: Name) -> Result<Option<&mut Reader>, PartError> {
        use std::collections::hash_map::Entry;
        match self.open.entry(name) {
            Entry::Occupied(there) => Ok(Some(there.into_mut())),
            Entry::Vacant(place) => {
                let reader = Reader::open(&name.path(&self.folder))?;
                Ok(reader.map(|reader| place.insert(reader)))
            }
        }
    }

    /// Queries a file; if it cannot be read, that is noted.
    fn with<T: Default>(
        &mut self,
        name: Name,
        unreadable: &mut Vec<String>,
        ask: impl FnOnce(&mut Reader) -> Result<T, PartError>,
    ) -> T {
        let result = match self.reader(name) {
            Ok(Some(reader)) => ask(reader),
            Ok(None) => Ok(T::default()),
            Err(error) => Err(error),
        };
        result.unwrap_or_else(|error| {
            self.open.remove(&name);
            // The server may have just removed it.
            if name.path(&self.folder).exists() {
                unreadable.push(format!("{name}: {error}"));
            }
            T::default()
        })
    }

    /// Finds stories, newest first.
    ///
    /// # Errors
    ///
    /// The folder cannot be read. A file that cannot be read is named in the result.
    pub fn find(&mut self, query: &Query) -> Result<Found, ArchiveError> {
        let names = self.names()?;
        let mut found = Found::default();
        let last_day = query
            .until
            .map_or(i32::MAX, |until| day_of(until.as_millisecond()) + 1);
        let mut at = names.len();
        while at > 0 && found.stories.len() <= query.limit {
            let day = names[at - 1].day;
            let first = names[..at].partition_point(|name| name.day < day);
            let mut of_day = Vec::new();
            if day <= last_day {
                for name in &names[first..at] {
                    let stories = self.with(*name, &mut found.unreadable, |reader| {
                        in_file(reader, *name, query)
                    });
                    of_day.extend(stories);
                }
            }
            of_day.sort_by_key(|story: &Story| std::cmp::Reverse(story.began()));
            found.stories.extend(of_day);
            at = first;
        }
        found.more = found.stories.len() > query.limit;
        found.stories.truncate(query.limit);
        Ok(found)
    }

    /// What is known about a session apart from its messages, oldest first; several if it lasted long.
    ///
    /// # Errors
    ///
    /// As [`Self::find`]; files that cannot be read are skipped.
    pub fn session(&mut self, id: &str) -> Result<Vec<Story>, ArchiveError> {
        let Some(hashes) = Term::Session(id.to_owned()).hashes().filter(|_| !id.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for name in self.names()? {
            let of_file = self.with(name, &mut Vec::new(), |reader| {
                let mut stories = Vec::new();
                for story in reader.postings(&hashes)? {
                    if matches!(reader.about(story)?, Some(About::Session(session)) if *session == *id) {
                        stories.extend(load(reader, name, story)?);
                    }
                }
                Ok(stories)
            });
            found.extend(of_file);
        }
        found.sort_by_key(Story::began);
        Ok(found)
    }

    /// How much there is of each file, oldest first, and which cannot be read.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub fn usage(&mut self) -> Result<(Vec<Usage>, Vec<String>), ArchiveError> {
        let mut unreadable = Vec::new();
        let mut all = Vec::new();
        for name in self.names()? {
            all.push(Usage {
                day: date(name.day),
                class: name.class.name(),
                stories: self.with(name, &mut unreadable, |reader| reader.count()),
                size: size(&name.path(&self.folder)),
            });
        }
        Ok((all, unreadable))
    }
}

fn load(reader: &mut Reader, name: Name, story: u32) -> Result<Option<Story>, PartError> {
    let Some(read) = reader.story(name.begin(), story)? else {
        return Ok(None);
    };
    let (kind, id, session) = match read.about {
        About::Session(session) => (Kind::Session, session.to_string(), session),
        About::Message(queue, session) => (Kind::Message, queue.to_string(), session),
    };
    let mut events = read.events;
    events.sort_by_key(|event| event.at);
    Ok(Some(Story {
        kind,
        id,
        session: session.into(),
        class: name.class,
        events,
    }))
}

/// The newest matching stories of a file, one more than wanted if there are that many.
fn in_file(reader: &mut Reader, name: Name, query: &Query) -> Result<Vec<Story>, PartError> {
    let (first, last) = reader.bounds()?;
    let since = |at: Timestamp| reader.row_at(at.as_millisecond() - name.begin());
    let low = query.since.map_or(Ok(first), since)?;
    let back = reader.back()?;
    let until = |at: Timestamp| reader.row_at(at.as_millisecond() - name.begin() + back + 1);
    let end = query.until.map_or(Ok(last + 1), until)?;
    if low >= end {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut take = |reader: &mut Reader, story: u32| -> Result<bool, PartError> {
        let story = load(reader, name, story)?;
        found.extend(story.filter(|story| story.matches(query)));
        Ok(found.len() > query.limit)
    };
    match candidates(reader, query)? {
        Some(candidates) => {
            let candidates = in_time(reader, candidates, low, end)?;
            for story in candidates.into_iter().rev() {
                if take(reader, story)? {
                    break;
                }
            }
        }
        None => {
            let mut row = end;
            'all: loop {
                let piece: Vec<u32> = reader.before(row, PIECE)?;
                let Some(oldest) = piece.last() else { break };
                row = i64::from(*oldest);
                for story in piece.into_iter().filter(|story| i64::from(*story) >= low) {
                    if take(reader, story)? {
                        break 'all;
                    }
                }
                if row <= low {
                    break;
                }
            }
            for story in reader.going_on(low, end)?.into_iter().rev() {
                if take(reader, story)? {
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// The stories that may contain what is asked for, oldest first; `None` if that may be all. The rarest terms are looked up first:
/// if they leave few stories, those are read, and longer lists are not.
fn candidates(reader: &Reader, query: &Query) -> Result<Option<Vec<u32>>, PartError> {
    let mut groups: Vec<&Vec<Term>> = query.groups.iter().collect();
    groups.sort_by_key(|group| group.iter().map(Term::commonness).max());
    let mut all: Option<Vec<u32>> = None;
    for group in groups {
        let hashes: Option<Vec<Vec<u64>>> = group.iter().map(Term::hashes).collect();
        let Some(hashes) = hashes else { continue };
        if all.as_ref().is_some_and(|all| all.len() <= FEW) {
            break;
        }
        let of_group = reader.postings(&hashes.concat())?;
        all = Some(match all {
            Some(all) => both(&all, &of_group),
            None => of_group,
        });
    }
    Ok(all)
}

/// The intersection of two ascending lists.
fn both(one: &[u32], other: &[u32]) -> Vec<u32> {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let mut rest = long;
    let mut common = Vec::new();
    for story in short {
        let skipped = rest.partition_point(|one| one < story);
        rest = &rest[skipped..];
        if rest.first() == Some(story) {
            common.push(*story);
        }
    }
    common
}

/// Stories that begin within the rows from `low` to before `end`, and those that continue there.
fn in_time(reader: &Reader, candidates: Vec<u32>, low: i64, end: i64) -> Result<Vec<u32>, PartError> {
    let begun = candidates.partition_point(|story| i64::from(*story) < low);
    let over = candidates.partition_point(|story| i64::from(*story) < end);
    let (before, within) = (&candidates[..begun], &candidates[begun..over]);
    let mut all = if before.len() <= EACH_MAX {
        let mut going_on = Vec::new();
        for story in before {
            if reader.last_row(*story)? >= low {
                going_on.push(*story);
            }
        }
        going_on
    } else {
        both(before, &reader.going_on(low, end)?)
    };
    all.extend_from_slice(within);
    Ok(all)
}
