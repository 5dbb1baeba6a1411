//! Imports messages from files set aside, for an administrator.

use std::collections::HashMap;
use std::mem;
use std::path::Path;

use tokio::sync::oneshot;

use super::inbox::{Chore, Task};
use super::shared::Shared;
use crate::error::SpoolError;
use crate::rescue::aside;
use crate::rescue::salvage::{self, Parts, Recovered};

/// Messages imported in one transaction.
const STEP: usize = 100;

impl Shared {
    /// Looks for messages that the queue does not know in everything set aside; with `import` they are added, held. Blocks.
    pub(super) fn recover_aside(&self, import: bool) -> Result<Vec<Recovered>, SpoolError> {
        let directory = &self.settings.directory;
        let mut all: Vec<Recovered> = Vec::new();
        for find in aside::finds(directory) {
            let found = self.unknown(&find)?;
            let mut parts = HashMap::new();
            for (id, part, shown) in found {
                if all.iter().all(|known| known.id != shown.id) {
                    all.push(shown);
                    parts.insert(id, part);
                }
            }
            if import && !parts.is_empty() {
                let ids: Vec<i64> = parts.keys().copied().collect();
                self.take_in(&find, parts)?;
                let noted = aside::note_imported(&find, &ids);
                noted.map_err(|error| SpoolError::from_io("cannot note what was recovered", &error))?;
            }
        }
        if import {
            self.readers.read_here(|reader| {
                Ok(salvage::give_bodies_back(
                    directory,
                    reader,
                    &self.settings.observers,
                )?)
            })??;
        }
        Ok(all)
    }

    fn unknown(&self, find: &Path) -> Result<Vec<(i64, Parts, Recovered)>, SpoolError> {
        let mut found = salvage::candidates(&self.settings.directory, find)
            .map_err(|error| SpoolError::from_io("cannot read what was put aside", &error))?;
        self.readers.read_here(|reader| {
            let mut failed = None;
            found.retain(|(id, ..)| match salvage::is_known(reader, *id) {
                Ok(known) => !known,
                Err(error) => {
                    failed = Some(error);
                    false
                }
            });
            failed.map_or(Ok(()), |error| Err(error.into()))
        })??;
        Ok(found)
    }

    /// Imports messages together with their bodies, a few at a time; those without bodies last.
    fn take_in(&self, find: &Path, mut parts: HashMap<i64, Parts>) -> Result<(), SpoolError> {
        let (mut whole, mut failed) = (Vec::new(), None);
        salvage::each_body(&self.settings.directory, find, |id, body| {
            if let Some(mut part) = parts.remove(&id) {
                part.body = Some(body);
                whole.push((id, part));
            }
            if whole.len() >= STEP {
                let taken = self.import(mem::take(&mut whole));
                failed = failed.take().or_else(|| taken.err());
            }
        });
        whole.extend(parts);
        while !whole.is_empty() && failed.is_none() {
            let rest = whole.split_off(whole.len().min(STEP));
            failed = self.import(mem::replace(&mut whole, rest)).err();
        }
        failed.map_or(Ok(()), Err)
    }

    fn import(&self, found: Vec<(i64, Parts)>) -> Result<u64, SpoolError> {
        self.check()?;
        let (reply, done) = oneshot::channel();
        let chore = Chore {
            task: Task::Import { found },
            reply: Some(reply),
        };
        self.inbox.chore(chore).map_err(|_| SpoolError::Closed)?;
        done.blocking_recv().unwrap_or(Err(SpoolError::Closed))
    }
}
