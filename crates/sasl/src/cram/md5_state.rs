//! MD5 (RFC 1321) whose state can be exported and restored.
//!
//! A CRAM-MD5 secret is two such states: the password is gone, and the rest works for CRAM-MD5 and nothing else.

use md5_with_states::block_api::Md5Core;
use md5_with_states::digest::block_api::{Block, Buffer, FixedOutputCore, UpdateCore};
use md5_with_states::digest::common::hazmat::{SerializableState, SerializedState};
use zeroize::{Zeroize, Zeroizing};

/// The chaining value after one whole block: four words, low octets first.
pub(super) type State = Zeroizing<[u8; 16]>;

/// Octets of a block.
pub(super) const BLOCK: usize = 64;

/// The state after a first block.
pub(super) fn after_block(block: &[u8; BLOCK]) -> State {
    let mut core = Md5Core::default();
    let block: &Block<Md5Core> = block.into();
    core.update_blocks(std::slice::from_ref(block));
    let mut taken_out = core.serialize();
    let mut state = Zeroizing::new([0; 16]);
    state.copy_from_slice(&taken_out[..16]);
    taken_out.as_mut_slice().zeroize();
    state
}

/// The digest of one block, given by its state, followed by `rest`.
pub(super) fn finish(state: &State, rest: &[u8]) -> Zeroizing<[u8; 16]> {
    let mut put_back = SerializedState::<Md5Core>::default();
    put_back[..16].copy_from_slice(state.as_slice());
    // One block was read.
    put_back[16..].copy_from_slice(&1_u64.to_le_bytes());
    let mut core = Md5Core::deserialize(&put_back).unwrap_or_default();
    put_back.as_mut_slice().zeroize();
    let mut buffer = Buffer::<Md5Core>::default();
    buffer.digest_blocks(rest, |blocks| core.update_blocks(blocks));
    let mut digest = Zeroizing::new([0; 16]);
    core.finalize_fixed_core(&mut buffer, (&mut *digest).into());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::{Digest, Md5};
    use proptest::prelude::*;

    proptest! {
        /// The same as for the whole, wherever blocks end.
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
