//! Berkeley DB files of the kind "hash", as Cyrus SASL writes sasldb2 on most systems: the layout of `db_page.h`, versions 7 to 10.
//!
//! The hash itself is not followed: all pages are read, and the pairs found on them are taken.

use zeroize::Zeroizing;

use super::bytes::Bytes;
use super::record::Pairs;

/// `DB_HASHMAGIC`.
const MAGIC: u32 = 0x0006_1561;
/// `DB_BTREEMAGIC`.
const MAGIC_BTREE: u32 = 0x0005_3162;
/// `P_HASH_UNSORTED` and `P_HASH`.
const PAGES_OF_PAIRS: [u8; 2] = [2, 13];
/// `P_OVERFLOW`.
const PAGE_OF_LONG: u8 = 7;
/// Octets of a page before its items.
const HEADER: usize = 26;
/// Longest value that is read, in octets. A password has 1,024 at most.
const LONG_MAX: usize = 64 * 1024;

/// The pairs of a file; `None` if it is not of this kind.
pub(super) fn pairs(file: &[u8]) -> Option<Result<Pairs, &'static str>> {
    for file in Bytes::in_either_order(file) {
        match file.u32(12)? {
            MAGIC => return Some(read(file)),
            MAGIC_BTREE => {
                return Some(Err(
                    "is a Berkeley DB file of the kind \"btree\": give what db_dump prints of it",
                ));
            }
            _ => {}
        }
    }
    None
}

fn read(file: Bytes<'_>) -> Result<Pairs, &'static str> {
    const CUT_OFF: &str = "is a Berkeley DB file that is cut off";
    let version = file.u32(16).ok_or(CUT_OFF)?;
    let page_size = file.u32(20).ok_or(CUT_OFF)? as usize;
    if !(7..=10).contains(&version) || !(512..=65_536).contains(&page_size) || !page_size.is_power_of_two() {
        return Err("is a Berkeley DB file of an unknown version: give what db_dump prints of it");
    }
    // Encryption, or page checksums, with which the items are elsewhere.
    if file.u8(24) != Some(0) || file.u8(26).unwrap_or_default() & 1 != 0 {
        return Err("is an encrypted or checksummed Berkeley DB file: give what db_dump prints of it");
    }
    let mut pairs = Pairs::new();
    for number in 1..(file.octets.len() / page_size) as u64 {
        let page = file.page(number, page_size).ok_or(CUT_OFF)?;
        if page.u8(25).is_some_and(|kind| PAGES_OF_PAIRS.contains(&kind)) {
            take(file, page, &mut pairs)
                .ok_or("is a damaged Berkeley DB file: give what db_dump prints of it")?;
        }
    }
    Ok(pairs)
}

/// Takes the pairs of a page: items are stored from its end backwards, key and value alternating.
fn take(file: Bytes<'_>, page: Bytes<'_>, pairs: &mut Pairs) -> Option<()> {
    let items = usize::from(page.u16(20)?);
    let offset = |index: usize| page.u16(HEADER + 2 * index).map(usize::from);
    let item = |index: usize| {
        let end = if index == 0 {
            page.octets.len()
        } else {
            offset(index - 1)?
        };
        let start = offset(index)?;
        whole(
            file,
            page.part(start, end.checked_sub(start)?)?,
            page.octets.len(),
        )
    };
    for index in (0..items.saturating_sub(1)).step_by(2) {
        pairs.push((item(index)?.to_vec(), item(index + 1)?));
    }
    Some(())
}

/// An item, including its overflow pages.
fn whole(file: Bytes<'_>, item: &[u8], page_size: usize) -> Option<Zeroizing<Vec<u8>>> {
    /// `H_KEYDATA` and `H_OFFPAGE`.
    const HERE: u8 = 1;
    const ELSEWHERE: u8 = 3;
    let (kind, rest) = item.split_first()?;
    match *kind {
        HERE => Some(Zeroizing::new(rest.to_vec())),
        ELSEWHERE => {
            let place = Bytes { octets: item, ..file };
            let length = usize::try_from(place.u32(8)?)
                .ok()
                .filter(|length| *length <= LONG_MAX)?;
            let mut long = Zeroizing::new(Vec::with_capacity(length));
            let mut next = place.u32(4)?;
            while next != 0 && long.len() < length {
                let page = file.page(u64::from(next), page_size)?;
                let here = usize::from(page.u16(22)?);
                if page.u8(25)? != PAGE_OF_LONG || here == 0 {
                    return None;
                }
                long.extend_from_slice(page.part(HEADER, here)?);
                next = page.u32(16)?;
            }
            (long.len() == length).then_some(long)
        }
        _ => None,
    }
}
