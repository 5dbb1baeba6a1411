//! DIGEST-MD5's security layers (RFC 2831 sections 2.3 and 2.4).

use cipher::generic_array::GenericArray;
use cipher::{BlockDecrypt, BlockEncrypt, KeyInit, StreamCipher};
use des::TdesEde2;
use hmac::{Hmac, Mac};
use md5::Md5;
use rc4::Rc4;
use rc4::consts::U16;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash::{Hash, md5};
use super::{BUFFER_MAX, Cipher, Protection};
use crate::layer::{LayerError, SecurityLayer, each_buffer};

/// Octets of a buffer's length.
const LENGTH: usize = 4;
/// Octets of the message authentication code.
const MAC: usize = 10;
/// Octets of message type and sequence number.
const TRAILER: usize = 6;
/// Octets of a block of triple DES.
const BLOCK: usize = 8;
/// The only message type.
const TYPE: [u8; 2] = [0, 1];

/// On which end of the connection the layer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Client,
    Server,
}

/// A layer of integrity or confidentiality.
pub(crate) struct DigestLayer {
    bits: u32,
    send: Direction,
    receive: Direction,
    /// Most octets of text in one buffer for the peer.
    piece_max: usize,
}

/// One of the two streams.
struct Direction {
    integrity_key: Hash,
    /// Number of the next buffer; beyond `u32::MAX` there is none.
    sequence: u64,
    cipher: State,
}

/// The cipher state from one buffer to the next.
enum State {
    None,
    Rc4(Box<Rc4<U16>>),
    TripleDes {
        cipher: Box<TdesEde2>,
        last: [u8; BLOCK],
    },
}

impl DigestLayer {
    /// `None` if no layer was agreed on. `peer_max` is the peer's `maxbuf`.
    pub(super) fn new(side: Side, key: &Hash, protection: Protection, peer_max: usize) -> Option<Self> {
        let cipher = match protection {
            Protection::None => return None,
            Protection::Integrity => None,
            Protection::Confidentiality(cipher) => Some(cipher),
        };
        let from_client = Direction::new(key, Side::Client, cipher);
        let from_server = Direction::new(key, Side::Server, cipher);
        let (send, receive) = match side {
            Side::Client => (from_client, from_server),
            Side::Server => (from_server, from_client),
        };
        Some(Self {
            bits: protection.bits(),
            send,
            receive,
            piece_max: peer_max - (LENGTH + MAC + TRAILER + BLOCK),
        })
    }
}

impl Direction {
    fn new(key: &Hash, sender: Side, cipher: Option<Cipher>) -> Self {
        let (signing, sealing): (&[u8], &[u8]) = match sender {
            Side::Client => (
                b"Digest session key to client-to-server signing key magic constant",
                b"Digest H(A1) to client-to-server sealing key magic constant",
            ),
            Side::Server => (
                b"Digest session key to server-to-client signing key magic constant",
                b"Digest H(A1) to server-to-client sealing key magic constant",
            ),
        };
        let sealing_key = md5(&[key.as_slice(), sealing]);
        let cipher = match cipher {
            None => State::None,
            Some(Cipher::Rc4) => State::Rc4(Box::new(Rc4::new(GenericArray::from_slice(
                sealing_key.as_slice(),
            )))),
            Some(Cipher::TripleDes) => {
                let mut last = [0; BLOCK];
                last.copy_from_slice(&sealing_key[BLOCK..]);
                State::TripleDes {
                    cipher: Box::new(TdesEde2::new(GenericArray::from_slice(
                        des_keys(&sealing_key).as_slice(),
                    ))),
                    last,
                }
            }
        };
        Self {
            integrity_key: md5(&[key.as_slice(), signing]),
            sequence: 0,
            cipher,
        }
    }

    /// The number of the next buffer.
    fn next(&mut self) -> Result<[u8; 4], LayerError> {
        let number = u32::try_from(self.sequence).map_err(|_| LayerError::Exhausted)?;
        self.sequence += 1;
        Ok(number.to_be_bytes())
    }

    fn mac(&self, number: [u8; 4], text: &[u8]) -> [u8; MAC] {
        let Ok(mut mac) = <Hmac<Md5> as Mac>::new_from_slice(self.integrity_key.as_slice()) else {
            unreachable!("HMAC takes a key of any length");
        };
        mac.update(&number);
        mac.update(text);
        let mut short = [0; MAC];
        short.copy_from_slice(&mac.finalize().into_bytes()[..MAC]);
        short
    }

    fn wrap(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), LayerError> {
        let number = self.next()?;
        let start = out.len();
        out.extend([0; LENGTH]);
        out.extend(text);
        if let State::TripleDes { .. } = self.cipher {
            let padding = BLOCK - (text.len() + MAC) % BLOCK;
            out.extend(std::iter::repeat_n(
                u8::try_from(padding).unwrap_or_default(),
                padding,
            ));
        }
        out.extend(self.mac(number, text));
        self.cipher.encrypt(&mut out[start + LENGTH..]);
        out.extend(TYPE);
        out.extend(number);
        let length = u32::try_from(out.len() - start - LENGTH).unwrap_or(u32::MAX);
        out[start..start + LENGTH].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// Opens one buffer, without its length.
    fn unwrap(&mut self, buffer: &[u8], out: &mut Vec<u8>) -> Result<(), LayerError> {
        let number = self.next()?;
        if buffer.len() < MAC + TRAILER {
            return Err(LayerError::Forged);
        }
        let (sealed, trailer) = buffer.split_at(buffer.len() - TRAILER);
        let mut sealed = sealed.to_vec();
        self.cipher.decrypt(&mut sealed)?;
        let (padded, mac) = sealed.split_at(sealed.len() - MAC);
        let text = self.cipher.unpad(padded)?;
        let right = mac.ct_eq(&self.mac(number, text));
        if trailer[..2] != TYPE || trailer[2..] != number || !bool::from(right) {
            return Err(LayerError::Forged);
        }
        out.extend(text);
        Ok(())
    }
}

impl State {
    fn encrypt(&mut self, octets: &mut [u8]) {
        match self {
            Self::None => {}
            Self::Rc4(cipher) => cipher.apply_keystream(octets),
            Self::TripleDes { cipher, last } => {
                for block in octets.chunks_exact_mut(BLOCK) {
                    block
                        .iter_mut()
                        .zip(*last)
                        .for_each(|(octet, before)| *octet ^= before);
                    cipher.encrypt_block(GenericArray::from_mut_slice(block));
                    last.copy_from_slice(block);
                }
            }
        }
    }

    fn decrypt(&mut self, octets: &mut [u8]) -> Result<(), LayerError> {
        match self {
            Self::None => {}
            Self::Rc4(cipher) => cipher.apply_keystream(octets),
            Self::TripleDes { .. } if !octets.len().is_multiple_of(BLOCK) => return Err(LayerError::Forged),
            Self::TripleDes { cipher, last } => {
                for block in octets.chunks_exact_mut(BLOCK) {
                    let mut sealed = [0; BLOCK];
                    sealed.copy_from_slice(block);
                    cipher.decrypt_block(GenericArray::from_mut_slice(block));
                    block
                        .iter_mut()
                        .zip(*last)
                        .for_each(|(octet, before)| *octet ^= before);
                    *last = sealed;
                }
            }
        }
        Ok(())
    }

    /// Removes the padding that a block cipher needs.
    fn unpad<'a>(&self, padded: &'a [u8]) -> Result<&'a [u8], LayerError> {
        let Self::TripleDes { .. } = self else {
            return Ok(padded);
        };
        let count = usize::from(*padded.last().ok_or(LayerError::Forged)?);
        if !(1..=BLOCK).contains(&count) || count > padded.len() {
            return Err(LayerError::Forged);
        }
        let (text, padding) = padded.split_at(padded.len() - count);
        if padding.iter().any(|&octet| usize::from(octet) != count) {
            return Err(LayerError::Forged);
        }
        Ok(text)
    }
}

/// Two DES keys from fourteen octets: seven key bits in each of eight octets, the last bit for parity (section
/// 2.4).
fn des_keys(sealing_key: &Hash) -> Zeroizing<[u8; 16]> {
    let mut keys = Zeroizing::new([0; 16]);
    for (key, seven) in keys.chunks_exact_mut(8).zip(sealing_key.chunks_exact(7)) {
        let bits = seven
            .iter()
            .fold(0_u64, |bits, &octet| bits << 8 | u64::from(octet));
        for (index, octet) in key.iter_mut().enumerate() {
            let shift = 7 * (7 - index);
            let seven_bits = u8::try_from(bits >> shift & 0x7f).unwrap_or_default();
            *octet = seven_bits << 1 | u8::from(seven_bits.count_ones().is_multiple_of(2));
        }
    }
    keys
}

impl SecurityLayer for DigestLayer {
    fn bits(&self) -> u32 {
        self.bits
    }

    fn wrap(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), LayerError> {
        plain
            .chunks(self.piece_max)
            .try_for_each(|piece| self.send.wrap(piece, out))
    }

    fn unwrap(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, LayerError> {
        each_buffer(input, BUFFER_MAX, |buffer| self.receive.unwrap(buffer, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use des::Des;

    /// LAN Manager's hash of "password" is the only published use of the same expansion from seven octets to
    /// eight.
    #[test]
    fn des_keys_of_seven_octets() {
        let keys = des_keys(&Zeroizing::new(*b"PASSWORD\0\0\0\0\0\0\xff\xff"));
        let mut hash = Vec::new();
        for key in keys.chunks_exact(8) {
            assert!(key.iter().all(|octet| octet.count_ones() % 2 == 1), "odd parity");
            let mut block = GenericArray::from(*b"KGS!@#$%");
            Des::new(GenericArray::from_slice(key)).encrypt_block(&mut block);
            hash.extend(block);
        }
        assert_eq!(
            crate::key_text::hex(&hash).as_str(),
            "e52cac67419a9a224a3b108f3fa6cb6d"
        );
    }
}
