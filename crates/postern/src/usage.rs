//! Who has logged in with which mechanism: display and storage.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use postern_receive::{LoginCount, login_counts};
use postern_store::{SqliteStore, StoreError};
use serde::{Deserialize, Serialize};

/// Longest file in the old format that is read, in octets.
const FILE_MAX: u64 = 64 << 20;

/// One count, as displayed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) mechanism: String,
    pub(crate) login: String,
    pub(crate) count: u64,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) last_peer: Option<IpAddr>,
}

impl From<LoginCount> for Line {
    fn from(count: LoginCount) -> Self {
        Self {
            mechanism: count.mechanism,
            login: count.login,
            count: count.count,
            first_at: count.first_at,
            last_at: count.last_at,
            last_peer: count.last_peer,
        }
    }
}

impl From<Line> for LoginCount {
    fn from(line: Line) -> Self {
        Self {
            mechanism: line.mechanism,
            login: line.login,
            count: line.count,
            first_at: line.first_at,
            last_at: line.last_at,
            last_peer: line.last_peer,
        }
    }
}

/// The store in the state directory.
pub(crate) fn store_path(state_dir: &Path) -> PathBuf {
    state_dir.join("state.db")
}

/// Where the counts were before the store existed. A server that finds the file migrates it once.
pub(crate) fn old_path(state_dir: &Path) -> PathBuf {
    state_dir.join("logins.json")
}

/// Reads the file in the old format; nothing if there is none.
///
/// # Errors
///
/// The file cannot be read or is invalid.
pub(crate) fn load_old(state_dir: &Path) -> io::Result<Option<Vec<Line>>> {
    let path = old_path(state_dir);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() > FILE_MAX => return Err(io::ErrorKind::FileTooLarge.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    serde_json::from_slice(&std::fs::read(&path)?)
        .map(Some)
        .map_err(io::Error::other)
}

/// Reads the counts if no server is running.
///
/// # Errors
///
/// The file and why it cannot be read.
pub(crate) fn load(state_dir: &Path) -> Result<Vec<Line>, (PathBuf, String)> {
    let path = store_path(state_dir);
    let failed = |error: StoreError| (path.clone(), error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| (path.clone(), error.to_string()))?;
    let counts = match SqliteStore::read(&path).map_err(failed)? {
        Some(store) => runtime.block_on(login_counts(&store)).map_err(failed)?,
        None => Vec::new(),
    };
    if !counts.is_empty() {
        return Ok(counts.into_iter().map(Line::from).collect());
    }
    let old = load_old(state_dir).map_err(|error| (old_path(state_dir), error.to_string()))?;
    Ok(old.unwrap_or_default())
}
