//! The files of a buffer: one stream of lines, cut into pieces, each named by the place in the stream at which it begins.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What files of a buffer end in.
const ENDING: &str = "jsonl";

/// One file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Segment {
    pub(crate) begin: u64,
    pub(crate) length: u64,
}

impl Segment {
    pub(crate) fn end(self) -> u64 {
        self.begin + self.length
    }

    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{:016}.{ENDING}", self.begin))
    }
}

/// The files of a folder, in order. A line at the end of the last one that a crash has cut is taken off.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(&format!(".{ENDING}")));
        if let Some(begin) = number.and_then(|number| number.parse().ok()) {
            let length = entry.metadata()?.len();
            found.push(Segment { begin, length });
        }
    }
    found.sort_by_key(|segment| segment.begin);
    if let Some(last) = found.last_mut() {
        let text = read(folder, *last, 0, last.length)?;
        let whole = text
            .iter()
            .rposition(|octet| *octet == b'\n')
            .map_or(0, |at| at + 1);
        if whole as u64 != last.length {
            OpenOptions::new()
                .write(true)
                .open(last.path(folder))?
                .set_len(whole as u64)?;
            last.length = whole as u64;
        }
    }
    // Two files that overlap would say things twice: the later one counts.
    let mut kept: Vec<Segment> = Vec::new();
    for segment in found {
        kept.retain(|before| before.end() <= segment.begin);
        kept.push(segment);
    }
    Ok(kept)
}

/// Octets of a file, from a place in it on.
pub(crate) fn read(folder: &Path, segment: Segment, from: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(segment.path(folder))?;
    file.seek(SeekFrom::Start(from))?;
    let mut octets = Vec::new();
    file.take(most).read_to_end(&mut octets)?;
    Ok(octets)
}

/// Appends whole lines to a file, or leaves it as it was.
pub(crate) fn append(folder: &Path, segment: &mut Segment, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(segment.path(folder))?;
    match file.write_all(lines) {
        Ok(()) => {
            segment.length += lines.len() as u64;
            Ok(())
        }
        Err(error) => {
            let _ = file.set_len(segment.length);
            Err(error)
        }
    }
}

/// Lines in octets.
pub(crate) fn lines(octets: &[u8]) -> u64 {
    octets.iter().filter(|octet| **octet == b'\n').count() as u64
}
