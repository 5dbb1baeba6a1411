//! Keys that had another name before, so that a file from then says what to write now.

/// The table in its TOML form, the name of before, the name of now.
const RENAMED: &[(&str, &str, &str)] = &[
    ("[auth]", "failures_until_bar", "failures_until_lockout"),
    ("[auth]", "bar_time", "lockout_time"),
    ("[auth]", "longest_bar", "longest_lockout"),
    (
        "[auth]",
        "network_failures_until_bar",
        "network_failures_until_lockout",
    ),
];

/// What a key of a table is called now, if it was called `key` before.
pub(super) fn new_name(table: &str, key: &str) -> Option<&'static str> {
    let found = RENAMED
        .iter()
        .find(|(in_table, old, _)| *in_table == table && *old == key);
    found.map(|(_, _, new)| *new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::Table as _;

    /// Neither a typing error in the new name nor a key that is back under its old one stays unseen.
    #[test]
    fn the_new_names_are_keys_and_the_old_ones_are_none() {
        let known = crate::config::file::Auth::NAMES;
        for (table, old, new) in RENAMED {
            assert_eq!(*table, "[auth]", "the test knows no other table");
            assert!(known.contains(new), "{new}");
            assert!(!known.contains(old), "{old}");
        }
    }
}
