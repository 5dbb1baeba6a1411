//! The layout of the file of own users, and the migrations from one version to the next.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::UserError;

/// The step to each layout from the previous one, the first from an empty file. The layout version is in the file's
/// `user_version`.
const STEPS: [&str; 6] = [
    include_str!("layout-1.sql"),
    include_str!("layout-2.sql"),
    include_str!("layout-3.sql"),
    include_str!("layout-4.sql"),
    include_str!("layout-5.sql"),
    include_str!("layout-6.sql"),
];

/// Brings a file to the latest layout in one transaction: after a crash it still has the old one, intact.
pub(super) fn bring_up(connection: &mut Connection, path: &Path) -> Result<(), UserError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == known {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    if done > STEPS.len() {
        return Err(UserError::LaterLayout {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for step in &STEPS[done..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}
