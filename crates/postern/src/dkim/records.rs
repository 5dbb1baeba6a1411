//! The DNS records of the keys of a domain.

use std::path::Path;

use postern_seal::rotation::Stage;
use postern_seal::txt_strings;
use serde::Serialize;

use super::rotate::Record;
use crate::dkim::DkimDomain;

/// A record, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct RecordLine {
    #[serde(flatten)]
    pub(crate) record: Record,
    /// The stage of its key; `null` for a key named in the configuration.
    stage: Option<Stage>,
    /// Its text in strings of at most 255 octets, for forms that want them.
    pub(crate) strings: Vec<String>,
    /// In zone file format.
    pub(crate) zone: String,
}

impl RecordLine {
    pub(crate) fn of(record: Record, stage: Option<Stage>) -> Self {
        Self {
            stage,
            strings: txt_strings(&record.text).into_iter().map(str::to_owned).collect(),
            zone: record.zone_line(),
            record,
        }
    }

    /// Whether its key will sign next.
    pub(crate) fn is_next(&self) -> bool {
        self.stage == Some(Stage::Next)
    }
}

/// The records of all keys of a domain.
///
/// # Errors
///
/// The keys cannot be read.
pub(crate) fn lines(state_dir: &Path, domain: &DkimDomain) -> Result<Vec<RecordLine>, String> {
    let name = &domain.domain;
    if !domain.is_managed() {
        let given = domain.given.iter();
        let line = |record| RecordLine::of(record, None);
        return Ok(given
            .map(|given| line(Record::of(name, &given.selector, &given.key)))
            .collect());
    }
    let folder = domain.folder(state_dir);
    let ring = folder.ring()?;
    let keys = ring.keys.iter().map(|entry| {
        let key = folder.key(&entry.selector)?;
        Ok(RecordLine::of(
            Record::of(name, &entry.selector, &key),
            Some(entry.stage),
        ))
    });
    keys.collect()
}
