//! MD5 (RFC 1321) whose state can be taken out and put back, which no library offers.
//!
//! A CRAM-MD5 secret is two such states: the password is gone, and what is left does for CRAM-MD5 and nothing else.

use zeroize::Zeroizing;

/// The chaining value behind some whole blocks.
pub(super) type State = Zeroizing<[u32; 4]>;

/// Octets of a block.
pub(super) const BLOCK: usize = 64;

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// `floor(2^32 * abs(sin(i + 1)))` (RFC 1321 section 3.4).
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// The state behind one first block.
pub(super) fn after_block(block: &[u8; BLOCK]) -> State {
    let mut state = Zeroizing::new(START);
    compress(&mut state, block);
    state
}

/// The digest of one block, known by the state it left, and `rest` behind it.
pub(super) fn finish(state: &State, rest: &[u8]) -> Zeroizing<[u8; 16]> {
    let mut state = state.clone();
    let bits = (BLOCK as u64 + rest.len() as u64).wrapping_mul(8);
    let mut padded = Zeroizing::new(rest.to_vec());
    padded.push(0x80);
    while padded.len() % BLOCK != BLOCK - 8 {
        padded.push(0);
    }
    padded.extend(bits.to_le_bytes());
    for chunk in padded.chunks_exact(BLOCK) {
        let mut block = Zeroizing::new([0; BLOCK]);
        block.copy_from_slice(chunk);
        compress(&mut state, &block);
    }
    let mut digest = Zeroizing::new([0; 16]);
    for (octets, word) in digest.chunks_exact_mut(4).zip(state.iter()) {
        octets.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// One block (RFC 1321 section 3.4, step 4).
fn compress(state: &mut State, block: &[u8; BLOCK]) {
    let mut words = Zeroizing::new([0_u32; 16]);
    for (word, octets) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_le_bytes([octets[0], octets[1], octets[2], octets[3]]);
    }
    let [mut a, mut b, mut c, mut d] = **state;
    for index in 0..64 {
        let (mixed, word) = match index / 16 {
            0 => ((b & c) | (!b & d), index),
            1 => ((d & b) | (!d & c), (5 * index + 1) % 16),
            2 => (b ^ c ^ d, (3 * index + 5) % 16),
            _ => (c ^ (b | !d), (7 * index) % 16),
        };
        let sum = a
            .wrapping_add(mixed)
            .wrapping_add(SINES[index])
            .wrapping_add(words[word]);
        let turned = b.wrapping_add(sum.rotate_left(SHIFTS[index / 16][index % 4]));
        (a, b, c, d) = (d, turned, b, c);
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::{Digest, Md5};
    use proptest::prelude::*;

    proptest! {
        /// The same as the library's, wherever blocks end.
        #[test]
        fn the_digest_is_md5(first in prop::collection::vec(any::<u8>(), BLOCK), rest in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut block = [0; BLOCK];
            block.copy_from_slice(&first);
            let want = Md5::new().chain_update(&first).chain_update(&rest).finalize();
            let got = finish(&after_block(&block), &rest);
            prop_assert_eq!(got.as_slice(), want.as_slice());
        }
    }
}
