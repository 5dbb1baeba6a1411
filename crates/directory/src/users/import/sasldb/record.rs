//! One record of the database: user, realm and property, and the value.

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::super::line::{Entry, Line, Password, Problem, checked};

/// A key with its value, and where it stands: the line of a dump, the number of the record in a file. `None` for a malformed
/// part of a dump.
pub(super) struct Record {
    pub(super) number: usize,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Zeroizing<Vec<u8>>>,
}

/// Keys and values of a database file.
pub(super) type Pairs = Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>;

/// The key is `user NUL realm NUL property`. `None` for what is not a password: secrets of other mechanisms.
pub(super) fn of_record(record: Record) -> Option<Line> {
    let number = record.number;
    let line = |name: String, entry| Some(Line { number, name, entry });
    let Some(key) = record.key.and_then(|key| String::from_utf8(key).ok()) else {
        return line(String::new(), Err(Problem::Form("is not in the form of db_dump")));
    };
    let parts: Vec<&str> = key.split('\0').collect();
    let [user, realm, property] = parts[..] else {
        return line(String::new(), Err(Problem::Form("is not a record of sasldb2")));
    };
    if property != "userPassword" {
        return None;
    }
    let login = if realm.is_empty() || user.contains('@') {
        user.to_owned()
    } else {
        format!("{user}@{realm}")
    };
    let value = record
        .value
        .as_ref()
        .and_then(|value| std::str::from_utf8(value).ok());
    let Some(value) = value else {
        return line(login, Err(Problem::Form("has a password that is not UTF-8")));
    };
    let entry = checked(Entry {
        login: login.clone(),
        password: Password::Clear(SecretString::from(value)),
        enabled: true,
    });
    line(login, entry)
}
