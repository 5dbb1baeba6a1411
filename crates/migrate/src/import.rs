//! What an import gives: a configuration, files that belong to it, and a report.

use crate::config::Config;
use crate::report::Report;

/// The result of an import.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The configuration.
    pub config: Config,
    /// Files beside it.
    pub files: Vec<OutputFile>,
    /// What became of each line that was read.
    pub report: Report,
}

/// A file beside the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutputFile {
    /// Its path, relative to the configuration.
    pub path: String,
    /// What it says.
    pub text: String,
    /// Whether only its owner may read it.
    pub secret: bool,
}
