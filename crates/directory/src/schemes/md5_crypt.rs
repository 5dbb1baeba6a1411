//! MD5-crypt: `$1$` of FreeBSD, and Apache's `$apr1$`, which differs only in name.

use md5::{Digest, Md5};

/// Letters of the encoding, from the value 0.
const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Which octets of the digest go into each group of letters, highest first.
const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The 22 letters for a password. `magic` is `$1$` or `$apr1$`; of the salt the first 8 octets count.
pub(super) fn hash(magic: &str, salt: &str, password: &[u8]) -> [u8; 22] {
    let salt = &salt.as_bytes()[..salt.len().min(8)];
    let mut digest = start(magic, salt, password);
    for round in 0..1_000 {
        let mut md5 = Md5::new();
        let odd = round % 2 == 1;
        md5.update(if odd { password } else { &digest[..] });
        if round % 3 != 0 {
            md5.update(salt);
        }
        if round % 7 != 0 {
            md5.update(password);
        }
        md5.update(if odd { &digest[..] } else { password });
        digest = md5.finalize().into();
    }
    encode(&digest)
}

fn start(magic: &str, salt: &[u8], password: &[u8]) -> [u8; 16] {
    let inner: [u8; 16] = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into();
    let mut md5 = Md5::new()
        .chain_update(password)
        .chain_update(magic)
        .chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        let take = left.min(inner.len());
        md5.update(&inner[..take]);
        left -= take;
    }
    let mut bits = password.len();
    while bits > 0 {
        // The original adds a zero octet if the bit is set, and the first octet of the password if not.
        md5.update(if bits & 1 == 1 { &[0] } else { &password[..1] });
        bits >>= 1;
    }
    md5.finalize().into()
}

fn encode(digest: &[u8; 16]) -> [u8; 22] {
    let mut out = [0; 22];
    for (letters, [high, middle, low]) in out.chunks_mut(4).zip(GROUPS) {
        let value = u32::from_be_bytes([0, digest[high], digest[middle], digest[low]]);
        letters_of(value, letters);
    }
    letters_of(u32::from(digest[11]), &mut out[20..]);
    out
}

/// Six bits per letter, lowest first.
fn letters_of(mut value: u32, out: &mut [u8]) {
    for letter in out {
        *letter = LETTERS[(value & 0x3f) as usize];
        value >>= 6;
    }
}
