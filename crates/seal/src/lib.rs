//! Seals on messages: DKIM signatures (RFC 6376, 8301, 8463), from the canonical form of a message to the record of a key.
//!
//! Other people's seals are judged in [`judge`]: SPF, DKIM, DMARC, ARC.
//!
//! Nothing here opens a socket or a file, or reads a clock: messages come in pieces, keys as octets, the time as an argument, and
//! DNS is asked through [`dns::Dns`], which the program implements. Only key generation draws random numbers, from the
//! cryptographic library itself.

mod algorithm;
pub mod canon;
pub mod dns;
mod hash;
pub mod judge;
mod key;
mod published;
mod record;
pub mod rotation;
pub mod sign;
mod tags;

pub use algorithm::Algorithm;
pub use canon::{Canonicalization, Form};
pub use hash::{BodyHash, BodyHasher};
pub use key::{CryptoFailed, KeyError, RsaBits, SigningKey};
pub use published::Published;
pub use record::{KeyRecord, RecordFault, txt_strings, zone_line};
pub use sign::{FieldNames, SignError, Signer};
pub use tags::{TagFault, TagList};
