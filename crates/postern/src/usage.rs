//! The file that remembers who has logged in by which mechanism.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use postern_net::file::{Existing, write_private};
use postern_receive::LoginCount;
use serde::{Deserialize, Serialize};

/// Longest file that is read, in octets.
const FILE_MAX: u64 = 64 << 20;

/// One count as it is written.
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

/// Where the counts are.
pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("logins.json")
}

/// Reads the counts; none where there is no file yet.
///
/// # Errors
///
/// The file cannot be read or makes no sense.
pub(crate) fn load(state_dir: &Path) -> io::Result<Vec<Line>> {
    let path = path(state_dir);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() > FILE_MAX => return Err(io::ErrorKind::FileTooLarge.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        _ => {}
    }
    serde_json::from_slice(&std::fs::read(&path)?).map_err(io::Error::other)
}

/// Writes the counts, as a whole or not at all.
///
/// # Errors
///
/// The file cannot be written.
pub(crate) fn save(state_dir: &Path, counts: Vec<LoginCount>) -> io::Result<()> {
    let lines: Vec<Line> = counts.into_iter().map(Line::from).collect();
    let text = serde_json::to_vec(&lines).map_err(io::Error::other)?;
    write_private(&path(state_dir), &text, Existing::Replace)
}
