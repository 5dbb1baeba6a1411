//! What the rows of an answer say.

use zeroize::Zeroizing;

use super::rows::{Cell, Rows};

/// An account as the password query found it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// `None` where the query has no such column: then it is what the client typed.
    pub(super) login: Option<String>,
    /// `None` for an account without a password.
    pub(super) stored: Option<Zeroizing<String>>,
    pub(super) enabled: bool,
    pub(super) addresses: Vec<String>,
}

/// What a password query found.
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
}

/// What a password query found. The error says what is wrong with the query.
pub(super) fn of_password(rows: &Rows) -> Result<Answer, String> {
    let columns = meanings(&rows.columns)?;
    let mut answer: Option<Found> = None;
    for row in &rows.rows {
        let one = of_row(&columns, row)?;
        match &mut answer {
            None => answer = Some(one),
            Some(found) => {
                let same =
                    found.login == one.login && found.stored == one.stored && found.enabled == one.enabled;
                if !same {
                    return Ok(Answer::Ambiguous);
                }
                found.addresses.extend(one.addresses);
            }
        }
    }
    let Some(mut found) = answer else {
        return Ok(Answer::Unknown);
    };
    let all = std::mem::take(&mut found.addresses);
    for address in all {
        if !found.addresses.contains(&address) {
            found.addresses.push(address);
        }
    }
    Ok(Answer::Found(found))
}

/// Whether a recipient query found the address.
pub(super) fn of_recipient(rows: &Rows) -> bool {
    rows.rows
        .iter()
        .filter_map(|row| row.first())
        .any(|cell| !matches!(cell, Cell::Null | Cell::Number(0)))
}

fn meanings(names: &[String]) -> Result<Vec<Column>, String> {
    let mut columns = Vec::with_capacity(names.len());
    let named = names.iter().any(|name| name == "password");
    for (index, name) in names.iter().enumerate() {
        let column = match name.as_str() {
            "password" => Column::Password,
            _ if index == 0 && !named => Column::Password,
            "login" => Column::Login,
            "address" | "addresses" => Column::Addresses,
            "enabled" => Column::Enabled,
            other => {
                return Err(format!(
                    "the column {other:?} of password_query has no meaning: name columns password, login, address and \
                     enabled, for example `{other} AS login`"
                ));
            }
        };
        if columns.contains(&column) {
            return Err(format!(
                "password_query has two columns for the same: {name:?} is one of them"
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
    };
    for (column, cell) in columns.iter().zip(row) {
        match (column, cell) {
            (_, Cell::Other(kind)) => {
                return Err(format!(
                    "password_query gives a value that is {kind}; have the query make it text"
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
            (Column::Password | Column::Login | Column::Addresses, Cell::Null) => {}
            (column, _) => return Err(format!("password_query gives a {column:?} that is no text")),
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
            _ => Err("password_query gives an enabled that is neither true nor false".into()),
        },
        Cell::List(_) | Cell::Other(_) => {
            Err("password_query gives an enabled that is neither true nor false".into())
        }
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
            ("a number as password",     rows(&["p"], &[&[Cell::Number(1)]]), Err("no text")),
            ("neither true nor false",   rows(all, &[&[t("h"), t("me"), Cell::Null, t("maybe")]]), Err("neither")),
        ];
        for (shows, rows, want) in cases {
            match (of_password(&rows), want) {
                (Ok(got), Ok(want)) => assert_eq!(told(&got), want, "{shows}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{shows}: {got}"),
                (got, _) => panic!("{shows}: {got:?}"),
            }
        }
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
