//! `postern dkim records`: the required DNS records, for a zone file and for web forms.

use std::path::Path;

use postern_seal::rotation::Stage;
use postern_seal::txt_strings;
use serde::Serialize;

use super::common::{enter, failed, the_domain};
use crate::args::{ConfigArg, JsonArg};
use crate::dkim::DkimDomain;
use crate::dkim::rotate::Record;
use crate::exit::Failure;
use crate::output;

/// A record, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct RecordLine {
    #[serde(flatten)]
    record: Record,
    /// The stage of its key; `null` for a key named in the configuration.
    stage: Option<Stage>,
    /// Its text in strings of at most 255 octets, for forms that want them.
    strings: Vec<String>,
    /// In zone file format.
    zone: String,
}

impl RecordLine {
    pub(super) fn of(record: Record, stage: Option<Stage>) -> Self {
        Self {
            stage,
            strings: txt_strings(&record.text).into_iter().map(str::to_owned).collect(),
            zone: record.zone_line(),
            record,
        }
    }

    /// Whether its key will sign next.
    pub(super) fn is_next(&self) -> bool {
        self.stage == Some(Stage::Next)
    }
}

pub(super) fn run(config: &ConfigArg, domain: &str, json: JsonArg) -> Result<(), Failure> {
    let (config, _) = enter(config)?;
    let lines = lines(&config.state_dir, the_domain(&config, domain)?)?;
    if json.json {
        return output::print_json(&lines);
    }
    if lines.is_empty() {
        return output::print(&format!("no keys: `postern dkim new {domain}` makes them"));
    }
    output::print(&as_text(&lines))
}

/// The records of all keys of a domain.
pub(crate) fn lines(state_dir: &Path, domain: &DkimDomain) -> Result<Vec<RecordLine>, Failure> {
    let name = &domain.domain;
    if !domain.is_managed() {
        let given = domain.given.iter();
        let line = |record| RecordLine::of(record, None);
        return Ok(given
            .map(|given| line(Record::of(name, &given.selector, &given.key)))
            .collect());
    }
    let folder = domain.folder(state_dir);
    let ring = folder.ring().map_err(failed)?;
    let keys = ring.keys.iter().map(|entry| {
        let key = folder.key(&entry.selector).map_err(failed)?;
        Ok(RecordLine::of(
            Record::of(name, &entry.selector, &key),
            Some(entry.stage),
        ))
    });
    keys.collect()
}

/// The records, ready to paste.
pub(super) fn as_text(lines: &[RecordLine]) -> String {
    let mut text = String::from("For a zone file:\n\n");
    for line in lines {
        text.push_str(&line.zone);
        text.push('\n');
    }
    text.push_str("\nFor a web form, a record of type TXT for each:\n");
    for line in lines {
        text.push_str(&format!(
            "\n  name   {}\n  value  {}\n",
            line.record.name, line.record.text
        ));
        if line.strings.len() > 1 {
            let quoted: Vec<String> = line
                .strings
                .iter()
                .map(|string| format!("\"{string}\""))
                .collect();
            text.push_str(&format!(
                "  value, where the form takes 255 letters at most:\n         {}\n",
                quoted.join(" ")
            ));
        }
    }
    text
}
