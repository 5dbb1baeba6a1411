//! GSSAPI (RFC 4752): Kerberos 5, with its security layers.

mod client;
mod layer;
mod server;

pub(crate) use client::GssapiClient;
pub(crate) use server::GssapiServer;

use crate::context::Layers;
use crate::mechanism::Mechanism;
use crate::security_context::ContextFeatures;

const NAME: &str = Mechanism::Gssapi.name();

/// Service part of the principal (RFC 4954 section 4).
const SERVICE: &str = "smtp";

/// Largest token accepted under a security layer, in octets; both ends announce it.
const BUFFER_MAX: usize = 65_536;

/// Smallest useful room for text in a token of the peer's size.
const PIECE_MIN: usize = 64;

/// Octets of the word that offers and chooses a layer: a mask, and the size of the largest token.
const WORD: usize = 4;

/// A security layer (RFC 4752 section 3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protection {
    None,
    Integrity,
    Confidentiality,
}

impl Protection {
    /// Strongest first.
    const ALL: [Self; 3] = [Self::Confidentiality, Self::Integrity, Self::None];

    fn bit(self) -> u8 {
        match self {
            Self::None => 1,
            Self::Integrity => 2,
            Self::Confidentiality => 4,
        }
    }

    /// The layer for this bit; `None` for a mask of several, or of none.
    fn of_bit(bit: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|protection| protection.bit() == bit)
    }

    /// Whether it may be agreed on. A layer that does not detect reordered messages protects nothing.
    fn is_open(self, layers: Layers, features: ContextFeatures) -> bool {
        match self {
            Self::None => true,
            Self::Integrity => layers.integrity && features.integrity && features.sequence,
            Self::Confidentiality => layers.confidentiality && features.confidentiality && features.sequence,
        }
    }
}

/// Combines a mask and a size.
fn word(mask: u8, size: usize) -> [u8; WORD] {
    let size = u32::try_from(size.min(0x00ff_ffff)).unwrap_or(0x00ff_ffff);
    (u32::from(mask) << 24 | size).to_be_bytes()
}

/// Splits mask and size, and returns what follows.
fn split_word(message: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (&[mask, a, b, c], rest) = message.split_first_chunk::<WORD>()?;
    let size = u32::from_be_bytes([0, a, b, c]);
    Some((mask, usize::try_from(size).unwrap_or(usize::MAX), rest))
}
