//! The index of a file: runs of postings, each sorted by term and story, in blocks that fill a page.
//!
//! A posting says that a story is found by a term. A batch of stories makes a small run; eight of one level are merged into one
//! of the next. So postings are written in order, and each only a few times, where a B-tree would write a page for nearly every
//! one. A block is identified by its run, its first term and a number for those that begin with the same term, all packed into
//! its row number.

use crate::term::HASH_BITS;
use crate::varint;

/// The hash of a term, and a story found by it.
pub(crate) type Posting = (u64, u32);

/// Bits for numbering the blocks that begin with the same term.
const NUMBER_BITS: u32 = 12;
const NUMBER_MAX: u64 = (1 << NUMBER_BITS) - 1;

/// Runs have numbers below this.
pub(crate) const RUNS_MAX: u64 = 1 << (63 - HASH_BITS - NUMBER_BITS);

/// Octets of a block: with its row header it fills a page of 4,096.
const BLOCK_MAX: usize = 4_040;

/// Most stories of one term written as one group.
const GROUP_MAX: usize = 600;

/// The row of a block.
pub(crate) fn row(run: u64, term: u64, number: u64) -> i64 {
    ((run << (HASH_BITS + NUMBER_BITS)) | (term << NUMBER_BITS) | number) as i64
}

/// The rows of a run, from the first to the last.
pub(crate) fn rows_of(run: u64) -> (i64, i64) {
    (row(run, 0, 0), row(run, (1 << HASH_BITS) - 1, NUMBER_MAX))
}

/// The last row that can contain a term.
pub(crate) fn last_of(run: u64, term: u64) -> i64 {
    row(run, term, NUMBER_MAX)
}

/// The first term of a block.
pub(crate) fn first_of(row: i64) -> u64 {
    (row as u64 >> NUMBER_BITS) & ((1 << HASH_BITS) - 1)
}

/// Builds blocks from postings that arrive in order.
pub(crate) struct Blocks<F> {
    run: u64,
    write: F,
    block: Vec<u8>,
    first: u64,
    number: u64,
    /// The term of the last group written to the block.
    last: u64,
    term: u64,
    stories: Vec<u32>,
    group: Vec<u8>,
    written: u64,
}

impl<E, F: FnMut(i64, &[u8]) -> Result<(), E>> Blocks<F> {
    pub(crate) fn new(run: u64, write: F) -> Self {
        Self {
            run,
            write,
            block: Vec::with_capacity(BLOCK_MAX),
            first: u64::MAX,
            number: 0,
            last: 0,
            term: 0,
            stories: Vec::with_capacity(GROUP_MAX),
            group: Vec::new(),
            written: 0,
        }
    }

    /// Adds one, which must not sort before earlier ones; a repetition of the last is skipped.
    pub(crate) fn push(&mut self, (term, story): Posting) -> Result<(), E> {
        if term != self.term || self.stories.len() >= GROUP_MAX {
            let again = term == self.term && self.stories.last() == Some(&story);
            self.close_group()?;
            self.term = term;
            if again {
                return Ok(());
            }
        }
        if self.stories.last() != Some(&story) {
            self.stories.push(story);
            self.written += 1;
        }
        Ok(())
    }

    /// Writes the rest; returns how many postings there were.
    pub(crate) fn finish(mut self) -> Result<u64, E> {
        self.close_group()?;
        self.close_block()?;
        Ok(self.written)
    }

    fn close_group(&mut self) -> Result<(), E> {
        if self.stories.is_empty() {
            return Ok(());
        }
        self.encode_group(self.last);
        if self.block.is_empty() || self.block.len() + self.group.len() > BLOCK_MAX {
            self.close_block()?;
            self.number = if self.first == self.term {
                (self.number + 1).min(NUMBER_MAX)
            } else {
                0
            };
            self.first = self.term;
            self.encode_group(self.term);
        }
        self.block.extend_from_slice(&self.group);
        self.last = self.term;
        self.stories.clear();
        Ok(())
    }

    fn encode_group(&mut self, before: u64) {
        self.group.clear();
        let several = self.stories.len() > 1;
        varint::put(((self.term - before) << 1) | u64::from(several), &mut self.group);
        if several {
            varint::put(self.stories.len() as u64, &mut self.group);
        }
        let mut last = 0;
        for story in &self.stories {
            varint::put(u64::from(story - last), &mut self.group);
            last = *story;
        }
    }

    fn close_block(&mut self) -> Result<(), E> {
        if !self.block.is_empty() {
            (self.write)(row(self.run, self.first, self.number), &self.block)?;
            self.block.clear();
        }
        Ok(())
    }
}

/// Visits the groups of a block with their stories; ends at invalid data. `wanted` says whether to read the stories of a term.
fn groups(
    row: i64,
    mut block: &[u8],
    mut wanted: impl FnMut(u64) -> bool,
    mut show: impl FnMut(Posting),
) -> Option<()> {
    let mut term = first_of(row);
    while !block.is_empty() {
        let head = varint::take(&mut block)?;
        term = term.checked_add(head >> 1)?;
        let many = if head & 1 == 1 {
            varint::take(&mut block)?
        } else {
            1
        };
        let wanted = wanted(term);
        let mut story = 0_u32;
        for _ in 0..many {
            story = story.checked_add(u32::try_from(varint::take(&mut block)?).ok()?)?;
            if wanted {
                show((term, story));
            }
        }
    }
    Some(())
}

/// Reads all postings of a block.
pub(crate) fn read(row: i64, block: &[u8], into: &mut Vec<Posting>) {
    let _ = groups(row, block, |_| true, |posting| into.push(posting));
}

/// Reads the stories of one term from a block.
pub(crate) fn find(row: i64, block: &[u8], wanted: u64, into: &mut Vec<u32>) {
    let _ = groups(row, block, |term| term == wanted, |(_, story)| into.push(story));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(postings: &[Posting]) -> Vec<(i64, Vec<u8>)> {
        let mut blocks = Vec::new();
        let mut writer = Blocks::new(3, |row, block: &[u8]| {
            blocks.push((row, block.to_vec()));
            Ok::<(), ()>(())
        });
        for posting in postings {
            writer.push(*posting).unwrap();
        }
        writer.finish().unwrap();
        blocks
    }

    #[test]
    fn what_was_written_is_read_and_found() {
        let mut postings: Vec<Posting> = Vec::new();
        // Terms with one story each, and one term shared by most stories, which fills blocks of its own.
        for story in 1..5_000_u32 {
            postings.push((u64::from(story) * 7_919_317 % (1 << HASH_BITS), story));
            postings.push((77_777_777, story * 3));
        }
        postings.sort_unstable();
        let twice: Vec<Posting> = postings.iter().flat_map(|one| [*one, *one]).collect();
        let blocks = write(&twice);
        assert_eq!(blocks, write(&postings), "what comes twice is written once");
        assert!(blocks.len() > 8);
        assert!(blocks.is_sorted_by(|a, b| a.0 < b.0), "rows ascend and differ");
        let mut read_back = Vec::new();
        for (row, block) in &blocks {
            assert!(block.len() <= BLOCK_MAX);
            read(*row, block, &mut read_back);
        }
        assert_eq!(read_back, postings);
        for wanted in [77_777_777, 7_919_317, 12_345] {
            let mut found = Vec::new();
            for (row, block) in blocks.iter().rev().filter(|(row, _)| *row <= last_of(3, wanted)) {
                find(*row, block, wanted, &mut found);
                if first_of(*row) < wanted {
                    break;
                }
            }
            found.sort_unstable();
            let all = postings.iter().filter(|(term, _)| *term == wanted);
            assert_eq!(
                found,
                all.map(|(_, story)| *story).collect::<Vec<_>>(),
                "{wanted}"
            );
        }
    }

    #[test]
    fn blocks_that_make_no_sense_end() {
        for block in [&[0xff; 20][..], &[1, 0xff, 0xff], &[1, 200, 1]] {
            let mut found = Vec::new();
            read(5, block, &mut found);
            assert!(found.len() <= 1);
        }
    }
}
