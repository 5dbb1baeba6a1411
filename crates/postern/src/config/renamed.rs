//! Renamed keys, so that an old file gets a message with the new name.

/// The table in its TOML form, the old name, the new name.
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

/// The current name of a table's key that used to be called `key`.
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

    /// Detects typing errors in the new names, and keys that are back under their old ones.
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
