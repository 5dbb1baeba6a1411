//! The header section of a message as a list of raw fields: looked up and edited one by one, while every other octet stays as it
//! came.
//!
//! [`Header`] keeps its original text and a list of the positions of the fields. An edit appends octets to the text and changes
//! the list; existing text is neither moved nor copied. A filter cannot change other fields by mistake, and a signature over
//! fields that were not edited stays valid (RFC 6376 section 3.4.1, the `simple` form).

mod list;
mod new;

pub use self::list::{Field, FieldEdit, Header};
pub use self::new::{FieldError, NewField};

#[cfg(test)]
mod tests;
