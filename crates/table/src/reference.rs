//! Names of tables: `table:NAME`, and Postfix's names for a table in a file, in a database, or inline.

use std::path::PathBuf;

use crate::braces::{inner, members};
use crate::entries::Entries;
use crate::service::{Service, ServicePlace};
use crate::{Format, Table};

/// Deepest nesting of tables.
const DEPTH_MAX: usize = 8;

/// Most tables in one.
const MEMBERS_MAX: usize = 64;

/// Which table is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reference {
    /// `table:NAME`: a `[[table]]` of the configuration.
    Named(String),
    /// A file with the text of a table: `hash:/etc/postfix/virtual`. The path is as written.
    File(Format, PathBuf),
    /// A file that configures database access: `mysql:/etc/postfix/virtual.cf`.
    External(External, PathBuf),
    /// A service on a socket: `socketmap:unix:/run/map.sock:name`, `tcp:127.0.0.1:10001`.
    Service(Service),
    /// `inline:{ key=value, { key = value } }`.
    Inline(Vec<(String, String)>),
    /// `static:value`: the same for every key.
    Constant(String),
    /// `unionmap:{ table, table }`: the values of all of them, joined by commas.
    Union(Vec<Self>),
    /// `pipemap:{ table, table }`: the value from the first is the key for the second, and so on.
    Pipe(Vec<Self>),
}

/// The source of a table that is not in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum External {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    PostgreSql,
    /// SQLite.
    Sqlite,
    /// LDAP.
    Ldap,
}

impl External {
    /// Its name before the colon.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::PostgreSql => "pgsql",
            Self::Sqlite => "sqlite",
            Self::Ldap => "ldap",
        }
    }
}

/// An invalid table reference.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} {why}")]
pub struct BadReference {
    text: String,
    why: String,
}

/// The types that mean a table in a file.
const FILES: [(&str, Format); 12] = [
    ("hash", Format::Postfix),
    ("btree", Format::Postfix),
    ("lmdb", Format::Postfix),
    ("dbm", Format::Postfix),
    ("sdbm", Format::Postfix),
    ("cdb", Format::Postfix),
    ("texthash", Format::Postfix),
    ("sendmail", Format::Sendmail),
    ("list", Format::List),
    ("cidr", Format::Cidr),
    ("pcre", Format::Pcre),
    ("regexp", Format::Regexp),
];

/// The types that mean a table in a database.
const EXTERNALS: [External; 4] = [
    External::MySql,
    External::PostgreSql,
    External::Sqlite,
    External::Ldap,
];

/// Postfix's types that are not supported here, each with a remedy.
const UNKNOWN: [(&str, &str); 7] = [
    ("memcache", "is a cache of Postfix's: name the table behind it"),
    ("nis", "is NIS, which is not asked here: write it to a file"),
    (
        "unix",
        "is a table of the system: use a [[directory]] for its accounts",
    ),
    ("environ", "is the environment, which is not used here"),
    (
        "randmap",
        "gives another value each time, which has no use here: name one of its tables",
    ),
    ("fail", "always fails, which has no use here"),
    ("internal", "is a table of a program's memory: use a file"),
];

impl Reference {
    /// Whether a text is meant as a reference, valid or not: it has one of the known types before its first colon.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        let Some((word, _)) = text.trim_start().split_once(':') else {
            return false;
        };
        let word = word.trim();
        matches!(
            word,
            "table" | "static" | "inline" | "unionmap" | "pipemap" | "proxy" | "socketmap" | "tcp"
        ) || FILES.iter().any(|(known, _)| *known == word)
            || EXTERNALS.iter().any(|known| known.word() == word)
            || UNKNOWN.iter().any(|(known, _)| *known == word)
    }

    /// Reads a reference. Files are not opened.
    ///
    /// # Errors
    ///
    /// [`BadReference`] for an invalid reference, with the remedy.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        read(text.trim(), 0).map_err(|why| BadReference {
            text: text.trim().chars().take(300).collect(),
            why,
        })
    }

    /// The paths in it, including those of its parts.
    #[must_use]
    pub fn paths(&self) -> Vec<&PathBuf> {
        match self {
            Self::File(_, path) | Self::External(_, path) => vec![path],
            Self::Union(parts) | Self::Pipe(parts) => parts.iter().flat_map(Self::paths).collect(),
            Self::Service(Service {
                place: ServicePlace::Unix(path),
                ..
            }) => vec![path],
            Self::Named(_) | Self::Service(_) | Self::Inline(_) | Self::Constant(_) => Vec::new(),
        }
    }

    /// The same reference with each path mapped by `resolve`.
    #[must_use]
    pub fn with_paths(self, resolve: &mut dyn FnMut(PathBuf) -> PathBuf) -> Self {
        let mut all = |parts: Vec<Self>| -> Vec<Self> {
            parts.into_iter().map(|part| part.with_paths(resolve)).collect()
        };
        match self {
            Self::Union(parts) => Self::Union(all(parts)),
            Self::Pipe(parts) => Self::Pipe(all(parts)),
            Self::File(format, path) => Self::File(format, resolve(path)),
            Self::External(external, path) => Self::External(external, resolve(path)),
            Self::Service(Service {
                place: ServicePlace::Unix(path),
                talk,
            }) => Self::Service(Service {
                place: ServicePlace::Unix(resolve(path)),
                talk,
            }),
            other => other,
        }
    }

    /// The table, if the reference itself contains it.
    #[must_use]
    pub fn table(&self) -> Option<Table> {
        match self {
            Self::Constant(value) => Some(Table::Constant(value.as_str().into())),
            Self::Inline(pairs) => {
                let mut entries = Entries::default();
                for (key, value) in pairs {
                    // Duplicate keys have already been refused.
                    let _ = entries.insert(key, value, 0);
                }
                Some(Table::Entries(entries.close()))
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => write!(f, "table:{name}"),
            Self::File(format, path) => {
                let word = FILES.iter().find(|(_, known)| known == format);
                write!(f, "{}:{}", word.map_or("", |(word, _)| word), path.display())
            }
            Self::External(external, path) => write!(f, "{}:{}", external.word(), path.display()),
            Self::Service(service) => write!(f, "{service}"),
            Self::Inline(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| format!("{{{key} = {value}}}"));
                write!(f, "inline:{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
            Self::Constant(value) => write!(f, "static:{{{value}}}"),
            Self::Union(parts) => of_parts(f, "unionmap", parts),
            Self::Pipe(parts) => of_parts(f, "pipemap", parts),
        }
    }
}

fn of_parts(f: &mut std::fmt::Formatter<'_>, word: &str, parts: &[Reference]) -> std::fmt::Result {
    let parts: Vec<String> = parts.iter().map(Reference::to_string).collect();
    write!(f, "{word}:{{{}}}", parts.join(", "))
}

fn read(text: &str, depth: usize) -> Result<Reference, String> {
    let example =
        "write for example \"table:NAME\", \"hash:/etc/postfix/virtual\" or \"cidr:/etc/postfix/clients\"";
    let (word, rest) = text
        .split_once(':')
        .ok_or_else(|| format!("names no table: {example}"))?;
    let (word, rest) = (word.trim(), rest.trim());
    if depth > DEPTH_MAX {
        return Err("has tables within tables over 8 deep".into());
    }
    if let Some((_, format)) = FILES.iter().find(|(known, _)| *known == word) {
        return Ok(Reference::File(*format, path(rest, word)?));
    }
    if let Some(external) = EXTERNALS.iter().find(|known| known.word() == word) {
        let path = path(rest, word)?;
        if !rest.contains('/') {
            return Err(format!(
                "names parameters of main.cf, which are not read: write them to a file, and name that: `{word}:/etc/postfix/{rest}.cf`"
            ));
        }
        return Ok(Reference::External(*external, path));
    }
    if let Some((_, why)) = UNKNOWN.iter().find(|(known, _)| *known == word) {
        return Err((*why).to_owned());
    }
    match word {
        "table" if rest.is_empty() => {
            Err("names no table: write the name of a [[table]] after the colon".into())
        }
        "table" => Ok(Reference::Named(rest.to_owned())),
        // Postfix's process that shares connections: pools do that here.
        "proxy" => read(rest, depth + 1),
        "static" => {
            let value = inner(rest).map_or(rest, str::trim);
            if value.is_empty() {
                return Err("has no value after the colon".into());
            }
            Ok(Reference::Constant(value.to_owned()))
        }
        "socketmap" | "tcp" => Service::parse(word, rest).map(Reference::Service),
        "inline" => Ok(Reference::Inline(pairs(rest)?)),
        "unionmap" => Ok(Reference::Union(parts(rest, depth)?)),
        "pipemap" => Ok(Reference::Pipe(parts(rest, depth)?)),
        _ => Err(format!("is of an unknown kind: {example}")),
    }
}

fn path(text: &str, word: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err(format!(
            "names no file: write for example \"{word}:/etc/postfix/virtual\""
        ));
    }
    if let Some(source) = text.strip_suffix(".db").or_else(|| text.strip_suffix(".lmdb")) {
        return Err(format!(
            "names a compiled file; its text is what is read: write \"{word}:{source}\""
        ));
    }
    Ok(PathBuf::from(text))
}

fn list(text: &str) -> Result<Vec<&str>, String> {
    let inside = inner(text).ok_or("has no braces after the colon: write `{ … }`")?;
    members(inside).ok_or_else(|| "has unbalanced braces".into())
}

fn parts(text: &str, depth: usize) -> Result<Vec<Reference>, String> {
    let list = list(text)?;
    if !(1..=MEMBERS_MAX).contains(&list.len()) {
        return Err(format!("holds {} tables; there may be from 1 to 64", list.len()));
    }
    let one = |part: &str| {
        let bare = inner(part).map_or(part, str::trim);
        read(bare, depth + 1).map_err(|why| format!("holds {bare:?}, which {why}"))
    };
    list.into_iter().map(one).collect()
}

fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for member in list(text)? {
        let bare = inner(member).unwrap_or(member);
        let (key, value) = bare
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .filter(|(key, value)| !key.is_empty() && !value.is_empty())
            .ok_or_else(|| format!("holds {bare:?}, which is not `key=value`"))?;
        let folded = crate::text::fold(key);
        if pairs.iter().any(|(known, _)| crate::text::fold(known) == folded) {
            return Err(format!("has the key {key:?} twice"));
        }
        pairs.push((key.to_owned(), value.to_owned()));
    }
    if pairs.is_empty() {
        return Err("has no entries: write `inline:{ key=value }`".into());
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        #[rustfmt::skip]
        let cases = [
            ("table:domains",                          "table:domains"),
            ("hash:/etc/postfix/virtual",              "hash:/etc/postfix/virtual"),
            ("lmdb:/etc/postfix/virtual",              "hash:/etc/postfix/virtual"),
            ("proxy:mysql:/etc/postfix/sql/x.cf",      "mysql:/etc/postfix/sql/x.cf"),
            ("proxy:ldap:/etc/postfix/x.cf",           "ldap:/etc/postfix/x.cf"),
            ("sendmail:/etc/mail/access",              "sendmail:/etc/mail/access"),
            ("list:/etc/mail/relay-domains",           "list:/etc/mail/relay-domains"),
            ("tcp:127.0.0.1:10001",                    "tcp:127.0.0.1:10001"),
            ("socketmap:unix:/run/m:virtual",          "socketmap:unix:/run/m:virtual"),
            ("static:OK",                              "static:{OK}"),
            ("static:{REJECT go away}",                "static:{REJECT go away}"),
            ("unionmap:{hash:/a, static:b}",           "unionmap:{hash:/a, static:{b}}"),
            ("pipemap:{ {hash:/a}, pcre:/b }",         "pipemap:{hash:/a, pcre:/b}"),
        ];
        for (text, want) in cases {
            assert!(Reference::is_meant(text), "{text}");
            assert_eq!(
                Reference::parse(text).map(|got| got.to_string()),
                Ok(want.to_owned()),
                "{text}"
            );
        }
        let inline = Reference::parse("inline:{ a=b, { C = d, e } }").unwrap();
        let table = inline.table().unwrap();
        assert_eq!(
            table.get("c").map(|found| found.value.into_owned()),
            Some("d, e".into())
        );
        assert_eq!(table.get("d"), None);
    }

    #[test]
    fn what_is_none() {
        #[rustfmt::skip]
        let cases = [
            ("table:",                     "names no table"),
            ("hash:",                      "names no file"),
            ("hash:/etc/mail/access.db",   "\"hash:/etc/mail/access\""),
            ("tcp:127.0.0.1",              "names no service"),
            ("socketmap:unix:/s",          "names no service"),
            ("memcache:/etc/x.cf",         "cache of Postfix"),
            ("ldap:aliases",               "parameters of main.cf"),
            ("inline:a=b",                 "no braces"),
            ("inline:{}",                  "no entries"),
            ("inline:{a=b, A=c}",          "twice"),
            ("inline:{a}",                 "not `key=value`"),
            ("inline:{a=b",                "no braces"),
            ("unionmap:{}",                "0 tables"),
            ("unionmap:{hash:/a, b}",      "holds \"b\""),
            ("static:",                    "no value"),
        ];
        for (text, want) in cases {
            assert!(Reference::is_meant(text), "{text}");
            let told = Reference::parse(text).unwrap_err().to_string();
            assert!(told.contains(want), "{text}: {told}");
        }
        for text in ["example.org", "a@b", "<>", "[IPv6:::1]", "C:/x", ""] {
            assert!(!Reference::is_meant(text), "{text}");
        }
        let deep = format!("{}static:a{}", "unionmap:{".repeat(40), "}".repeat(40));
        assert!(Reference::parse(&deep).is_err());
    }
}
