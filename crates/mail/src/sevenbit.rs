//! Converts a message with 8-bit content for a host that takes 7 bits (RFC 6152 section 3, RFC 2045).
//!
//! It works part by part: a text becomes quoted-printable or base64, whichever is shorter, anything else base64; parts in ASCII
//! stay as they are, to the octet. Messages within the message are converted likewise, since they must not be encoded as a whole
//! (RFC 2046 section 5.2.1). Decoding at the other end yields what was sent, to the octet.
//!
//! Some content cannot be converted, and the sender must be told ([`Obstacle`]): 8-bit octets in header fields, in a signed part,
//! whose signature covers the exact octets (RFC 1847 section 2.1), and in parts that are declared as encoded already. Text before
//! the first and after the last part of a multipart is to be ignored (RFC 2046 section 5.1.1); non-ASCII octets there become `?`.
//!
//! Two passes, both in pieces of any size: a [`Survey`] examines the whole message and makes a [`Plan`], a [`Converter`] carries
//! it out. Memory does not grow with the message: 4 KiB of two field values, a line of at most 1 KiB, the boundaries around the
//! current part, and four octets for each part, of which there are at most 10,000.

mod convert;
mod encode;
mod kind;
mod plan;
pub(crate) mod scan;
mod survey;

pub use self::convert::Converter;
pub use self::plan::{Obstacle, Plan};
pub use self::survey::Survey;

#[cfg(test)]
mod tests;
