//! Interprets the rows of an answer.

use zeroize::Zeroizing;

use super::rows::{Cell, Rows};

/// An account as a query found it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// `None` if the query has no such column: then it is what the client typed.
    pub(super) login: Option<String>,
    /// `None` for an account without a password.
    pub(super) stored: Option<Zeroizing<String>>,
    pub(super) enabled: bool,
    pub(super) addresses: Vec<String>,
    pub(super) groups: Vec<String>,
    /// Keys in text form, and texts from which keys can be made.
    pub(super) keys: Vec<Zeroizing<String>>,
}

/// What a query found.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Unknown,
    Ambiguous,
    Found(Found),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Column {
    Password,
    Login,
    Addresses,
    Enabled,
    Groups,
    Keys,
    NtHash,
}

/// Which of the administrator's queries it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    Password,
    Account,
    Keys,
}

impl Purpose {
    const fn key(self) -> &'static str {
        match self {
            Self::Password => "password_query",
            Self::Account => "account_query",
            Self::Keys => "key_query",
        }
    }

    /// What the first column means if no column has that name.
    const fn first(self) -> Option<(&'static [&'static str], Column)> {
        match self {
            Self::Password => Some((&["password"], Column::Password)),
            Self::Account => None,
            Self::Keys => Some((&["key", "keys", "password", "nt_hash"], Column::Keys)),
        }
    }
}

/// What a query found. The error says what is wrong with the query.
pub(super) fn of_rows(rows: &Rows, purpose: Purpose) -> Result<Answer, String> {
    let columns = meanings(&rows.columns, purpose)?;
    let mut answer: Option<Found> = None;
    for row in &rows.rows {
        let one = of_row(&columns, row).map_err(|error| format!("{} {error}", purpose.key()))?;
        match &mut answer {
            None => answer = Some(one),
            Some(found) => {
                let same =
                    found.login == one.login && found.stored == one.stored && found.enabled == one.enabled;
                if !same {
                    return Ok(Answer::Ambiguous);
                }
                found.addresses.extend(one.addresses);
                found.groups.extend(one.groups);
                found.keys.extend(one.keys);
            }
        }
    }
    let Some(mut found) = answer else {
        return Ok(Answer::Unknown);
    };
    once(&mut found.addresses);
    once(&mut found.groups);
    Ok(Answer::Found(found))
}

/// The names of groups in the first column.
pub(super) fn of_groups(rows: &Rows) -> Result<Vec<String>, String> {
    let mut groups = Vec::new();
    for cell in rows.rows.iter().filter_map(|row| row.first()) {
        match cell {
            Cell::Text(text) => groups.push(text.to_string()),
            Cell::Number(number) => groups.push(number.to_string()),
            Cell::List(list) => groups.extend(list.iter().cloned()),
            Cell::Null => {}
            Cell::Other(kind) => return Err(format!("group_query gives a value that is {kind}")),
        }
    }
    once(&mut groups);
    Ok(groups)
}

/// Removes duplicates.
fn once(list: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    list.retain(|one| seen.insert(one.clone()));
}

/// Whether a recipient query found the address.
pub(super) fn of_recipient(rows: &Rows) -> bool {
    rows.rows
        .iter()
        .filter_map(|row| row.first())
        .any(|cell| !matches!(cell, Cell::Null | Cell::Number(0)))
}

fn meanings(names: &[String], purpose: Purpose) -> Result<Vec<Column>, String> {
    let mut columns = Vec::with_capacity(names.len());
    let first = purpose.first();
    let first = first.filter(|(known, _)| !names.iter().any(|name| known.contains(&name.as_str())));
    for (index, name) in names.iter().enumerate() {
        let column = match (name.as_str(), first) {
            ("password", _) => Column::Password,
            (_, Some((_, column))) if index == 0 => column,
            ("login", _) => Column::Login,
            ("address" | "addresses", _) => Column::Addresses,
            ("enabled", _) => Column::Enabled,
            ("group" | "groups", _) => Column::Groups,
            ("key" | "keys", _) => Column::Keys,
            ("nt_hash", _) => Column::NtHash,
            (other, _) => {
                return Err(format!(
                    "the column {other:?} of {} has no meaning: name columns password, login, address, enabled, group, key \
                     and nt_hash, for example `{other} AS login`",
                    purpose.key()
                ));
            }
        };
        if columns.contains(&column) {
            return Err(format!(
                "{} has two columns for the same: {name:?} is one of them",
                purpose.key()
            ));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn of_row(columns: &[Column], row: &[Cell]) -> Result<Found, String> {
    let mut found = Found {
        login: None,
        stored: None,
        enabled: true,
        addresses: Vec::new(),
        groups: Vec::new(),
        keys: Vec::new(),
    };
    for (column, cell) in columns.iter().zip(row) {
        match (column, cell) {
            (_, Cell::Other(kind)) => {
                return Err(format!(
                    "gives a value that is {kind}; have the query make it text"
                ));
            }
            (Column::Password, Cell::Text(text)) => found.stored = Some(text.clone()),
            (Column::Login, Cell::Text(text)) => found.login = Some(text.to_string()),
            (Column::Login, Cell::Number(number)) => found.login = Some(number.to_string()),
            (Column::Addresses, Cell::Text(text)) => {
                let parts = text
                    .split([',', ' ', '\t', '\r', '\n'])
                    .filter(|part| !part.is_empty());
                found.addresses.extend(parts.map(str::to_lowercase));
            }
            (Column::Addresses, Cell::List(list)) => {
                found
                    .addresses
                    .extend(list.iter().map(|address| address.to_lowercase()));
            }
            (Column::Enabled, cell) => found.enabled = is_true(cell)?,
            (_, Cell::Null) => {}
            (Column::Groups, Cell::Text(text)) => {
                let parts = text.split([',', '\n', '\r']).map(str::trim);
                found
                    .groups
                    .extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
            }
            (Column::Groups, Cell::List(list)) => found.groups.extend(list.iter().cloned()),
            (Column::Groups, Cell::Number(number)) => found.groups.push(number.to_string()),
            (Column::Keys | Column::NtHash, Cell::Text(text)) => found.keys.push(text.clone()),
            (Column::Keys, Cell::List(list)) => {
                found
                    .keys
                    .extend(list.iter().map(|text| Zeroizing::new(text.clone())));
            }
            (column, _) => return Err(format!("gives a {column:?} that is not text")),
        }
    }
    Ok(found)
}

fn is_true(cell: &Cell) -> Result<bool, String> {
    match cell {
        Cell::Null => Ok(false),
        Cell::Number(number) => Ok(*number != 0),
        Cell::Text(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "y" | "yes" | "on" => Ok(true),
            "0" | "f" | "false" | "n" | "no" | "off" | "" => Ok(false),
            _ => Err("gives an enabled that is neither true nor false".into()),
        },
        Cell::List(_) | Cell::Other(_) => Err("gives an enabled that is neither true nor false".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: &[&str], rows: &[&[Cell]]) -> Rows {
        Rows {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: rows.iter().map(|row| row.to_vec()).collect(),
        }
    }

    fn told(answer: &Answer) -> String {
        match answer {
            Answer::Found(found) => format!(
                "{} {} {} {}",
                found.login.as_deref().unwrap_or("-"),
                found.stored.as_ref().map_or("-", |stored| stored.as_str()),
                found.enabled,
                found.addresses.join("+")
            ),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn answers() {
        let t = |text: &str| Cell::text(text);
        let list = Cell::List(vec!["A@x".into(), "b@x".into()]);
        let all = &["password", "login", "address", "enabled"][..];
        #[rustfmt::skip]
        let cases: Vec<(&str, Rows, Result<&str, &str>)> = vec![
            ("no row",                   rows(all, &[]), Ok("Unknown")),
            ("a password alone",         rows(&["hash"], &[&[t("h")]]), Ok("- h true ")),
            ("all columns",              rows(all, &[&[t("h"), t("me"), t("A@x"), Cell::Number(1)]]), Ok("me h true a@x")),
            ("the password comes later", rows(&["login", "password"], &[&[t("me"), t("h")]]), Ok("me h true ")),
            ("no password",              rows(all, &[&[Cell::Null, t("me"), Cell::Null, Cell::Number(1)]]), Ok("me - true ")),
            ("locked",                   rows(all, &[&[t("h"), t("me"), Cell::Null, Cell::Number(0)]]), Ok("me h false ")),
            ("NULL is not enabled",      rows(all, &[&[t("h"), t("me"), Cell::Null, Cell::Null]]), Ok("me h false ")),
            ("locked by a word",         rows(all, &[&[t("h"), t("me"), Cell::Null, t("No")]]), Ok("me h false ")),
            ("addresses in one column",  rows(&["p", "addresses"], &[&[t("h"), t("a@x, B@x\nc@x")]]), Ok("- h true a@x+b@x+c@x")),
            ("an array",                 rows(&["p", "addresses"], &[&[t("h"), list]]), Ok("- h true a@x+b@x")),
            ("one a row, once each",     rows(&["p", "address"], &[&[t("h"), t("a@x")], &[t("h"), t("b@x")], &[t("h"), t("A@x")]]), Ok("- h true a@x+b@x")),
            ("a number as login",        rows(&["p", "login"], &[&[t("h"), Cell::Number(7)]]), Ok("7 h true ")),
            ("two passwords",            rows(&["p"], &[&[t("h")], &[t("i")]]), Ok("Ambiguous")),
            ("two logins",               rows(&["p", "login"], &[&[t("h"), t("a")], &[t("h"), t("b")]]), Ok("Ambiguous")),
            ("an unknown column",        rows(&["password", "adress"], &[]), Err("\"adress\"")),
            ("the same twice",           rows(&["password", "address", "addresses"], &[]), Err("two columns")),
            ("a date",                   rows(&["p"], &[&[Cell::Other("of the type date".into())]]), Err("of the type date")),
            ("a number as password",     rows(&["p"], &[&[Cell::Number(1)]]), Err("not text")),
            ("neither true nor false",   rows(all, &[&[t("h"), t("me"), Cell::Null, t("maybe")]]), Err("neither")),
        ];
        for (shows, rows, want) in cases {
            match (of_rows(&rows, Purpose::Password), want) {
                (Ok(got), Ok(want)) => assert_eq!(told(&got), want, "{shows}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{shows}: {got}"),
                (got, _) => panic!("{shows}: {got:?}"),
            }
        }
    }

    #[test]
    fn groups_and_keys() {
        let t = |text: &str| Cell::text(text);
        let found = |rows: &Rows, purpose| match of_rows(rows, purpose) {
            Ok(Answer::Found(found)) => {
                let keys: Vec<&str> = found.keys.iter().map(|key| key.as_str()).collect();
                format!("{} {}", found.groups.join("+"), keys.join("+"))
            }
            other => format!("{other:?}"),
        };
        let list = Cell::List(vec!["a".into(), "b c".into()]);
        #[rustfmt::skip]
        let cases = [
            ("groups in one column",  Purpose::Account,  rows(&["login", "groups"], &[&[t("x"), t("staff, mail users")]]), "staff+mail users "),
            ("an array",              Purpose::Account,  rows(&["group"], &[&[list]]), "a+b c "),
            ("one a row, once each",  Purpose::Account,  rows(&["group"], &[&[t("a")], &[t("b")], &[t("a")]]), "a+b "),
            ("keys beside the hash",  Purpose::Password, rows(&["hash", "key", "nt_hash"], &[&[t("h"), t("k"), t("n")]]), " k+n"),
            ("keys one a row",        Purpose::Keys,     rows(&["value"], &[&[t("k")], &[t("l")]]), " k+l"),
            ("an NT hash alone",      Purpose::Keys,     rows(&["nt_hash"], &[&[t("n")]]), " n"),
            ("no key",                Purpose::Keys,     rows(&["value"], &[&[Cell::Null]]), " "),
        ];
        for (shows, purpose, rows, want) in cases {
            assert_eq!(found(&rows, purpose), want, "{shows}");
        }
        let nameless = rows(&["name"], &[&[t("x")]]);
        let error = of_rows(&nameless, Purpose::Account).unwrap_err();
        assert!(error.contains("account_query"), "{error}");
        let groups = rows(&["g"], &[&[t("a")], &[Cell::Number(7)], &[Cell::Null], &[t("a")]]);
        assert_eq!(of_groups(&groups).unwrap(), ["a", "7"]);
    }

    #[test]
    fn recipients() {
        let cases = [
            ("no row", rows(&["x"], &[]), false),
            ("a row", rows(&["x"], &[&[Cell::text("a")]]), true),
            ("SELECT 1", rows(&["x"], &[&[Cell::Number(1)]]), true),
            (
                "SELECT EXISTS (…) that fails",
                rows(&["x"], &[&[Cell::Number(0)]]),
                false,
            ),
            ("NULL", rows(&["x"], &[&[Cell::Null]]), false),
            (
                "one of two",
                rows(&["x"], &[&[Cell::Null], &[Cell::text("a")]]),
                true,
            ),
        ];
        for (shows, rows, want) in cases {
            assert_eq!(of_recipient(&rows), want, "{shows}");
        }
    }
}
