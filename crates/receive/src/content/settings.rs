//! What the configuration changes in accepted messages.

use std::sync::Arc;

use postern_directory::rewriting::{Chosen, Rewriting};
use postern_directory::tables::Lookup;
use postern_policy::copy::CopyRule;
use postern_policy::header_check::Check;
use postern_policy::rewrite::Client;

/// What is changed in accepted messages.
#[derive(Clone, Debug, Default)]
pub struct ContentSettings {
    /// Rules that rewrite addresses.
    pub rewriting: Option<Arc<Rewriting>>,
    /// Header and body checks, in order.
    pub checks: Arc<[Check]>,
    /// The rules for copies.
    pub copies: Vec<CopyRule>,
    /// The tables for copies, by the numbers in the rules.
    pub copy_tables: Vec<Vec<Lookup>>,
}

impl ContentSettings {
    /// Whether nothing is ever changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rewriting.is_none() && self.checks.is_empty() && self.copies.is_empty()
    }

    /// The rules that rewrite this client's mail at this listener.
    #[must_use]
    pub fn rewriting(&self, client: &Client, listener: &str) -> Option<Chosen<'_>> {
        self.rewriting.as_ref()?.coming_in(client, listener)
    }
}
