//! Whether libraries are loaded.

/// Whether libraries that the file names are loaded, which runs what is in them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Libraries {
    /// As a server does.
    Load,
    /// They are left alone, and so is what they would say.
    Leave,
}
