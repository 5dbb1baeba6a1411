//! The body of the fuzz target: what can stand in a damaged database and its log.

use std::fs;
use std::path::Path;

use crate::pages::{PAGE, Pages, TIMES, Value};
use crate::wal::{Verdict, Wal, log_of};

/// Octets of the input that become a page, half of them at its beginning and half at its end, where rows lie.
const PAGE_INPUT: usize = 256;

/// Octets of the input that become a frame of the log.
const FRAME_INPUT: usize = 3 + PAGE_INPUT;

/// Reads a database and its log that are made from `input`, in files in `folder`: its first octets say how it is divided, and
/// whether the log is used as it is or gets correct checksums before it is damaged.
///
/// # Panics
///
/// On a wrong result: more work than the size of the files warrants, or a mended log that is not sound.
pub fn files(folder: &Path, input: &[u8]) {
    let Some((&[mode, high, low], rest)) = input.split_first_chunk() else {
        return;
    };
    let cut = usize::from(u16::from_be_bytes([high, low])) % (rest.len() + 1);
    let (pages, frames) = rest.split_at(cut);
    let (database, log) = (folder.join("queue.db"), folder.join("queue.db-wal"));
    let octets: Vec<u8> = pages.chunks(PAGE_INPUT).enumerate().flat_map(page).collect();
    let log_octets = match mode {
        0 => frames.to_vec(),
        _ => damaged_log(frames, mode & 1 == 1),
    };
    let written = fs::write(&database, &octets).and_then(|()| fs::write(&log, &log_octets));
    written.expect("the scratch folder can be written");
    rows(&database, &log, octets.len() + log_octets.len());
    mended(&log, &folder.join("mended"));
}

/// A page of the database; the first has the file's header before it.
fn page((number, input): (usize, &[u8])) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let start = if number == 0 { 100 } else { 0 };
    let (head, tail) = input.split_at(input.len() / 2);
    page[start..start + head.len()].copy_from_slice(head);
    page[PAGE - tail.len()..].copy_from_slice(tail);
    page
}

/// A log with correct checksums in which bits are then flipped.
fn damaged_log(frames: &[u8], big_endian: bool) -> Vec<u8> {
    let mut pages = Vec::new();
    let mut flips = Vec::new();
    for input in frames.chunks_exact(FRAME_INPUT) {
        let [number, commit, flip] = [input[0], input[1], input[2]];
        pages.push((
            u32::from(number % 16),
            u32::from(commit % 4),
            page((1, &input[3..])),
        ));
        flips.push(flip);
    }
    let mut log = log_of(&pages, big_endian);
    for (place, flip) in flips.into_iter().enumerate() {
        // 0 leaves a frame alone; the others reach all of its header and some of its page.
        let at = 32 + place * (24 + PAGE) + usize::from(flip) / 4;
        if flip != 0
            && let Some(octet) = log.get_mut(at)
        {
            *octet ^= 1 << (flip % 8);
        }
    }
    log
}

fn rows(database: &Path, log: &Path, size: usize) {
    let pages = Pages::open(database, log).expect("both are there");
    let mut taken = 0;
    let mut count = |values: &[Value]| {
        for value in values {
            taken += match value {
                Value::Text(octets) | Value::Blob(octets) => octets.len(),
                Value::Null | Value::Integer(_) | Value::Real(_) => 0,
            };
        }
    };
    pages.rows(|_, row| count(&row.values));
    pages.rows_of("message", |row| count(&row.values));
    pages.rows_of_log(|row| count(&row.values));
    // Three passes, each of which reads an octet at most that often as a row's own and as the continuation of rows.
    let most = 3 * 2 * usize::from(TIMES) * (size + PAGE);
    assert!(taken <= most, "{taken} octets of rows in {size} of files");
}

fn mended(log: &Path, to: &Path) {
    let Some(wal) = Wal::read(log).expect("it can be read") else {
        return;
    };
    if !matches!(wal.verdict(), Verdict::Mendable(_)) {
        return;
    }
    let newest = |wal: &Wal| {
        let mut pages: Vec<_> = wal.newest().into_iter().collect();
        pages.sort_unstable();
        pages
            .into_iter()
            .map(|(number, place)| (number, wal.page(place)))
            .collect::<Vec<_>>()
    };
    wal.write_mended(to).expect("it can be written");
    let again = Wal::read(to).expect("it can be read").expect("it holds frames");
    assert_eq!(again.verdict(), Verdict::Sound);
    assert_eq!(newest(&again), newest(&wal));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The target itself works: it finds rows, and logs of each kind.
    #[test]
    fn it_reads_what_it_makes() {
        let folder = tempfile::tempdir().unwrap();
        let frame = |number: u8, commit: u8, flip: u8| {
            let mut input = vec![number, commit, flip];
            input.extend([7; PAGE_INPUT]);
            input
        };
        #[rustfmt::skip]
        let cases = [
            ("sound",               [frame(1, 1, 0), frame(2, 1, 0)],   Verdict::Sound),
            ("a bit of a page",     [frame(1, 1, 99), frame(2, 1, 0)],  Verdict::Mendable(1)),
            ("a bit of the salt",   [frame(1, 1, 33), frame(2, 1, 0)],  Verdict::Mendable(1)),
        ];
        for (shows, frames, expected) in cases {
            for mode in [1, 2] {
                let input = [&[mode, 0, 0][..], &frames.concat()].concat();
                files(folder.path(), &input);
                let wal = Wal::read(&folder.path().join("queue.db-wal")).unwrap().unwrap();
                assert_eq!(wal.verdict(), expected, "{shows}, {mode}");
            }
        }
        files(folder.path(), b"");
        files(folder.path(), &[0; 5_000]);
    }
}
