//! Numbers in files of either byte order.

/// A file, or a page of it, and its byte order.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a> {
    pub(super) octets: &'a [u8],
    pub(super) big_endian: bool,
}

impl<'a> Bytes<'a> {
    /// A file in either byte order.
    pub(super) fn in_either_order(octets: &'a [u8]) -> [Self; 2] {
        [false, true].map(|big_endian| Self { octets, big_endian })
    }

    pub(super) fn u8(&self, at: usize) -> Option<u8> {
        self.octets.get(at).copied()
    }

    pub(super) fn u16(&self, at: usize) -> Option<u16> {
        let octets = self.array(at)?;
        Some(if self.big_endian {
            u16::from_be_bytes(octets)
        } else {
            u16::from_le_bytes(octets)
        })
    }

    pub(super) fn u32(&self, at: usize) -> Option<u32> {
        let octets = self.array(at)?;
        Some(if self.big_endian {
            u32::from_be_bytes(octets)
        } else {
            u32::from_le_bytes(octets)
        })
    }

    pub(super) fn u64(&self, at: usize) -> Option<u64> {
        let octets = self.array(at)?;
        Some(if self.big_endian {
            u64::from_be_bytes(octets)
        } else {
            u64::from_le_bytes(octets)
        })
    }

    /// That many octets from an offset on.
    pub(super) fn part(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.octets.get(at..at.checked_add(length)?)
    }

    /// The page with this number.
    pub(super) fn page(&self, number: u64, size: usize) -> Option<Self> {
        let at = usize::try_from(number).ok()?.checked_mul(size)?;
        Some(Self {
            octets: self.part(at, size)?,
            ..*self
        })
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.part(at, N)?.try_into().ok()
    }
}
