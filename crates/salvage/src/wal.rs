//! The write-ahead log before SQLite sees it.
//!
//! SQLite uses the log up to the first frame with a wrong checksum, and silently drops what follows. After a power cut that is
//! right: what follows was not acknowledged. After a flipped bit it would lose acknowledged mail. So the frames after it are
//! examined too: each can be checked by itself, since the checksum of its predecessor, on which its own builds, is stored. A
//! single flipped bit is repaired; a bad frame whose page was written again later is left out; then the log is as good as before.
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Octets of the log's header, and of a frame's.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The header's first word; the low bit says the byte order of the checksums.
const MAGIC: u32 = 0x377f_0682;

/// Most frames in which a flipped bit is looked for.
const REPAIRS_MAX: usize = 1000;

type Sum = (u32, u32);

/// The verdict on a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// SQLite will read everything in it that was committed.
    Sound,
    /// This many frames are bad, but nothing is lost: a repaired log can be written.
    Mendable(usize),
    /// This many frames are bad, and committed data follows them.
    Lost(usize),
}

/// A frame: a page as it was after a change.
#[derive(Clone, Copy, Debug)]
struct Frame {
    page: u32,
    /// Pages of the database after the transaction that ends with this frame; 0 within one.
    commit: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Good,
    /// This bit was flipped.
    Flipped(usize),
    Bad,
}

/// A log that was read.
#[derive(Debug)]
pub struct Wal {
    file: File,
    header: [u8; HEADER],
    header_good: bool,
    page_size: usize,
    big_endian: bool,
    /// The frames up to the last commit.
    frames: Vec<Frame>,
}

impl Wal {
    /// Reads a log; `None` if there is none or it is empty.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.metadata()?.len();
        let mut header = [0; HEADER];
        if length < (HEADER + FRAME_HEADER) as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        if header == [0; HEADER] {
            return Ok(None);
        }
        let header_good = mend_header(&mut header);
        let size = word(&header, 8) as usize;
        let page_size = if size.is_power_of_two() && (512..=65_536).contains(&size) {
            size
        } else {
            4096
        };
        let mut wal = Self {
            big_endian: word(&header, 0) & 1 == 1,
            file,
            header,
            header_good,
            page_size,
            frames: Vec::new(),
        };
        wal.read_frames()?;
        Ok(Some(wal))
    }

    fn read_frames(&mut self) -> io::Result<()> {
        let mut input = BufReader::with_capacity(1 << 20, self.file.try_clone()?);
        io::Seek::seek(&mut input, io::SeekFrom::Start(HEADER as u64))?;
        let mut octets = vec![0; FRAME_HEADER + self.page_size];
        // The predecessor's checksum as stored, and as computed.
        let (mut written, mut computed) = (sum_at(&self.header, 24), sum_at(&self.header, 24));
        let mut salts = self.header_good.then(|| self.header[16..24].to_vec());
        let mut repairs = 0;
        while read_whole(&mut input, &mut octets)? {
            let own = salts.get_or_insert_with(|| octets[8..16].to_vec());
            let far = distance(&octets[8..16], own);
            // From the previous log, or never written: what a power cut leaves. A single flipped bit does not make it another
            // log.
            if far > 1 {
                break;
            }
            let mut state = State::Bad;
            for seed in [written, computed] {
                if far == 0 && self.is_good(&octets, seed) {
                    state = State::Good;
                    break;
                }
            }
            if state == State::Bad && repairs < REPAIRS_MAX {
                repairs += 1;
                let own = own.clone();
                if let Some(bit) = self.flipped(&mut octets, &own, written) {
                    state = State::Flipped(bit);
                }
            }
            let seed = written;
            computed = self.sum(&octets, seed);
            written = sum_at(&octets, 16);
            self.frames.push(Frame {
                page: word(&octets, 0),
                commit: word(&octets, 4),
                state,
            });
        }
        let commit = |frame: &Frame| frame.state != State::Bad && frame.commit != 0;
        let end = self.frames.iter().rposition(commit).map_or(0, |last| last + 1);
        self.frames.truncate(end);
        Ok(())
    }

    fn sum(&self, frame: &[u8], seed: Sum) -> Sum {
        let sum = add(&frame[..8], seed, self.big_endian);
        add(&frame[FRAME_HEADER..], sum, self.big_endian)
    }

    fn is_good(&self, frame: &[u8], seed: Sum) -> bool {
        word(frame, 0) != 0 && self.sum(frame, seed) == sum_at(frame, 16)
    }

    /// Looks for the single flipped bit that makes the frame bad, and flips it back.
    fn flipped(&self, frame: &mut [u8], salts: &[u8], seed: Sum) -> Option<usize> {
        let (computed, stored) = (self.sum(frame, seed), sum_at(frame, 16));
        let bit = if distance(&frame[8..16], salts) == 1 {
            (64..128).find(|bit| (frame[bit / 8] ^ salts[bit / 8 - 8]) == 1 << (bit % 8))?
        } else if (computed.0 ^ stored.0).count_ones() + (computed.1 ^ stored.1).count_ones() == 1 {
            let wanted = [computed.0.to_be_bytes(), computed.1.to_be_bytes()].concat();
            (128..192).find(|bit| (frame[bit / 8] ^ wanted[bit / 8 - 16]) == 1 << (bit % 8))?
        } else {
            let wanted = (
                stored.0.wrapping_sub(computed.0),
                stored.1.wrapping_sub(computed.1),
            );
            flip_that_adds(frame, wanted, self.big_endian)?
        };
        frame[bit / 8] ^= 1 << (bit % 8);
        if frame[8..16] == *salts && self.is_good(frame, seed) {
            return Some(bit);
        }
        frame[bit / 8] ^= 1 << (bit % 8);
        None
    }

    /// Whether SQLite would read all of it, and if not, whether anything is lost.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let bad = self
            .frames
            .iter()
            .filter(|frame| frame.state != State::Good)
            .count()
            + usize::from(!self.header_good);
        let mut later = HashMap::new();
        let mut lost = 0;
        for (place, frame) in self.frames.iter().enumerate().rev() {
            if frame.state == State::Bad {
                lost += usize::from(!later.contains_key(&frame.page));
            } else {
                later.entry(frame.page).or_insert(place);
            }
        }
        match (self.frames.is_empty(), bad, lost) {
            (true, ..) | (_, 0, _) => Verdict::Sound,
            (_, bad, 0) => Verdict::Mendable(bad),
            (_, _, lost) => Verdict::Lost(lost),
        }
    }

    /// Writes a log without the bad frames.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn write_mended(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("db-wal.new");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        let mut out = BufWriter::new(file);
        let mut header = self.header;
        put_word(&mut header, 0, MAGIC | u32::from(self.big_endian));
        put_word(&mut header, 8, self.page_size as u32);
        let mut sum = add(&header[..24], (0, 0), self.big_endian);
        put_sum(&mut header, 24, sum);
        out.write_all(&header)?;
        for place in 0..self.frames.len() {
            let Some(mut frame) = self.frame(place)? else {
                continue;
            };
            frame[8..16].copy_from_slice(&header[16..24]);
            sum = self.sum(&frame, sum);
            put_sum(&mut frame, 16, sum);
            out.write_all(&frame)?;
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
    }

    /// A valid frame; `None` for a bad one.
    fn frame(&self, place: usize) -> io::Result<Option<Vec<u8>>> {
        let state = self.frames[place].state;
        if state == State::Bad {
            return Ok(None);
        }
        let mut octets = vec![0; FRAME_HEADER + self.page_size];
        let at = HEADER + place * octets.len();
        self.file.read_exact_at(&mut octets, at as u64)?;
        if let State::Flipped(bit) = state {
            octets[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(Some(octets))
    }

    /// Where the last good version of each page is, among committed frames.
    pub(crate) fn newest(&self) -> HashMap<u32, usize> {
        let good = self
            .frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| frame.state != State::Bad);
        good.map(|(place, frame)| (frame.page, place)).collect()
    }

    /// The page in a frame.
    pub(crate) fn page(&self, place: usize) -> Option<Vec<u8>> {
        let mut frame = self.frame(place).ok()??;
        Some(frame.split_off(FRAME_HEADER))
    }
}

/// Whether the header is valid or could be repaired.
fn mend_header(header: &mut [u8; HEADER]) -> bool {
    let good = |header: &[u8; HEADER]| {
        word(header, 0) & !1 == MAGIC
            && add(&header[..24], (0, 0), word(header, 0) & 1 == 1) == sum_at(header, 24)
    };
    if good(header) {
        return true;
    }
    for bit in 0..HEADER * 8 {
        header[bit / 8] ^= 1 << (bit % 8);
        if good(header) {
            // Written again with the log.
            return false;
        }
        header[bit / 8] ^= 1 << (bit % 8);
    }
    false
}

/// A log with these frames: pages with their numbers, and the size of the database where a transaction ends.
pub(crate) fn log_of(frames: &[(u32, u32, Vec<u8>)], big_endian: bool) -> Vec<u8> {
    let mut header = [0; HEADER];
    let page_size = frames.first().map_or(4096, |(_, _, page)| page.len());
    let words = [
        MAGIC | u32::from(big_endian),
        3_007_000,
        page_size as u32,
        0,
        0x5a17,
        0x1e55,
    ];
    for (place, value) in words.into_iter().enumerate() {
        put_word(&mut header, place * 4, value);
    }
    let mut sum = add(&header[..24], (0, 0), big_endian);
    put_sum(&mut header, 24, sum);
    let mut log = header.to_vec();
    for (number, commit, page) in frames {
        let mut frame = vec![0; FRAME_HEADER];
        put_word(&mut frame, 0, *number);
        put_word(&mut frame, 4, *commit);
        frame[8..16].copy_from_slice(&header[16..24]);
        sum = add(page, add(&frame[..8], sum, big_endian), big_endian);
        put_sum(&mut frame, 16, sum);
        log.extend_from_slice(&frame);
        log.extend_from_slice(page);
    }
    log
}

fn read_whole(input: &mut impl Read, octets: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(octets) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

fn distance(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

fn word(octets: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&octets[at..at + 4]);
    u32::from_be_bytes(word)
}

fn put_word(octets: &mut [u8], at: usize, word: u32) {
    octets[at..at + 4].copy_from_slice(&word.to_be_bytes());
}

fn sum_at(octets: &[u8], at: usize) -> Sum {
    (word(octets, at), word(octets, at + 4))
}

fn put_sum(octets: &mut [u8], at: usize, sum: Sum) {
    put_word(octets, at, sum.0);
    put_word(octets, at + 4, sum.1);
}

/// The bit of a frame that changes its checksum by this much when flipped.
///
/// Each word counts in the checksum as often as its position says, so no checksum has to be computed again: backwards from the
/// last pair, a step turns the weights (x, y) into (x + y, x + 2y).
fn flip_that_adds(frame: &[u8], wanted: Sum, big_endian: bool) -> Option<usize> {
    let (mut first, mut second) = ((1_u32, 1_u32), (0_u32, 1_u32));
    let step = |(x, y): Sum| (x.wrapping_add(y), x.wrapping_add(y).wrapping_add(y));
    let places = (FRAME_HEADER..frame.len()).step_by(8).rev().chain([0]);
    for place in places {
        for (place, weight) in [(place, first), (place + 4, second)] {
            let word = word(frame, place);
            let word = if big_endian { word } else { word.swap_bytes() };
            for bit in 0..32_usize {
                let change = 1_u32 << bit;
                let change = if word & change == 0 {
                    change
                } else {
                    change.wrapping_neg()
                };
                if (change.wrapping_mul(weight.0), change.wrapping_mul(weight.1)) == wanted {
                    let octet = if big_endian { 3 - bit / 8 } else { bit / 8 };
                    return Some((place + octet) * 8 + bit % 8);
                }
            }
        }
        (first, second) = (step(first), step(second));
    }
    None
}

/// SQLite's checksum over pairs of words.
fn add(octets: &[u8], seed: Sum, big_endian: bool) -> Sum {
    let (mut first, mut second) = seed;
    for pair in octets.chunks_exact(8) {
        let (a, b) = (word(pair, 0), word(pair, 4));
        let (a, b) = if big_endian {
            (a, b)
        } else {
            (a.swap_bytes(), b.swap_bytes())
        };
        first = first.wrapping_add(a).wrapping_add(second);
        second = second.wrapping_add(b).wrapping_add(first);
    }
    (first, second)
}
