//! Why a file of the history cannot be used.

use std::io;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartError {
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("a newer version of the program has written it")]
    TooNew,
}

impl PartError {
    /// Whether the data on disk is damaged, rather than a failing disk or a temporary condition.
    pub(crate) fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let Self::Database(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
            // A missing table, or a row with other columns.
            || matches!(error, rusqlite::Error::SqliteFailure(code, _) if code.extended_code == 1)
            || matches!(error, rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::QueryReturnedNoRows)
    }
}
