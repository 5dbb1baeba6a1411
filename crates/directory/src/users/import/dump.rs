//! What `db_dump` prints of sasldb2.

use secrecy::SecretString;

use super::{Entry, Line, Password, Problem, checked};

/// Key and value stand on lines of their own, each after a blank; the key is `user NUL realm NUL property`.
pub(super) fn read(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut hexadecimal = true;
    let mut key: Option<(usize, &str)> = None;
    for (index, text) in text.lines().enumerate() {
        let Some(record) = text.strip_prefix(' ') else {
            if let Some(format) = text.strip_prefix("format=") {
                hexadecimal = format != "print";
            }
            continue;
        };
        match key.take() {
            None => key = Some((index + 1, record)),
            Some((number, key)) => {
                let key = undump(key, hexadecimal);
                lines.extend(of_record(number, key, undump(record, hexadecimal)));
            }
        }
    }
    if let Some((number, _)) = key {
        lines.push(Line {
            number,
            name: String::new(),
            entry: Err(Problem::Form("is a key without a value: the dump is cut off")),
        });
    }
    lines
}

/// `None` for what is no password: secrets of other mechanisms.
fn of_record(number: usize, key: Option<String>, value: Option<String>) -> Option<Line> {
    let line = |name: String, entry| Some(Line { number, name, entry });
    let Some(key) = key else {
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

/// A record's text: hexadecimal digits, or letters with `\xx` for the others.
fn undump(record: &str, hexadecimal: bool) -> Option<String> {
    let octets = record.as_bytes();
    let digits = |at: usize| {
        let digit = |at: usize| octets.get(at).and_then(|octet| char::from(*octet).to_digit(16));
        u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok()
    };
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        let (octet, taken) = match octets[at] {
            _ if hexadecimal => (digits(at)?, 2),
            b'\\' if octets.get(at + 1) == Some(&b'\\') => (b'\\', 2),
            b'\\' => (digits(at + 1)?, 3),
            octet => (octet, 1),
        };
        out.push(octet);
        at += taken;
    }
    String::from_utf8(out).ok()
}
