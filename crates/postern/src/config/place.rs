//! Where a setting is written, in any of the files.

use toml::de::DeValue;

use super::shown::{Shown, toml_of};

/// A file, and the line in it, from 1.
pub(crate) type Place = (String, usize);

/// Where a setting such as `relay.networks` is written; `None` if it is not set and its default applies.
///
/// Of repeated tables, the one whose `name`, `address` or `path` matches; without a name, the first that has the setting.
pub(crate) fn of_setting<'s>(shown: &'s Shown, setting: &str, name: Option<&str>) -> Option<&'s Place> {
    let (table, key) = setting.rsplit_once('.').unwrap_or(("", setting));
    let of_key = |found: &'s Shown| {
        let mut keys = found.keys.iter().filter(|one| one.key == key);
        keys.find_map(|one| one.place.as_ref())
    };
    let meant = |called: &str| tables(shown, called, name);
    meant(table)
        .into_iter()
        .find_map(of_key)
        .or_else(|| meant(setting).into_iter().find_map(|found| found.place.as_ref()))
}

/// Where each table with this header, such as `[[alias]]`, is written, in order: file and line.
pub(crate) fn of_tables(shown: &Shown, header: &str) -> Vec<String> {
    let all = shown.tables.iter().filter(|table| table.header == header);
    all.map(|table| match &table.place {
        Some((file, line)) => format!("{file}:{line}"),
        None => header.to_owned(),
    })
    .collect()
}

/// The tables with this path, `relay` or `relay.certificate`; of repeated ones, those that match the name.
fn tables<'s>(shown: &'s Shown, called: &str, name: Option<&str>) -> Vec<&'s Shown> {
    let mut found = Vec::new();
    let mut open = vec![shown];
    while let Some(one) = open.pop() {
        let repeated = one.header.starts_with("[[");
        if one.header.trim_matches(['[', ']']) == called
            && (!repeated || name.is_none_or(|name| is_called(one, name)))
        {
            found.push(one);
        }
        open.extend(one.tables.iter().rev());
    }
    found
}

fn is_called(table: &Shown, name: &str) -> bool {
    let written = toml_of(&DeValue::String(name.into()));
    ["name", "address", "path", "zone"].into_iter().any(|key| {
        let mut keys = table.keys.iter().filter(|one| one.key == key);
        keys.any(|one| one.value.as_deref() == Some(&written))
    })
}
