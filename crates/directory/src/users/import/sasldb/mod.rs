//! Cyrus SASL's sasldb2: the file itself, or what `db_dump` prints of it.

mod berkeley;
mod bytes;
mod dump;
mod lmdb;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Entry, Line, Password, Problem, checked};

/// A key with its value, and where it stands: the line of a dump, the number of the record in a file. `None` for what a dump has
/// in another form than it should.
struct Record {
    number: usize,
    key: Option<Vec<u8>>,
    value: Option<Zeroizing<Vec<u8>>>,
}

/// Keys and values of a database file.
type Pairs = Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>;

pub(super) fn read(file: &[u8]) -> Vec<Line> {
    let pairs = berkeley::pairs(file).or_else(|| lmdb::pairs(file));
    let Some(pairs) = pairs else {
        return match std::str::from_utf8(file) {
            Ok(text) => dump::read(text),
            Err(_) => vec![broken(
                "is neither a Berkeley DB or LMDB file nor what db_dump prints",
            )],
        };
    };
    let pairs = match pairs {
        Ok(pairs) => pairs,
        Err(why) => return vec![broken(why)],
    };
    let records = (1..).zip(pairs).map(|(number, (key, value))| Record {
        number,
        key: Some(key),
        value: Some(value),
    });
    records.filter_map(of_record).collect()
}

fn broken(why: &'static str) -> Line {
    Line {
        number: 1,
        name: String::new(),
        entry: Err(Problem::Form(why)),
    }
}

/// The key is `user NUL realm NUL property`. `None` for what is no password: secrets of other mechanisms.
fn of_record(record: Record) -> Option<Line> {
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
