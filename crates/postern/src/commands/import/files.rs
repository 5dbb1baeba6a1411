//! Names of the generated files.

/// The configuration in the output folder.
pub(super) const CONFIGURATION: &str = "postern.toml";

/// The report next to it.
pub(super) const REPORT: &str = "report.txt";
