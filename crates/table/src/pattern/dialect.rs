//! The dialects of patterns.

/// The pattern dialect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// Perl's, as in Postfix's `pcre:`: case-insensitive, and `.` matches a line end, unless a flag says otherwise.
    Perl,
    /// POSIX's extended ones, as in Postfix's `regexp:`.
    Posix,
}
