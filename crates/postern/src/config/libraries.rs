//! Whether libraries are loaded.

/// Whether libraries named in the file are loaded, which executes their code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Libraries {
    /// Load them, as a server does.
    Load,
    /// Do not load them, and skip what they would report.
    Leave,
}
