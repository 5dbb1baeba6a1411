//! What budgets know of a transaction.

/// What budgets know of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// The recipients that it has named, by the hash under which budgets know them; empty where nothing counts.
    pub(super) recipients: Vec<u64>,
    /// Whether it has waited for its turn.
    pub(super) has_waited: bool,
}
