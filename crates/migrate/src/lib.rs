//! Reads what configures a sendmail or Postfix site: the files of an old mail server, as facts with the lines they came from.
//!
//! Nothing here runs a program or opens a file: files are read through [`Files`]. What a reader cannot follow is also a fact,
//! so that nothing is silently ignored.

pub mod import;
pub mod log;
pub mod m4;
pub mod postfix;
pub mod sendmail;

pub mod config;
mod origin;
pub mod report;
pub mod settings;

pub use origin::{FileError, Files, Located, Origin};
