//! The buffer of a webhook: lines on disk until they are taken, the oldest dropped and counted where there are too many.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::position::Position;
use crate::segments::{self, Segment};

/// Smallest and largest file, in octets. Room is made by whole files.
const SEGMENT: std::ops::RangeInclusive<u64> = (16 << 10)..=(4 << 20);

/// How many files the room makes.
const SEGMENTS: u64 = 16;

/// What is on disk.
#[derive(Debug)]
pub(crate) struct Buffer {
    folder: PathBuf,
    most: u64,
    segments: Vec<Segment>,
    position: Position,
    /// Lines that were not taken.
    waiting: u64,
    /// Lines that had no room or made no sense, since the start.
    dropped: u64,
}

/// Some lines, as they are sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Batch {
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) events: u64,
    /// Lines with those that made no sense.
    lines: u64,
    end: u64,
}

impl Buffer {
    /// Opens a folder, or makes it. `chance` names a new stream.
    pub(crate) fn open(folder: &Path, most: u64, chance: u64) -> io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let segments = segments::list(folder)?;
        let mut position = Position::read(folder).unwrap_or_else(|| Position::new(chance));
        let (begin, end) = match (segments.first(), segments.last()) {
            (Some(first), Some(last)) => (first.begin, last.end()),
            _ => (position.taken, position.taken),
        };
        // After a power cut either may be the newer one.
        position.taken = position.taken.clamp(begin, end.max(begin));
        position.until = position
            .until
            .filter(|until| (position.taken..=end).contains(until));
        let mut buffer = Self {
            folder: folder.to_owned(),
            most,
            segments,
            position,
            waiting: 0,
            dropped: 0,
        };
        buffer.forget_taken();
        buffer.waiting = buffer.lines_left()?;
        Ok(buffer)
    }

    pub(crate) fn configure(&mut self, most: u64) {
        self.most = most;
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Octets on disk.
    pub(crate) fn octets(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// Whether further lines of strangers have room: half of it is for what matters.
    pub(crate) fn has_room_for_strangers(&self, octets: usize) -> bool {
        self.octets() + octets as u64 <= self.most / 2
    }

    /// Counts lines that were given no room.
    pub(crate) fn leave_out(&mut self, lines: u64) {
        self.dropped += lines;
    }

    fn segment_max(&self) -> u64 {
        (self.most / SEGMENTS).clamp(*SEGMENT.start(), *SEGMENT.end())
    }

    /// Keeps whole lines; what cannot be written is dropped and counted.
    pub(crate) fn append(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let (now, later) = lines.split_at(whole(lines, self.segment_max()));
            if let Err(error) = self.append_some(now) {
                self.dropped += segments::lines(lines);
                return Err(error);
            }
            lines = later;
        }
        Ok(())
    }

    fn append_some(&mut self, lines: &[u8]) -> io::Result<()> {
        let octets = lines.len() as u64;
        let most = self.segment_max();
        let fits = |last: &Segment| last.length == 0 || last.length + octets <= most;
        if !self.segments.last().is_some_and(fits) {
            let begin = self
                .segments
                .last()
                .map_or(self.position.taken, |last| last.end());
            self.segments.push(Segment { begin, length: 0 });
        }
        while self.octets() + octets > self.most && self.segments.len() > 1 {
            self.drop_oldest();
        }
        let Some(last) = self.segments.last_mut() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        segments::append(&self.folder, last, lines)?;
        self.waiting += segments::lines(lines);
        Ok(())
    }

    fn drop_oldest(&mut self) {
        let oldest = self.segments.remove(0);
        let from = self.position.taken.saturating_sub(oldest.begin);
        if let Ok(rest) = segments::read(&self.folder, oldest, from, u64::MAX) {
            let lost = segments::lines(&rest);
            self.dropped += lost;
            self.waiting = self.waiting.saturating_sub(lost);
        }
        let _ = std::fs::remove_file(oldest.path(&self.folder));
        if self.position.taken < oldest.end() {
            self.position.taken = oldest.end();
            self.position.until = None;
        }
    }

    /// The batch to send now: the one that was under way, or the next. It is noted before it is sent, so that it stays the same.
    pub(crate) fn next(&mut self, events: usize, octets: usize) -> io::Result<Option<Batch>> {
        loop {
            let taken = self.position.taken;
            let Some(segment) = self
                .segments
                .iter()
                .find(|segment| segment.end() > taken)
                .copied()
            else {
                return Ok(None);
            };
            // What lay before it is gone.
            self.position.taken = taken.max(segment.begin);
            let from = self.position.taken - segment.begin;
            let text = match self.position.until {
                Some(until) => {
                    let length = until.saturating_sub(self.position.taken);
                    segments::read(&self.folder, segment, from, length)?
                }
                None => {
                    // A line that is longer than a batch is one alone.
                    let text = self.some(segment, from, octets as u64)?;
                    let end = whole(some_lines(&text, events), octets as u64);
                    text[..end].to_vec()
                }
            };
            if text.is_empty() {
                self.give_up(segment)?;
                continue;
            }
            let end = self.position.taken + text.len() as u64;
            let body = sensible(&text);
            let batch = Batch {
                id: self.position.id(),
                events: segments::lines(&body),
                lines: segments::lines(&text),
                body,
                end,
            };
            if batch.events == 0 {
                self.dropped += batch.lines;
                self.take(&batch);
                continue;
            }
            if self.position.until != Some(end) {
                self.position.until = Some(end);
                // Where it cannot be kept, a crash might send other lines under this id. That is better than to send none.
                let _ = self.position.write(&self.folder);
            }
            return Ok(Some(batch));
        }
    }

    /// A batch was taken.
    pub(crate) fn take(&mut self, batch: &Batch) {
        if self.position.taken >= batch.end {
            return;
        }
        self.waiting = self.waiting.saturating_sub(batch.lines);
        self.position.taken = batch.end;
        self.position.until = None;
        // Where that cannot be kept, the lines are: after a restart the batch goes out again under its id, and no others do.
        if self.position.write(&self.folder).is_ok() {
            self.forget_taken();
        }
    }

    /// The text from a place in a file on: no more than a batch takes, but for a first line that is longer.
    fn some(&self, segment: Segment, from: u64, octets: u64) -> io::Result<Vec<u8>> {
        let mut most = octets.max(1);
        loop {
            let text = segments::read(&self.folder, segment, from, most)?;
            if text.contains(&b'\n') || (text.len() as u64) < most {
                return Ok(text);
            }
            most = most.saturating_mul(2);
        }
    }

    /// Gives up a file that has lost its lines, and counts those.
    fn give_up(&mut self, segment: Segment) -> io::Result<()> {
        self.position.taken = segment.end();
        self.position.until = None;
        self.segments.retain(|one| *one != segment);
        let _ = std::fs::remove_file(segment.path(&self.folder));
        let left = self.lines_left()?;
        self.dropped += self.waiting.saturating_sub(left);
        self.waiting = left;
        Ok(())
    }

    fn lines_left(&self) -> io::Result<u64> {
        let mut lines = 0;
        for segment in &self.segments {
            let from = self.position.taken.saturating_sub(segment.begin);
            lines += segments::lines(&segments::read(&self.folder, *segment, from, u64::MAX)?);
        }
        Ok(lines)
    }

    /// Removes files of which all was taken; the last one goes on until it is half full.
    fn forget_taken(&mut self) {
        let (taken, half) = (self.position.taken, self.segment_max() / 2);
        let last = self.segments.last().map(|last| last.begin);
        let is_over = |segment: &Segment| {
            segment.end() <= taken && (Some(segment.begin) != last || segment.length >= half)
        };
        let folder = &self.folder;
        self.segments.retain(|segment| {
            let over = is_over(segment);
            if over {
                let _ = std::fs::remove_file(segment.path(folder));
            }
            !over
        });
    }
}

/// So many octets as are whole lines and no more than `most`; one line, where the first is longer.
fn whole(lines: &[u8], most: u64) -> usize {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(lines.len());
    let first = || {
        lines
            .iter()
            .position(|octet| *octet == b'\n')
            .map_or(lines.len(), |at| at + 1)
    };
    let last = lines[..most].iter().rposition(|octet| *octet == b'\n');
    last.map_or_else(first, |at| at + 1)
}

/// The first lines.
fn some_lines(text: &[u8], most: usize) -> &[u8] {
    let ends = text.iter().enumerate().filter(|(_, octet)| **octet == b'\n');
    let end = ends.map(|(at, _)| at + 1).nth(most.saturating_sub(1));
    &text[..end.unwrap_or(text.len())]
}

/// The lines that are JSON. Others can come of a power cut alone.
fn sensible(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|octet| *octet == b'\n');
    let sensible = lines.filter(|line| serde_json::from_slice::<IgnoredAny>(line).is_ok());
    sensible.flatten().copied().collect()
}

#[cfg(test)]
mod tests;
