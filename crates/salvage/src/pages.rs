//! The pages of a database file that SQLite may refuse, and the rows on them.
//!
//! Trusts nothing: no number from the file is used without a bound, and what makes no sense is not a row. In a sound database
//! each octet belongs to one row at most; here each may be read [`TIMES`] times, so that the work is bounded by a multiple of the
//! file's size, whatever its pages say about each other, and a damaged row takes nothing from the sound ones beside it. Format:
//! <https://www.sqlite.org/fileformat2.html>.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::wal::Wal;

pub(crate) const PAGE: usize = 4096;

/// Octets of the largest row that is read.
const ROW_MAX: usize = 64 << 20;

/// Columns of the widest row.
const COLUMNS_MAX: usize = 64;

/// How often an octet is read in one pass over the rows.
pub(crate) const TIMES: u8 = 4;

/// A value as stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL; also stored in place of a column that is the row's number.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A text, which need not be UTF-8.
    Text(Vec<u8>),
    /// Octets.
    Blob(Vec<u8>),
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(octets) => ValueRef::Text(octets),
            Self::Blob(octets) => ValueRef::Blob(octets),
        }))
    }
}

impl Value {
    /// The value as an integer.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The value as text, if that is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(octets) => std::str::from_utf8(octets).ok(),
            _ => None,
        }
    }
}

/// A row of an ordinary table, with its number, or of a table without row numbers.
#[derive(Debug)]
pub struct Row {
    /// Its number.
    pub number: Option<i64>,
    /// Its columns; a row older than its table's last columns lacks those.
    pub values: Vec<Value>,
}

/// A database file with pages of 4,096 octets and its log, either of which may be missing.
pub struct Pages {
    file: Option<File>,
    count: u32,
    wal: Option<(Wal, HashMap<u32, usize>)>,
    /// Octets that were read.
    #[cfg(test)]
    read: std::cell::Cell<usize>,
}

/// How much one pass over the rows has read.
#[derive(Default)]
struct Spent {
    /// How often each page was read as the continuation of a row.
    overflow: HashMap<u32, u8>,
}

impl Spent {
    /// Whether a page may be read again.
    fn admits(&mut self, page: u32) -> bool {
        let times = self.overflow.entry(page).or_default();
        *times = times.saturating_add(1);
        *times <= TIMES
    }
}

impl Pages {
    /// Opens both for reading.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn open(database: &Path, log: &Path) -> io::Result<Self> {
        let file = match File::open(database) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            file => Some(file?),
        };
        let length = file
            .as_ref()
            .map_or(Ok(0), |file| file.metadata().map(|data| data.len()))?;
        let wal = Wal::read(log)?.map(|wal| {
            let newest = wal.newest();
            (wal, newest)
        });
        let count = u32::try_from(length.div_ceil(PAGE as u64)).unwrap_or(u32::MAX);
        let last = wal.iter().flat_map(|(_, newest)| newest.keys()).max().copied();
        Ok(Self {
            file,
            count: count.max(last.unwrap_or(0).min(count.saturating_add(1 << 20))),
            wal,
            #[cfg(test)]
            read: std::cell::Cell::default(),
        })
    }

    fn page(&self, number: u32) -> Option<Vec<u8>> {
        self.count_read(PAGE);
        if let Some((wal, newest)) = &self.wal
            && let Some(page) = newest.get(&number).and_then(|place| wal.page(*place))
        {
            return (page.len() == PAGE).then_some(page);
        }
        let mut page = vec![0; PAGE];
        let at = u64::from(number.checked_sub(1)?) * PAGE as u64;
        self.file.as_ref()?.read_exact_at(&mut page, at).ok()?;
        Some(page)
    }

    #[cfg(test)]
    fn count_read(&self, octets: usize) {
        self.read.set(self.read.get() + octets);
    }

    #[cfg(not(test))]
    fn count_read(&self, _octets: usize) {}

    /// Calls `visit` with each row of a tree (`true`), and then with each row of orphaned pages, which are in no tree but not
    /// free either (`false`).
    pub fn rows(&self, mut visit: impl FnMut(bool, Row)) {
        let (mut seen, mut spent) = (HashSet::new(), Spent::default());
        let mut roots = vec![1];
        self.tree(1, &mut seen, &mut spent, &mut |row| {
            roots.extend(
                row.values
                    .get(3)
                    .and_then(Value::integer)
                    .and_then(|root| u32::try_from(root).ok()),
            );
        });
        for root in roots.into_iter().skip(1) {
            self.tree(root, &mut seen, &mut spent, &mut |row| visit(true, row));
        }
        self.free_pages(&mut seen);
        for number in 1..=self.count {
            if !seen.contains(&number)
                && let Some(page) = self.page(number)
            {
                self.cells(number, &page, &mut spent, &mut |row| visit(false, row));
            }
        }
    }

    /// Calls `visit` with each row in the tree of the table with this name in the schema. Does nothing if the schema cannot be
    /// read.
    pub fn rows_of(&self, table: &str, mut visit: impl FnMut(Row)) {
        let (mut seen, mut spent) = (HashSet::new(), Spent::default());
        let mut root = None;
        self.tree(1, &mut seen, &mut spent, &mut |row| {
            let text = |place: usize| row.values.get(place).and_then(Value::text);
            if text(0) == Some("table") && text(1) == Some(table) {
                root = row.values.get(3).and_then(Value::integer);
            }
        });
        if let Some(root) = root.and_then(|root| u32::try_from(root).ok()) {
            self.tree(root, &mut seen, &mut spent, &mut visit);
        }
    }

    /// The rows of the newest pages in the log, whether committed or not.
    pub fn rows_of_log(&self, mut visit: impl FnMut(Row)) {
        let mut spent = Spent::default();
        let pages = self.wal.iter().flat_map(|(_, newest)| newest.keys());
        for number in pages {
            if let Some(page) = self.page(*number) {
                self.cells(*number, &page, &mut spent, &mut visit);
            }
        }
    }

    /// Walks a tree from its root; no page is visited twice.
    fn tree(&self, root: u32, seen: &mut HashSet<u32>, spent: &mut Spent, visit: &mut dyn FnMut(Row)) {
        let mut may_open = |number: u32| (1..=self.count).contains(&number) && seen.insert(number);
        let mut open = Vec::new();
        open.extend(Some(root).filter(|root| may_open(*root)));
        while let Some(number) = open.pop() {
            let Some(page) = self.page(number) else { continue };
            self.cells(number, &page, spent, visit);
            // Each page once, so that the waiting list is no longer than the file has pages.
            open.extend(
                children(number, &page)
                    .into_iter()
                    .filter(|child| may_open(*child)),
            );
        }
    }

    /// Free pages keep their old content, which is deleted mail.
    fn free_pages(&self, seen: &mut HashSet<u32>) {
        let Some(first) = self.page(1) else { return };
        let mut trunk = word(&first, 32);
        while trunk != 0 && trunk <= self.count && seen.insert(trunk) {
            let Some(page) = self.page(trunk) else { return };
            let leaves = (word(&page, 4) as usize).min(PAGE / 4 - 2);
            seen.extend((0..leaves).map(|leaf| word(&page, 8 + leaf * 4)));
            trunk = word(&page, 0);
        }
    }

    /// The rows on one page.
    fn cells(&self, number: u32, page: &[u8], spent: &mut Spent, visit: &mut dyn FnMut(Row)) {
        let start = head(number);
        let kind = page[start];
        let (first, table) = match kind {
            0x0d => (8, true),
            0x0a => (8, false),
            0x02 => (12, false),
            _ => return,
        };
        let count = half(page, start + 3) as usize;
        let mut left = usize::from(TIMES) * PAGE;
        for cell in 0..count.min(PAGE / 2) {
            let pointer = start + first + cell * 2;
            if pointer + 2 > PAGE {
                return;
            }
            let mut at = half(page, pointer) as usize;
            if kind == 0x02 {
                at += 4;
            }
            if let Some(row) = self.cell(page, at, table, &mut left, spent) {
                visit(row);
            }
        }
    }

    /// The row at a given place on a page, with that many octets still to be read at most.
    fn cell(
        &self,
        page: &[u8],
        mut at: usize,
        table: bool,
        left: &mut usize,
        spent: &mut Spent,
    ) -> Option<Row> {
        let length = usize::try_from(varint(page, &mut at)?).ok()?;
        let number = if table { Some(varint(page, &mut at)?) } else { None };
        if length > ROW_MAX {
            return None;
        }
        let most = if table {
            PAGE - 35
        } else {
            (PAGE - 12) * 64 / 255 - 23
        };
        let least = (PAGE - 12) * 32 / 255 - 23;
        let local = if length <= most {
            length
        } else {
            let local = least + (length - least) % (PAGE - 4);
            if local <= most { local } else { least }
        };
        let payload = page.get(at..at.checked_add(local)?)?;
        *left = left.checked_sub(local)?;
        self.count_read(local);
        let mut payload = payload.to_vec();
        if local < length {
            self.overflow(page.get(at + local..at + local + 4)?, length, &mut payload, spent)?;
        }
        Some(Row {
            number,
            values: values(&payload)?,
        })
    }

    fn overflow(&self, first: &[u8], length: usize, payload: &mut Vec<u8>, spent: &mut Spent) -> Option<()> {
        let mut next = word(first, 0);
        while payload.len() < length {
            if !spent.admits(next) {
                return None;
            }
            let page = self.page(next)?;
            let take = (length - payload.len()).min(PAGE - 4);
            payload.extend_from_slice(&page[4..4 + take]);
            next = word(&page, 0);
        }
        Some(())
    }
}

fn head(number: u32) -> usize {
    if number == 1 { 100 } else { 0 }
}

fn children(number: u32, page: &[u8]) -> Vec<u32> {
    let start = head(number);
    if !matches!(page[start], 0x02 | 0x05) {
        return Vec::new();
    }
    let count = (half(page, start + 3) as usize).min(PAGE / 2);
    let pointers = (0..count).map(|cell| start + 12 + cell * 2);
    let cells = pointers
        .filter(|pointer| pointer + 2 <= PAGE)
        .map(|pointer| half(page, pointer) as usize)
        .filter(|cell| cell + 4 <= PAGE);
    cells
        .map(|cell| word(page, cell))
        .chain([word(page, start + 8)])
        .collect()
}

fn half(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

fn varint(octets: &[u8], at: &mut usize) -> Option<i64> {
    let mut number: u64 = 0;
    for place in 0..9 {
        let octet = *octets.get(*at)?;
        *at += 1;
        if place == 8 {
            number = number << 8 | u64::from(octet);
            break;
        }
        number = number << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            break;
        }
    }
    Some(number as i64)
}

/// The values of a record.
fn values(record: &[u8]) -> Option<Vec<Value>> {
    let mut at = 0;
    let header = usize::try_from(varint(record, &mut at)?).ok()?;
    if header > record.len() {
        return None;
    }
    let mut kinds = Vec::new();
    while at < header {
        kinds.push(varint(record, &mut at)?);
        if kinds.len() > COLUMNS_MAX {
            return None;
        }
    }
    let mut body = record.get(header..)?;
    let mut take = |length: usize| {
        let (now, later) = body.split_at_checked(length)?;
        body = later;
        Some(now)
    };
    let mut values = Vec::with_capacity(kinds.len());
    for kind in kinds {
        values.push(match kind {
            0 => Value::Null,
            1..=6 => Value::Integer(integer(take([1, 2, 3, 4, 6, 8][kind as usize - 1])?)),
            7 => Value::Real(f64::from_bits(integer(take(8)?) as u64)),
            8 | 9 => Value::Integer(kind - 8),
            12.. => {
                let octets = take(usize::try_from((kind - 12) / 2).ok()?)?.to_vec();
                if kind % 2 == 0 {
                    Value::Blob(octets)
                } else {
                    Value::Text(octets)
                }
            }
            _ => return None,
        });
    }
    Some(values)
}

fn integer(octets: &[u8]) -> i64 {
    let negative = octets.first().is_some_and(|octet| octet & 0x80 != 0);
    octets
        .iter()
        .fold(if negative { -1 } else { 0 }, |number, octet| {
            number << 8 | i64::from(*octet)
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    /// A database with rows of all sizes, most of them on pages of their own.
    fn database(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("queue.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA page_size = 4096;
                 CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB, y TEXT);
                 CREATE TABLE w (a INTEGER, b INTEGER, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;",
            )
            .unwrap();
        for number in 0..40_i64 {
            let octets = vec![number as u8; (number * number * 9) as usize];
            connection
                .execute(
                    "INSERT INTO t VALUES (?1, ?2, ?3)",
                    (number * 1_000_003, octets, number.to_string()),
                )
                .unwrap();
            connection
                .execute(
                    "INSERT INTO w VALUES (?1, ?2, ?3)",
                    (-number, 1_i64 << number, "x".repeat(number as usize * 60)),
                )
                .unwrap();
        }
        connection.execute("DELETE FROM t WHERE id % 7 = 3", []).unwrap();
        path
    }

    #[test]
    fn the_rows_are_those_that_sqlite_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path());
        let connection = Connection::open(&path).unwrap();
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let (mut tables, mut others) = (0, 0);
        Pages::open(&path, &folder.path().join("none"))
            .unwrap()
            .rows(|in_tree, row| {
                assert!(
                    in_tree,
                    "free pages are passed over, and all others hang in a tree"
                );
                match (row.number, &row.values[..]) {
                    (Some(id), [Value::Null, Value::Blob(octets), Value::Text(text)]) => {
                        tables += 1;
                        let number = id / 1_000_003;
                        assert_eq!(*text, number.to_string().into_bytes());
                        assert_eq!(*octets, vec![number as u8; (number * number * 9) as usize]);
                    }
                    (None, [Value::Integer(a), Value::Integer(b), Value::Text(text)]) => {
                        others += 1;
                        assert_eq!((*b, text.len()), (1 << -a, -a as usize * 60));
                    }
                    other => panic!("{other:?}"),
                }
            });
        assert_eq!(tables, count("SELECT count(*) FROM t"));
        assert_eq!(others, count("SELECT count(*) FROM w"));
    }

    /// A file that could keep a reader busy for days: each of its pages has as many cells as fit, all of them the same, each
    /// continued on a page that continues on itself. A sound row is among them.
    #[test]
    fn a_crafted_file_costs_a_multiple_of_its_size() {
        const LEAVES: u32 = 200;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA page_size = 4096; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB, y TEXT);",
            )
            .unwrap();
        let octets = vec![7; 100_000];
        connection
            .execute("INSERT INTO t VALUES (1, ?1, 'sound')", [octets.clone()])
            .unwrap();
        drop(connection);
        let mut file = std::fs::read(&path).unwrap();
        let circle = (file.len() / PAGE) as u32 + 1 + LEAVES;
        for _ in 0..LEAVES {
            let mut page = [0; PAGE];
            page[0] = 0x0d;
            let cells = 1_500_u16;
            page[3..5].copy_from_slice(&cells.to_be_bytes());
            // A row of some 60 MB, so long that little of it is on this page.
            let at = PAGE - 700;
            let local = (PAGE - 12) * 32 / 255 - 23;
            let length = (local + (PAGE - 4) * 15_000) as u32;
            let mut cell = vec![];
            for shift in [28, 21, 14, 7, 0] {
                let more = if shift == 0 { 0 } else { 0x80 };
                cell.push((length >> shift) as u8 & 0x7f | more);
            }
            cell.push(1);
            page[at..at + cell.len()].copy_from_slice(&cell);
            let next = at + cell.len() + local;
            assert!(next + 4 <= PAGE, "the cell fits: {next}");
            page[next..next + 4].copy_from_slice(&circle.to_be_bytes());
            for number in 0..usize::from(cells) {
                let pointer = 8 + number * 2;
                page[pointer..pointer + 2].copy_from_slice(&(at as u16).to_be_bytes());
            }
            file.extend_from_slice(&page);
        }
        let mut page = [0; PAGE];
        page[..4].copy_from_slice(&circle.to_be_bytes());
        file.extend_from_slice(&page);
        std::fs::write(&path, &file).unwrap();

        let pages = Pages::open(&path, &folder.path().join("none")).unwrap();
        let mut sound = 0;
        pages.rows(|in_tree, row| {
            assert!(in_tree, "no crafted cell is a row");
            assert_eq!(row.values[1], Value::Blob(octets.clone()));
            sound += 1;
        });
        assert_eq!(sound, 1);
        let read = pages.read.get();
        let most = usize::from(TIMES) * file.len() * 2;
        assert!(read <= most, "{read} octets read, {most} at most");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_record_is_too_odd(record: Vec<u8>) {
            let _ = values(&record);
        }

        #[test]
        fn no_file_is_too_odd(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..200)) {
            let folder = tempfile::tempdir().unwrap();
            let path = database(folder.path());
            let mut octets = std::fs::read(&path).unwrap();
            for (place, octet) in changes {
                let place = place.index(octets.len());
                octets[place] = octet;
            }
            std::fs::write(&path, octets).unwrap();
            Pages::open(&path, &path).unwrap().rows(|_, row| drop(row));
        }
    }
}
