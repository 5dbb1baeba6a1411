//! Packets: four octets of length, one octet that names the command or answer, data.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Octets in front of a packet's data: the length and the name.
pub const HEAD: usize = 5;

/// Most data that a packet from a filter may have, in octets.
///
/// The agreed size limits what Postern sends. `libmilter` does not check the length of what it sends, so a correct filter may add
/// a field longer than 64 KiB; the largest size for which the protocol has a bit is the limit here.
pub const DATA_MAX: usize = 1_048_575;

/// A packet, not parsed yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// The octet that names the command or the answer.
    pub name: u8,
    /// What comes with it.
    pub data: Bytes,
}

/// An invalid length.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// A packet without the octet that names it.
    #[error("a packet of no octets")]
    Empty,
    /// More data than [`DATA_MAX`], or than the limit that was given.
    #[error("a packet with {len} octets of data, the limit is {max}")]
    TooLarge {
        /// Octets of data.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// Takes the first packet out of the input; `None` until it is complete. The rest stays.
///
/// The length is checked as soon as it has arrived, before memory is allocated for the data.
///
/// # Errors
///
/// [`FrameError`]; nothing after it can be parsed, so the connection cannot be used any more.
pub fn take(octets: &mut BytesMut, data_max: usize) -> Result<Option<Packet>, FrameError> {
    let Some(len) = octets.first_chunk::<4>() else {
        return Ok(None);
    };
    let Some(len) = (u32::from_be_bytes(*len) as usize).checked_sub(1) else {
        return Err(FrameError::Empty);
    };
    if len > data_max {
        return Err(FrameError::TooLarge { len, max: data_max });
    }
    if octets.len() < HEAD + len {
        octets.reserve(HEAD + len - octets.len());
        return Ok(None);
    }
    octets.advance(4);
    let name = octets.get_u8();
    let data = octets.split_to(len).freeze();
    Ok(Some(Packet { name, data }))
}

/// Appends a packet to `out`; `data` appends its data.
///
/// The length is what `data` appended, which must stay below 4 GiB: callers have limits far below that.
pub fn put(out: &mut BytesMut, name: u8, data: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(name);
    data(out);
    let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cut_anywhere() {
        let wire = b"\0\0\0\x04cab\0\0\0\0\x01a\0\0";
        for cut in 0..=wire.len() {
            let (head, tail) = wire.split_at(cut);
            let mut octets = BytesMut::from(head);
            let mut packets = Vec::new();
            while let Some(packet) = take(&mut octets, 10).unwrap() {
                packets.push(packet);
            }
            octets.extend_from_slice(tail);
            while let Some(packet) = take(&mut octets, 10).unwrap() {
                packets.push(packet);
            }
            let names: Vec<_> = packets
                .iter()
                .map(|packet| (packet.name, &packet.data[..]))
                .collect();
            assert_eq!(names, [(b'c', &b"ab\0"[..]), (b'a', b"")], "cut at {cut}");
            assert_eq!(&octets[..], b"\0\0", "what comes behind stays");
        }
    }

    #[test]
    fn lengths() {
        #[rustfmt::skip]
        let cases: [(&str, &[u8], Result<bool, FrameError>); 5] = [
            // what the case shows          input                     outcome
            ("no name",                     b"\0\0\0\0",              Err(FrameError::Empty)),
            ("at the limit",                b"\0\0\0\x04cabc",        Ok(true)),
            ("over it, before data comes",  b"\0\0\0\x05",            Err(FrameError::TooLarge { len: 4, max: 3 })),
            ("text instead of a packet",    b"220 mail",              Err(FrameError::TooLarge { len: 0x3232_301f, max: 3 })),
            ("not all of it",               b"\0\0\0\x04ca",          Ok(false)),
        ];
        for (shows, wire, expected) in cases {
            let got = take(&mut BytesMut::from(wire), 3).map(|packet| packet.is_some());
            assert_eq!(got, expected, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(name: u8, data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut wire = BytesMut::new();
            put(&mut wire, name, |out| out.extend_from_slice(&data));
            let packet = take(&mut wire, DATA_MAX).unwrap().unwrap();
            prop_assert_eq!(packet.name, name);
            prop_assert_eq!(&packet.data[..], &data[..]);
            prop_assert!(wire.is_empty());
        }

        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut wire = BytesMut::from(&octets[..]);
            while let Ok(Some(packet)) = take(&mut wire, 32) {
                prop_assert!(packet.data.len() <= 32);
            }
        }
    }
}
