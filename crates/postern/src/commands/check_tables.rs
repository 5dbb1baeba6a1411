//! `postern check`: whether tables in databases answer.

use postern_directory::tables::Lookup;
use tokio::runtime::Builder;

use crate::config::Config;
use crate::config::problem::Problems;

/// The key used: a nonexistent address (RFC 2606 section 2).
const KEY: &str = "postern-check@postern-check.invalid";

/// Looks up a key in each of them. One that does not answer now may answer later, so that is a
/// warning.
pub(super) fn look(config: &Config, found: &mut Problems) {
    let asked: Vec<&Lookup> = config.tables.all().filter(|table| !table.is_at_hand()).collect();
    if asked.is_empty() {
        return;
    }
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return;
    };
    for table in asked {
        // A table of tables is reported through its parts.
        if !table.parts().iter().any(|part| part == table) {
            continue;
        }
        if let Err(down) = runtime.block_on(table.get(KEY)) {
            found.warning(
                config.places.table(table.name()),
                format!("the table {down}"),
                "asked just now",
                "start the database, or correct the table; until then, mail that depends on it is told to try again later",
            );
        }
    }
}
