//! Tables that access rules look into.

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use postern_table::Key;

/// A table.
pub trait Table: Debug + Send + Sync {
    /// What stands behind a key; `Err` says why nobody can tell now.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<String>, String>>;
}

/// One in memory. Patterns and networks are asked with whole keys alone.
impl Table for postern_table::Table {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<String>, String>> {
        let found = if key.is_part && self.is_pattern() {
            None
        } else {
            Self::get(self, &key.text)
        };
        let found = found.map(|found| found.value.into_owned());
        Box::pin(std::future::ready(Ok(found)))
    }
}
