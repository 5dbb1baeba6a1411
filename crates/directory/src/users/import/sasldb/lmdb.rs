//! LMDB files (format 1), as Cyrus SASL writes sasldb2 where it is built with LMDB: the layout of `mdb.c`.

use zeroize::Zeroizing;

use super::bytes::Bytes;
use super::record::Pairs;

const MAGIC: u32 = 0xBEEF_C0DE;
/// Octets of a page before its content.
const HEADER: usize = 16;
/// The root of an empty database.
const NONE: u64 = u64::MAX;
/// Levels of a tree; LMDB's own limit.
const DEPTH_MAX: usize = 32;
/// Longest value that is read, in octets.
const LONG_MAX: usize = 64 * 1024;

/// The pairs of a file; `None` if it is not of this kind.
pub(super) fn pairs(file: &[u8]) -> Option<Result<Pairs, &'static str>> {
    let file = Bytes::in_either_order(file)
        .into_iter()
        .find(|file| file.u32(HEADER) == Some(MAGIC))?;
    Some(read(file).ok_or("is a damaged LMDB file, or one of another version"))
}

fn read(file: Bytes<'_>) -> Option<Pairs> {
    let first = Meta::of(file, 0)?;
    let second = Meta::of(file, first.page_size);
    // Both are complete states; the later one counts.
    let meta = match second {
        Some(second) if second.transaction > first.transaction => second,
        _ => first,
    };
    let mut tree = Tree {
        file,
        page_size: meta.page_size,
        pages: file.octets.len() / meta.page_size,
        pairs: Pairs::new(),
    };
    if meta.root != NONE {
        tree.walk(meta.root, 0)?;
    }
    Some(tree.pairs)
}

struct Meta {
    page_size: usize,
    root: u64,
    transaction: u64,
}

impl Meta {
    fn of(file: Bytes<'_>, at: usize) -> Option<Self> {
        let at = at + HEADER;
        if file.u32(at)? != MAGIC || file.u32(at + 4)? != 1 {
            return None;
        }
        // The magic, the version, an address and the size of the map; then two databases of 48 octets, the second one the main one.
        let databases = at + 24;
        let page_size = file.u32(databases)? as usize;
        let is_possible = page_size.is_power_of_two() && (512..=65_536).contains(&page_size);
        is_possible.then_some(())?;
        Some(Self {
            page_size,
            root: file.u64(databases + 48 + 40)?,
            transaction: file.u64(databases + 96 + 8)?,
        })
    }
}

struct Tree<'a> {
    file: Bytes<'a>,
    page_size: usize,
    /// Pages that may still be visited: no page is twice in a tree.
    pages: usize,
    pairs: Pairs,
}

impl Tree<'_> {
    fn walk(&mut self, number: u64, depth: usize) -> Option<()> {
        const BRANCH: u16 = 1;
        const LEAF: u16 = 2;
        self.pages = self.pages.checked_sub(1).filter(|_| depth < DEPTH_MAX)?;
        let page = self.file.page(number, self.page_size)?;
        let flags = page.u16(10)?;
        let nodes = usize::from(page.u16(12)?).checked_sub(HEADER)? / 2;
        for index in 0..nodes {
            let at = usize::from(page.u16(HEADER + 2 * index)?);
            let number = |at: usize| page.u16(at).map(u64::from);
            let low = number(at)? | number(at + 2)? << 16;
            if flags & BRANCH != 0 {
                self.walk(low | number(at + 4)? << 32, depth + 1)?;
            } else if flags & LEAF != 0 {
                self.take(page, at, usize::try_from(low).ok()?)?;
            } else {
                return None;
            }
        }
        Some(())
    }

    /// Takes the pair in a node of a leaf page.
    fn take(&mut self, page: Bytes<'_>, at: usize, length: usize) -> Option<()> {
        /// `F_BIGDATA`: the value is on overflow pages.
        const ELSEWHERE: u16 = 1;
        let flags = page.u16(at + 4)?;
        let key_length = usize::from(page.u16(at + 6)?);
        let key = page.part(at + 8, key_length)?.to_vec();
        let value = if flags == ELSEWHERE {
            let place = usize::try_from(page.u64(at + 8 + key_length)?)
                .ok()?
                .checked_mul(self.page_size)?;
            self.file.part(place.checked_add(HEADER)?, length.min(LONG_MAX))?
        } else if flags == 0 {
            page.part(at + 8 + key_length, length)?
        } else {
            return None;
        };
        self.pairs.push((key, Zeroizing::new(value.to_vec())));
        Some(())
    }
}
