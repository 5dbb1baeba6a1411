//! The form of a file.

use std::time::Duration;

/// Its tables.
pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// The version of the schema.
pub(crate) const VERSION: i64 = 1;

/// How long a connection waits for another one's short lock.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(5);
