//! How far a buffer has been taken, and the batch that is under way: in a file, so that a restart goes on there, with the same batch under the same id.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

const FILE: &str = "position.json";

/// Where a webhook is in its stream.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Position {
    /// Tells this stream from others of the same webhook, after its folder was lost.
    pub(crate) stream: String,
    /// The place up to which all was taken.
    pub(crate) taken: u64,
    /// The place up to which the batch goes that is under way.
    pub(crate) until: Option<u64>,
}

impl Position {
    /// That of a new stream; `chance` tells it from others.
    pub(crate) fn new(chance: u64) -> Self {
        Self {
            stream: format!("{chance:016x}"),
            taken: 0,
            until: None,
        }
    }

    /// What was kept, if it can be read.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read(folder.join(FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps it: the file is the old one or the new one, whenever the server is killed.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(format!("{FILE}.new"));
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        std::fs::rename(new, folder.join(FILE))
    }

    /// The id of the batch that begins here: the same each time it is sent.
    pub(crate) fn id(&self) -> String {
        format!("msg_{}_{}", self.stream, self.taken)
    }
}
