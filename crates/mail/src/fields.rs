//! The header section of a message as a list of raw fields: looked up and edited one by one, every other octet as it came.
//!
//! [`Header`] keeps the text that it was made of and, beside it, where each field lies in there. An edit adds its octets at the
//! end and changes the list; nothing that was there is moved or copied. What a filter must not touch it cannot touch by
//! mistake, and a signature over fields that nobody edited holds (RFC 6376 section 3.4.1, the `simple` form).

mod list;
mod new;

pub use self::list::{Field, FieldEdit, Header};
pub use self::new::{FieldError, NewField};

#[cfg(test)]
mod tests;
