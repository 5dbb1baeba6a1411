//! `Authentication-Results` (RFC 8601): the field that tells of the checks, and who wrote such a
//! field.

mod read;
mod write;

pub use self::read::{has_result, hides_author, is_by, result_of};
pub use self::write::Writer;
