//! Tables that access rules look into.

use std::collections::HashMap;
use std::fmt::Debug;

use futures_util::future::BoxFuture;

/// A table.
pub trait Table: Debug + Send + Sync {
    /// What stands behind a key; `Err` says why nobody can tell now.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, String>>;
}

/// One in memory, whose keys are in small letters.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub HashMap<Box<str>, Box<str>>);

impl Table for Memory {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, String>> {
        let found = match self.0.get(key) {
            Some(found) => Some(found),
            None => self.0.get(key.to_lowercase().as_str()),
        };
        let found = found.map(|text| text.clone().into_string());
        Box::pin(std::future::ready(Ok(found)))
    }
}
