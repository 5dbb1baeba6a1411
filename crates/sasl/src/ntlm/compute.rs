//! NTLMv2's computations (MS-NLMP section 3.3.2).

use cipher::generic_array::GenericArray;
use cipher::{KeyInit, StreamCipher};
use hmac::{Hmac, Mac};
use md5::Md5;
use rc4::Rc4;
use rc4::consts::U16;
use zeroize::Zeroizing;

use super::NtHash;
use super::message::utf16;

/// Sixteen octets that are wiped.
pub(super) type Key = Zeroizing<[u8; 16]>;

/// HMAC-MD5 of concatenated parts.
pub(super) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> Key {
    let Ok(mut mac) = <Hmac<Md5> as Mac>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length");
    };
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// `NTOWFv2`: the account's key for one spelling of its name and domain.
pub(super) fn response_key(hash: &NtHash, user: &str, domain: &str) -> Key {
    hmac_md5(hash.expose(), &[&utf16(&upper(user)), &utf16(domain)])
}

/// `NTProofStr` over the server's challenge and the client's blob.
pub(super) fn proof(response_key: &Key, server_challenge: [u8; 8], blob: &[u8]) -> Key {
    hmac_md5(response_key.as_slice(), &[&server_challenge, blob])
}

/// `SessionBaseKey`, which is `KeyExchangeKey` too.
pub(super) fn session_key(response_key: &Key, proof: &Key) -> Key {
    hmac_md5(response_key.as_slice(), &[proof.as_slice()])
}

/// `RC4K`: how the client sends a session key of its own choice.
pub(super) fn unseal(session_key: &Key, sealed: [u8; 16]) -> Key {
    let mut key = Zeroizing::new(sealed);
    Rc4::<U16>::new(GenericArray::from_slice(session_key.as_slice())).apply_keystream(key.as_mut_slice());
    key
}

/// The message integrity code over all three messages; the third with zeros in place of the code.
pub(super) fn message_code(session_key: &Key, messages: [&[u8]; 3]) -> Key {
    hmac_md5(session_key.as_slice(), &messages)
}

/// Capitals, letter by letter, as Windows does it: `ß` stays.
fn upper(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut capitals = c.to_uppercase();
            match (capitals.next(), capitals.next()) {
                (Some(capital), None) => capital,
                _ => c,
            }
        })
        .collect()
}
