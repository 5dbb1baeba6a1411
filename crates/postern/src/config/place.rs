//! Where a setting stands in the file.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line, from 1, at which a setting such as `relay.networks` is written; `None` where it is not, and its default holds.
///
/// Of tables that are written several times, the one counts that `name` or `address` calls so; without a name the first that has the
/// setting.
pub(crate) fn line_of(text: &str, setting: &str, name: Option<&str>) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let segments: Vec<&str> = setting.split('.').collect();
    let span = find(document.get_ref(), &segments, name)?;
    Some(text.get(..span.start)?.matches('\n').count() + 1)
}

fn find(table: &DeTable<'_>, segments: &[&str], name: Option<&str>) -> Option<Range<usize>> {
    let (first, rest) = segments.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == *first)?;
    match value.get_ref() {
        DeValue::Table(below) if !rest.is_empty() => find(below, rest, name),
        DeValue::Array(list) if is_of_tables(list.iter()) => {
            let mut tables = list
                .iter()
                .filter(|one| name.is_none_or(|name| is_called(one, name)));
            if rest.is_empty() {
                tables.next().map(Spanned::span)
            } else {
                tables.find_map(|one| find(one.get_ref().as_table()?, rest, name))
            }
        }
        _ if rest.is_empty() => Some(key.span()),
        _ => None,
    }
}

fn is_of_tables<'a>(mut list: impl Iterator<Item = &'a Spanned<DeValue<'a>>>) -> bool {
    list.next().is_some_and(|one| one.get_ref().as_table().is_some())
}

fn is_called(one: &Spanned<DeValue<'_>>, name: &str) -> bool {
    let Some(table) = one.get_ref().as_table() else {
        return false;
    };
    ["name", "address", "path"]
        .into_iter()
        .any(|key| table.get(key).and_then(|value| value.get_ref().as_str()) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_table_and_name() {
        let text = "\
local_domains = [\"a.example\"]

[[listener]]
name = \"mx\"
role = \"mx\"

[[listener]]
address = \"0.0.0.0:465\"
role = \"submission\"

[relay]
networks = [
  \"192.0.2.0/24\",
]
senders = \"own\"

[[relay.certificate]]
name = \"branch\"
";
        #[rustfmt::skip]
        let cases = [
            ("local_domains",      None,                 Some(1)),
            ("relay_domains",      None,                 None),
            ("listener.role",      Some("mx"),           Some(5)),
            ("listener.role",      Some("0.0.0.0:465"),  Some(9)),
            ("listener.role",      None,                 Some(5)),
            ("listener.role",      Some("other"),        None),
            ("listener.auth",      Some("mx"),           None),
            ("relay.networks",     None,                 Some(12)),
            ("relay.senders",      Some("mx"),           Some(15)),
            ("relay.certificate",  Some("branch"),       Some(17)),
            ("relay.certificate",  Some("other"),        None),
            ("relay.senders.own",  None,                 None),
        ];
        for (setting, name, line) in cases {
            assert_eq!(line_of(text, setting, name), line, "{setting} {name:?}");
        }
        assert_eq!(line_of("= no TOML", "relay.senders", None), None);
    }
}
