//! Enhanced status codes (RFC 3463).

use std::fmt;

/// An enhanced status code: class, subject, detail (RFC 3463 section 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct Status(pub u8, pub u16, pub u16);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}
