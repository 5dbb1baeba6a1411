//! Cyrus SASL's sasldb2: the file itself, or the output of `db_dump` for it.

mod berkeley;
mod bytes;
mod dump;
mod lmdb;
mod record;

use self::record::{Record, of_record};
use super::line::{Line, Problem};

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
