//! Names of the files that are made.

/// The configuration in the folder of the result.
pub(super) const CONFIGURATION: &str = "postern.toml";

/// The report beside it.
pub(super) const REPORT: &str = "report.txt";
