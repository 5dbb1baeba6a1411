//! The pages of a database file that SQLite may refuse, and the rows on them.
//!
//! Reads without trust: no number from the file is used without a bound, and what makes no sense is no row.
//! Format: <https://www.sqlite.org/fileformat2.html>.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::wal::Wal;

const PAGE: usize = 4096;

/// Octets of the largest row that is read.
const ROW_MAX: usize = 64 << 20;

/// Columns of the widest row.
const COLUMNS_MAX: usize = 64;

/// A value as it lies there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
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
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(octets) => std::str::from_utf8(octets).ok(),
            _ => None,
        }
    }
}

/// A row: of a table by its number, or of an index-like table without one.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) number: Option<i64>,
    pub(crate) values: Vec<Value>,
}

/// A database file and its log, either of which may be missing.
pub(crate) struct Pages {
    file: Option<File>,
    count: u32,
    wal: Option<(Wal, std::collections::HashMap<u32, usize>)>,
}

impl Pages {
    pub(crate) fn open(database: &Path, log: &Path) -> io::Result<Self> {
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
        })
    }

    fn page(&self, number: u32) -> Option<Vec<u8>> {
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

    /// Calls `visit` with each row that hangs in a tree, and then with each row of pages that hang nowhere, though they are not
    /// free; `true` for the former.
    pub(crate) fn rows(&self, mut visit: impl FnMut(bool, Row)) {
        let mut seen = HashSet::new();
        let mut roots = vec![1];
        self.tree(1, &mut seen, &mut |row| {
            roots.extend(
                row.values
                    .get(3)
                    .and_then(Value::integer)
                    .and_then(|root| u32::try_from(root).ok()),
            );
        });
        for root in roots.into_iter().skip(1) {
            self.tree(root, &mut seen, &mut |row| visit(true, row));
        }
        self.free_pages(&mut seen);
        for number in 1..=self.count {
            if !seen.contains(&number)
                && let Some(page) = self.page(number)
            {
                self.cells(number, &page, &mut |row| visit(false, row));
            }
        }
    }

    /// The rows of the newest pages in the log, whatever became of them.
    pub(crate) fn rows_of_log(&self, mut visit: impl FnMut(Row)) {
        let pages = self.wal.iter().flat_map(|(_, newest)| newest.keys());
        for number in pages {
            if let Some(page) = self.page(*number) {
                self.cells(*number, &page, &mut visit);
            }
        }
    }

    /// Walks a tree from its root; pages that were seen are not visited again.
    fn tree(&self, root: u32, seen: &mut HashSet<u32>, visit: &mut dyn FnMut(Row)) {
        let mut open = vec![root];
        while let Some(number) = open.pop() {
            if number == 0 || number > self.count || !seen.insert(number) {
                continue;
            }
            let Some(page) = self.page(number) else { continue };
            self.cells(number, &page, visit);
            open.extend(children(number, &page));
        }
    }

    /// Free pages keep what lay on them; that is deleted mail.
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
    fn cells(&self, number: u32, page: &[u8], visit: &mut dyn FnMut(Row)) {
        let start = head(number);
        let kind = page[start];
        let (first, table) = match kind {
            0x0d => (8, true),
            0x0a => (8, false),
            0x02 => (12, false),
            _ => return,
        };
        let count = half(page, start + 3) as usize;
        for cell in 0..count.min(PAGE / 2) {
            let pointer = start + first + cell * 2;
            if pointer + 2 > PAGE {
                return;
            }
            let mut at = half(page, pointer) as usize;
            if kind == 0x02 {
                at += 4;
            }
            if let Some(row) = self.cell(page, at, table) {
                visit(row);
            }
        }
    }

    fn cell(&self, page: &[u8], mut at: usize, table: bool) -> Option<Row> {
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
        let mut payload = page.get(at..at.checked_add(local)?)?.to_vec();
        if local < length {
            self.overflow(page.get(at + local..at + local + 4)?, length, &mut payload)?;
        }
        Some(Row {
            number,
            values: values(&payload)?,
        })
    }

    fn overflow(&self, first: &[u8], length: usize, payload: &mut Vec<u8>) -> Option<()> {
        let mut next = word(first, 0);
        while payload.len() < length {
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
pub(crate) fn values(record: &[u8]) -> Option<Vec<Value>> {
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
